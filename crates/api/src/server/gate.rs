//! Who may connect: so many in all, and so many from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::client::network;

/// Counts connections.
#[derive(Debug)]
pub(super) struct Gate {
    most: usize,
    most_per_ip: usize,
    open: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// The right to be connected. It ends when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Arc<Gate>,
    ip: IpAddr,
}

impl Gate {
    /// At most `most` connections, `most_per_ip` from one address.
    pub(super) fn new(most: usize, most_per_ip: usize) -> Self {
        Self { most, most_per_ip, open: Mutex::default() }
    }

    /// Lets a connection in, or not.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Permit> {
        let ip = network(ip);
        let mut open = self.open.lock();
        let here = open.by_ip.get(&ip).copied().unwrap_or(0);
        if open.all >= self.most || here >= self.most_per_ip {
            return None;
        }
        open.all += 1;
        open.by_ip.insert(ip, here + 1);
        Some(Permit { gate: Arc::clone(self), ip })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock();
        open.all = open.all.saturating_sub(1);
        let here = open.by_ip.get(&self.ip).copied().unwrap_or(0);
        if here > 1 {
            open.by_ip.insert(self.ip, here - 1);
        } else {
            open.by_ip.remove(&self.ip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_that_ends_makes_room() {
        let gate = Arc::new(Gate::new(3, 2));
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let first = gate.admit(ip).unwrap();
        let second = gate.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
        assert!(gate.admit(ip).is_none(), "two from this address");
        let other = gate.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.admit("2001:db8::2".parse().unwrap()).is_none(), "three in all");
        drop((first, other));
        assert!(gate.admit(ip).is_some());
        drop(second);
        assert!(gate.open.lock().by_ip.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let gate = Arc::new(Gate::new(9, 1));
        let _first = gate.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert!(gate.admit("2001:db8::ffff:1".parse().unwrap()).is_none());
        assert!(gate.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
