//! Where a request comes from.
//!
//! A connection has an address that cannot be made up. What a header says of it is believed only when the connection is
//! one of a proxy that was configured, and only as far as such proxies wrote it: from the right, up to the first address
//! that is none of theirs.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use http::header::{FORWARDED, HeaderName};
use http::{Extensions, HeaderMap};
use ipnet::IpNet;

use crate::problem::{Kind, Problem};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from; `None` where there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) Option<IpAddr>);

impl Client {
    /// The client behind a connection, and behind the proxies before it.
    pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap, proxies: &[IpNet]) -> Result<Self, Problem> {
        let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Ok(Self(None));
        };
        let peer = peer.ip().to_canonical();
        if !is_proxy(peer, proxies) {
            return Ok(Self(Some(peer)));
        }
        let forwarded = last_stranger(hops(headers, &FORWARDED, from_element), proxies)?;
        let x_forwarded_for = last_stranger(hops(headers, &X_FORWARDED_FOR, from_address), proxies)?;
        match (forwarded, x_forwarded_for) {
            // A proxy writes one of them. The other came from a client who hopes that it is read instead.
            (Some(one), Some(other)) if one != other => Err(malformed("`forwarded` and `x-forwarded-for` disagree")),
            (one, other) => Ok(Self(one.or(other).or(Some(peer)))),
        }
    }

    /// What is one client to limits: an IPv4 address, or a /64 network of IPv6.
    pub(crate) fn network(self) -> Option<IpAddr> {
        self.0.map(network)
    }
}

/// What one client holds: an IPv4 address, or a /64 network of IPv6.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

fn is_proxy(address: IpAddr, proxies: &[IpNet]) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

/// The addresses that a header lists, the nearest first; `None` for what is no address.
fn hops<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    read: fn(&str) -> Option<IpAddr>,
) -> impl Iterator<Item = Option<IpAddr>> + use<'h> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let elements = lines.into_iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    elements.map(move |element| read(std::str::from_utf8(element).ok()?.trim()))
}

/// The nearest address that is no proxy's, or the farthest that is one.
fn last_stranger(hops: impl Iterator<Item = Option<IpAddr>>, proxies: &[IpNet]) -> Result<Option<IpAddr>, Problem> {
    let mut farthest = None;
    for hop in hops {
        let address = hop.ok_or_else(|| malformed("a proxy names a client that is no address"))?;
        farthest = Some(address);
        if !is_proxy(address, proxies) {
            break;
        }
    }
    Ok(farthest)
}

fn malformed(why: &'static str) -> Problem {
    Problem::client(Kind::Malformed, &why)
}

/// An address of `x-forwarded-for`, which some proxies write with a port.
fn from_address(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            is_port(port).then_some(address)?
        }
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => is_port(&text[address.len()..]).then_some(address)?,
            _ => text,
        },
    };
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// `:` and digits, or nothing.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// The `for` of an element of `forwarded` (RFC 7239 section 4).
fn from_element(text: &str) -> Option<IpAddr> {
    let mut nodes = text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let (node, more) = (nodes.next()?, nodes.next().is_some());
    let unquoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node);
    if more { None } else { from_address(unquoted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, headers: &[(&str, &str)]) -> Result<String, u16> {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1234)));
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut all = HeaderMap::new();
        headers.for_each(|(name, value): (HeaderName, http::HeaderValue)| {
            all.append(name, value);
        });
        let proxies = ["10.0.0.0/8".parse().unwrap(), "2001:db8:ffff::/48".parse().unwrap()];
        match Client::of(&extensions, &all, &proxies) {
            Ok(client) => Ok(client.0.unwrap().to_string()),
            Err(problem) => Err(problem.kind().status().as_u16()),
        }
    }

    #[track_caller]
    fn is(peer: &str, headers: &[(&str, &str)], client: &str) {
        assert_eq!(of(peer, headers), Ok(client.to_owned()), "{headers:?}");
    }

    const PROXY: &str = "10.0.0.1";

    #[test]
    fn a_stranger_is_not_believed_about_its_address() {
        is("192.0.2.1", &[("x-forwarded-for", "10.0.0.9")], "192.0.2.1");
        is("::ffff:192.0.2.1", &[("forwarded", "for=10.0.0.9")], "192.0.2.1");
    }

    #[test]
    fn a_proxy_is_believed_up_to_the_first_address_that_is_no_proxy_s() {
        is(PROXY, &[], PROXY);
        is(PROXY, &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        is(PROXY, &[("x-forwarded-for", "10.9.9.9, 203.0.113.9, 198.51.100.1, 10.0.0.2")], "198.51.100.1");
        is(PROXY, &[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
        is(PROXY, &[("x-forwarded-for", "10.0.0.3,10.0.0.2")], "10.0.0.3");
        is(PROXY, &[("x-forwarded-for", "junk, 198.51.100.1")], "198.51.100.1");
        is("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:198.51.100.1")], "198.51.100.1");
        is("2001:db8:ffff::1", &[("x-forwarded-for", "198.51.100.1:5000")], "198.51.100.1");
    }

    #[test]
    fn the_standard_header_is_read_too() {
        is(PROXY, &[("forwarded", "for=203.0.113.9, FOR=198.51.100.1;proto=https;by=10.0.0.1")], "198.51.100.1");
        is(PROXY, &[("forwarded", "for=\"[2001:db8::7]:4711\"")], "2001:db8::7");
        is(PROXY, &[("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1");
    }

    #[test]
    fn what_leaves_the_client_in_doubt_is_refused() {
        for headers in [
            &[("forwarded", "for=10.0.0.9"), ("x-forwarded-for", "198.51.100.1")][..],
            &[("x-forwarded-for", "198.51.100.1, unknown")],
            &[("x-forwarded-for", "")],
            &[("x-forwarded-for", "198.51.100.1:x")],
            &[("forwarded", "for=_hidden")],
            &[("forwarded", "for=unknown")],
            &[("forwarded", "proto=https")],
            &[("forwarded", "for=1.2.3.4;for=5.6.7.8")],
            &[("forwarded", "for=\"[::1\"")],
        ] {
            assert_eq!(of(PROXY, headers), Err(400), "{headers:?}");
        }
    }

    #[test]
    fn without_a_connection_nobody_is_known() {
        assert_eq!(Client::of(&Extensions::new(), &HeaderMap::new(), &[]).unwrap(), Client(None));
    }
}
