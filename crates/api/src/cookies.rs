//! The cookies of people who sign in, and whether a request that carries one comes from our own pages.
//!
//! The names start with `__Host-`: a browser takes such a cookie only from this very host, over TLS or on the own
//! machine, and shows it to no script.

use http::header::{COOKIE, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::problem::{Kind, Problem};

/// Holds a session.
pub(crate) const SESSION: &str = "__Host-taskforce";
/// Holds a sign-in that has begun, sealed.
pub(crate) const FLOW: &str = "__Host-taskforce-sign-in";

/// Carries the session's token against requests from other sites.
pub(crate) const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The one cookie of that name. Two of them come from no browser: `Err`.
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(each, _)| *each == name).map(|(_, value)| value);
    let (first, more) = (values.next(), values.next().is_some());
    if more {
        return Err(Problem::client(Kind::Malformed, &format_args!("more than one cookie `{name}`")));
    }
    Ok(first)
}

/// A cookie for so many seconds.
pub(crate) fn set(name: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The end of a cookie.
pub(crate) fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", 0)
}

/// Whether the browser says that a page of ours sends the request. Where it does not say so itself, the page's origin
/// must be ours.
pub(crate) fn is_same_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let only = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    match only(&FETCH_SITE) {
        Some(site) => site == "same-origin",
        None if headers.contains_key(&FETCH_SITE) => false,
        None => only(&ORIGIN).is_some_and(|origin| origin == public_url),
    }
}

/// Whether the browser says that a page of another site sends the request. A program says nothing of the kind.
pub(crate) fn is_from_elsewhere(headers: &HeaderMap, public_url: &str) -> bool {
    let says = headers.contains_key(&FETCH_SITE) || headers.contains_key(&ORIGIN);
    says && !is_same_origin(headers, public_url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_only_once() {
        let named = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            read(&headers(&lines), SESSION).map(|value| value.map(str::to_owned)).map_err(|problem| problem.kind())
        };
        assert_eq!(named(&[]), Ok(None));
        assert_eq!(named(&["a=b; __Host-taskforce=x=y; c=d"]), Ok(Some("x=y".to_owned())));
        assert_eq!(named(&["a=b", "__Host-taskforce=x"]), Ok(Some("x".to_owned())));
        assert_eq!(named(&["taskforce=x; __host-taskforce=y; __Host-taskforce-sign-in=z"]), Ok(None));
        assert_eq!(named(&["__Host-taskforce=x; __Host-taskforce=y"]), Err(Kind::Malformed));
        assert_eq!(named(&["__Host-taskforce=x", "__Host-taskforce=x"]), Err(Kind::Malformed));
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_for_no_script() {
        let cookie = set(SESSION, "v", 60).unwrap();
        assert_eq!(cookie, "__Host-taskforce=v; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax");
        assert!(cookie.is_sensitive());
        assert_eq!(
            clear(FLOW).unwrap(),
            "__Host-taskforce-sign-in=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
        assert!(set(SESSION, "a\r\nb", 60).is_none());
    }

    #[test]
    fn only_our_own_pages_are_of_the_same_origin() {
        let ours = |pairs: &[(&str, &str)]| is_same_origin(&headers(pairs), "https://taskforce.example");
        for good in [
            &[("origin", "https://taskforce.example")][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://taskforce.example")],
        ] {
            assert!(ours(good), "{good:?}");
        }
        for bad in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("origin", "http://taskforce.example")],
            &[("origin", "https://taskforce.example.evil.example")],
            &[("origin", "https://taskforce.example:444")],
            &[("origin", "https://taskforce.example"), ("origin", "https://taskforce.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "https://taskforce.example")],
            &[("sec-fetch-site", "none"), ("origin", "https://taskforce.example")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!ours(bad), "{bad:?}");
        }
    }
}
