//! The one credential of a request.

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::cookies;
use crate::problem::{Kind, Problem};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request shows of who makes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    /// An API key.
    Key(&'h str),
    /// A bearer token.
    Token(&'h str),
    /// The cookie of a session.
    Session(&'h str),
}

impl<'h> Credential<'h> {
    /// The credential in `headers`; `None` if there is none. Of two, nobody knows which was meant.
    pub(crate) fn of(headers: &'h HeaderMap) -> Result<Option<Self>, Problem> {
        let bearer = headers.get_all(AUTHORIZATION).iter().map(|value| {
            let token =
                bearer(value).ok_or_else(|| refuse("expected `authorization: Bearer` and an API key or token"))?;
            // A token is made of parts with points between; a key has none.
            Ok(if token.contains('.') { Self::Token(token) } else { Self::Key(token) })
        });
        let keys = headers.get_all(X_API_KEY).iter().map(|value| {
            let key = value.to_str().map_err(|_| refuse("expected an API key as `x-api-key`"))?;
            Ok(Self::Key(key))
        });
        let cookie = cookies::read(headers, cookies::SESSION)?.filter(|cookie| !cookie.is_empty());
        let mut all = bearer.chain(keys).chain(cookie.map(|cookie| Ok(Self::Session(cookie))));
        let first = all.next();
        if all.next().is_some() {
            return Err(refuse("more than one credential was sent"));
        }
        first.transpose()
    }
}

fn refuse(why: &'static str) -> Problem {
    Problem::client(Kind::Unauthenticated, &why)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { Some(token.trim()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let said = |credential| match credential {
            Credential::Key(key) => format!("key {key}"),
            Credential::Token(token) => format!("token {token}"),
            Credential::Session(session) => format!("session {session}"),
        };
        Credential::of(&headers).map(|one| one.map(said)).map_err(|problem| problem.kind().status().as_u16())
    }

    #[test]
    fn a_credential_comes_in_one_of_three_ways() {
        let is = |pair, expected: &str| assert_eq!(read(&[pair]), Ok(Some(expected.to_owned())));
        is(("authorization", "Bearer tfk_1"), "key tfk_1");
        is(("authorization", "bEARER  tfk_1 "), "key tfk_1");
        is(("authorization", "Bearer a.b.c"), "token a.b.c");
        is(("x-api-key", "tfk_1"), "key tfk_1");
        is(("cookie", "__Host-taskforce=tfs_1"), "session tfs_1");
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("cookie", "__Host-taskforce=")]), Ok(None));
    }

    #[test]
    fn a_credential_comes_only_once_and_in_its_form() {
        for refused in [
            &[("authorization", "Basic dGY6dGY=")][..],
            &[("authorization", "tfk_1")],
            &[("authorization", "Bearer tfk_1"), ("authorization", "Bearer tfk_2")],
            &[("authorization", "Bearer tfk_1"), ("x-api-key", "tfk_1")],
            &[("x-api-key", "tfk_1"), ("x-api-key", "tfk_2")],
            &[("authorization", "Bearer a.b.c"), ("cookie", "__Host-taskforce=tfs_1")],
        ] {
            assert_eq!(read(refused), Err(401), "{refused:?}");
        }
    }
}
