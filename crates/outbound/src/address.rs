//! Which addresses are out in the world, and which are ours and must not be reached by accident.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether packets to `address` leave for the public internet: not this machine, not its network, not the metadata
/// service of its cloud, not a form that hides one of those.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let benchmark = a == 198 && matches!(b, 18 | 19);
    // The one metadata service with an address out in the world: Azure's.
    let metadata = address == Ipv4Addr::new(168, 63, 129, 16);
    !(special || shared || protocol || benchmark || metadata || a == 0 || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is global unicast. Within it, 2001::/23 and 2001:db8::/32 are not, 2002::/16 wraps an IPv4
    // address, and 3fff::/20 is for documentation. Mapped and NAT64 forms lie outside.
    let global = a & 0xe000 == 0x2000;
    let protocol = a == 0x2001 && (b < 0x0200 || b == 0x0db8);
    global && !protocol && a != 0x2002 && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_out_in_the_world_is_not_public() {
        let hidden = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "198.18.0.1",
            "192.0.0.1",
            "203.0.113.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fd00:ec2::254",
            "fec0::1",
        ];
        for address in hidden {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::200e"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
