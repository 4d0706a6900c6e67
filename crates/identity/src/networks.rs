//! Where a credential may be used from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// How many networks a key may list.
pub const MAX_NETWORKS: usize = 32;

/// The networks that a key may be used from, sorted and without repeats; none listed means anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Texts that list no networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworksError {
    /// One is no network.
    #[error("`{0}` is not a network, such as `192.0.2.0/24`, `2001:db8::/32` or a single address")]
    Network(String),
    /// There are too many.
    #[error("more than {MAX_NETWORKS} networks")]
    TooMany,
}

impl Networks {
    /// Reads networks in CIDR notation, or single addresses.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, NetworksError> {
        let mut networks = Vec::new();
        for text in texts {
            if networks.len() == MAX_NETWORKS {
                return Err(NetworksError::TooMany);
            }
            networks.push(network(text.as_ref())?);
        }
        networks.sort_unstable();
        networks.dedup();
        Ok(Self(networks))
    }

    /// Whether a request from `address` is welcome. An address that is not known is not, where networks are listed.
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        let within = |address: IpAddr| self.0.iter().any(|network| network.contains(&address.to_canonical()));
        self.0.is_empty() || address.is_some_and(within)
    }

    /// Whether none is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks, in CIDR notation.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }
}

/// Networks separated by commas, as the database keeps them.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Networks {
    type Err = NetworksError;

    fn from_str(text: &str) -> Result<Self, NetworksError> {
        Self::new(text.split(',').filter(|network| !network.is_empty()))
    }
}

/// A network without host bits; an IPv4 network that is written as IPv6 becomes what it is.
fn network(text: &str) -> Result<IpNet, NetworksError> {
    let refused = || NetworksError::Network(text.chars().take(64).collect());
    let parsed = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| refused())?,
    };
    match parsed.trunc() {
        IpNet::V6(network) => match network.addr().to_ipv4_mapped() {
            Some(address) => {
                let prefix = network.prefix_len().checked_sub(96).ok_or_else(refused)?;
                Ipv4Net::new(address, prefix).map(IpNet::V4).map_err(|_| refused())
            }
            None => Ok(IpNet::V6(network)),
        },
        network @ IpNet::V4(_) => Ok(network),
    }
}

store::text_values!(Networks);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::new(texts).unwrap()
    }

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_address_is_welcome_within_a_listed_network_only() {
        let office = networks(&["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]);
        for welcome in ["192.0.2.0", "192.0.2.255", "2001:db8:ffff::1", "198.51.100.7", "::ffff:192.0.2.9"] {
            assert!(office.admit(Some(from(welcome))), "{welcome}");
        }
        for stranger in ["192.0.3.0", "191.255.255.255", "2001:db9::1", "198.51.100.8", "::ffff:192.0.3.9", "::1"] {
            assert!(!office.admit(Some(from(stranger))), "{stranger}");
        }
        assert!(!office.admit(None), "an unknown address is no welcome one");
        assert!(networks(&[]).admit(None) && networks(&[]).admit(Some(from("203.0.113.1"))));
    }

    #[test]
    fn networks_are_kept_in_one_spelling() {
        let spelled = networks(&["::ffff:10.0.0.0/104", "10.1.2.3/8", "2001:DB8::1/32"]);
        assert_eq!(spelled.to_string(), "10.0.0.0/8,2001:db8::/32");
        assert_eq!(spelled.to_string().parse(), Ok(spelled));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "acme.example", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/8,", "::/129", "::ffff:0:0/90x", " ::1"] {
            assert!(matches!(Networks::new([bad]), Err(NetworksError::Network(_))), "{bad}");
        }
        let many = (0..33).map(|last| format!("10.0.0.{last}"));
        assert_eq!(Networks::new(many), Err(NetworksError::TooMany));
    }

    proptest! {
        #[test]
        fn membership_is_the_prefix_of_the_bits(network: u32, address: u32, prefix in 0u8..=32) {
            let listed = Networks::new([format!("{}/{prefix}", std::net::Ipv4Addr::from(network))]).unwrap();
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let within = network & mask == address & mask;
            prop_assert_eq!(listed.admit(Some(IpAddr::from(std::net::Ipv4Addr::from(address)))), within);
        }
    }
}
