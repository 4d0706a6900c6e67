//! Which addresses a request may name, decided before anything is looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::{Port, Scheme};

use crate::address::is_public;

/// How far a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The public internet only, over `https` on port 443. For addresses that others may have had a say in.
    Public,
    /// Also this machine and its networks, any port, `http` too. For what an administrator wrote down as being there.
    Private,
}

/// Why a request does not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither `https` nor, where that may be, `http`.
    #[error("the address must begin with `https://`, or with `http://` where private networks are allowed")]
    Scheme,
    /// A user name in the address: it misleads readers and parsers.
    #[error("the address must not contain credentials")]
    Credentials,
    /// No host, or one that parsers read in several ways.
    #[error("the address names no host, or names it in an unusual form")]
    Host,
    /// Only 80 and 443 lead to web servers and nothing else.
    #[error("the address must use port 80 or 443 unless private networks are allowed")]
    Port,
    /// It lies inside, or its name leads there.
    #[error("the address leads into a private network, which is not allowed")]
    Private,
}

/// Names that mean this machine or its network wherever they are looked up (RFC 6761, 6762, 8375, ICANN `internal`).
const LOCAL_NAMES: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

impl Reach {
    /// Whether a request to `uri` may leave, as far as its text says. What its name leads to is checked again after
    /// the look-up, before each connection.
    pub fn check(self, uri: &Uri) -> Result<(), Refusal> {
        let public = self == Self::Public;
        let encrypted = uri.scheme() == Some(&Scheme::HTTPS);
        if !encrypted && (public || uri.scheme() != Some(&Scheme::HTTP)) {
            return Err(Refusal::Scheme);
        }
        let authority = uri.authority().ok_or(Refusal::Host)?;
        if authority.as_str().contains('@') {
            return Err(Refusal::Credentials);
        }
        let port = authority.port().as_ref().map(Port::as_u16);
        // A port that is no number would otherwise count as none, and so as the usual one.
        if port.is_none() && authority.as_str().len() != authority.host().len() {
            return Err(Refusal::Port);
        }
        if public && !matches!(port, None | Some(80 | 443)) {
            return Err(Refusal::Port);
        }
        match Host::parse(authority.host())? {
            Host::Address(address) if public && !is_public(address) => Err(Refusal::Private),
            Host::Name(name) if public && is_local(name) => Err(Refusal::Private),
            Host::Address(_) | Host::Name(_) => Ok(()),
        }
    }
}

enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Addresses count only in their one usual form: `127.1`, `0x7f000001` and `017700000001` are refused, not read.
    fn parse(host: &'a str) -> Result<Self, Refusal> {
        if let Some(rest) = host.strip_prefix('[') {
            let address = rest.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return address.map(|address| Self::Address(address.into())).ok_or(Refusal::Host);
        }
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let last = name.rsplit('.').next().unwrap_or(name);
        let numeric = last.starts_with(|first: char| first.is_ascii_digit());
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if last.is_empty() || numeric || !plain {
            return Err(Refusal::Host);
        }
        Ok(Self::Name(name))
    }
}

fn is_local(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    LOCAL_NAMES.iter().any(|local| name.strip_suffix(local).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(reach: Reach, uri: &str) -> Result<(), Refusal> {
        reach.check(&uri.parse().unwrap())
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        for (uri, refusal) in [
            ("http://example.org/", Refusal::Scheme),
            ("ftp://example.org/", Refusal::Scheme),
            ("/path", Refusal::Scheme),
            ("https://user@example.org/", Refusal::Credentials),
            ("https://example.org:8443/", Refusal::Port),
            ("https://example.org:99999/", Refusal::Port),
            ("https://127.1/", Refusal::Host),
            ("https://[fe80::1%25eth0]/", Refusal::Host),
            ("https://10.0.0.1/", Refusal::Private),
            ("https://Metadata.Google.Internal./", Refusal::Private),
        ] {
            assert_eq!(checked(Reach::Public, uri), Err(refusal), "{uri}");
        }
        for uri in ["https://example.org", "https://mylocalhost/", "https://8.8.8.8:443/x", "https://local.example/"] {
            assert_eq!(checked(Reach::Public, uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn private_reach_allows_inner_addresses_and_nothing_odd() {
        for uri in ["http://127.0.0.1:9/", "http://model.internal:8000/v1", "https://[::1]:1/", "http://example.org"] {
            assert_eq!(checked(Reach::Private, uri), Ok(()), "{uri}");
        }
        for (uri, refusal) in [
            ("ftp://127.0.0.1/", Refusal::Scheme),
            ("http://a@127.0.0.1/", Refusal::Credentials),
            ("http://127.0.0.1:99999/", Refusal::Port),
            ("http://0x7f.1/", Refusal::Host),
        ] {
            assert_eq!(checked(Reach::Private, uri), Err(refusal), "{uri}");
        }
    }
}
