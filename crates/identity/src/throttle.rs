//! Guessing passwords, made slow: so many failures a minute, then a pause. Pure: the time is an argument.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use kernel::Timestamp;

/// How many failures one account is allowed from one network, in any minute.
pub const PER_ACCOUNT: usize = 10;

/// How many failures one network is allowed in any minute, whatever the accounts.
pub const PER_NETWORK: usize = 100;

/// How many accounts and networks are told apart. When there are more, the ones that were counted first are forgotten:
/// each failure costs the guesser a hash, so that so many within a minute are out of reach.
const CAPACITY: usize = 65_536;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// Counts attempts. Each counts as a failure from its beginning, so that many at once are no way around.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    accounts: Counts<(String, Option<IpAddr>)>,
    networks: Counts<IpAddr>,
}

/// An attempt that is allowed and has not ended: it counts as failed until it succeeds.
#[derive(Debug)]
#[must_use = "an attempt that succeeds is to be taken back"]
pub(crate) struct Attempt {
    account: (String, Option<IpAddr>),
    at: Timestamp,
}

/// Too many failures: try again when so many seconds have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts: try again in {retry_after_seconds} seconds")]
pub struct Throttled {
    /// When to try again.
    pub retry_after_seconds: u64,
}

#[derive(Debug)]
struct Counts<K> {
    recent: HashMap<K, Recent>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { recent: HashMap::new() }
    }
}

/// The failures of the minute that ends now, the oldest first: no more than are allowed, since past them none is tried.
#[derive(Debug, Default)]
struct Recent(VecDeque<Timestamp>);

impl Recent {
    fn forget_old(&mut self, now: Timestamp) {
        // A clock that was set back does not make a minute longer than it is.
        self.0.retain(|at| (0..MINUTE).contains(&now.micros().saturating_sub(at.micros())));
    }
}

impl<K: Eq + Hash + Clone> Counts<K> {
    fn refusal(&mut self, key: &K, limit: usize, now: Timestamp) -> Option<Throttled> {
        let recent = self.recent.get_mut(key)?;
        recent.forget_old(now);
        let first = recent.0.len().checked_sub(limit).and_then(|before| recent.0.get(before))?;
        let end = Timestamp::from_micros(first.micros().saturating_add(MINUTE));
        Some(Throttled { retry_after_seconds: now.seconds_until(end).max(1) })
    }

    fn count(&mut self, key: &K, now: Timestamp) {
        if self.recent.len() >= CAPACITY && !self.recent.contains_key(key) {
            self.make_room(now);
        }
        self.recent.entry(key.clone()).or_default().0.push_back(now);
    }

    /// Takes back one failure that was counted at `at`.
    fn take_back(&mut self, key: &K, at: Timestamp) {
        if let Some(recent) = self.recent.get_mut(key)
            && let Some(place) = recent.0.iter().position(|failure| *failure == at)
        {
            recent.0.remove(place);
        }
    }

    fn make_room(&mut self, now: Timestamp) {
        self.recent.retain(|_, recent| {
            recent.forget_old(now);
            !recent.0.is_empty()
        });
        if self.recent.len() < CAPACITY {
            return;
        }
        let mut firsts: Vec<_> = self.recent.values().map(|recent| recent.0.front().copied()).collect();
        let middle = firsts.len() / 2;
        let (_, median, _) = firsts.select_nth_unstable(middle);
        let median = *median;
        self.recent.retain(|_, recent| recent.0.front().copied() > median);
    }
}

impl Throttle {
    /// Begins an attempt at `account` from `address`, or refuses it. An attempt from no address is one within Taskforce,
    /// such as at one's own password.
    pub(crate) fn begin(
        &mut self,
        account: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt, Throttled> {
        let network = address.map(network_of);
        let account = (account.to_owned(), network);
        let by_network = network.and_then(|network| self.networks.refusal(&network, PER_NETWORK, now));
        if let Some(refusal) = self.accounts.refusal(&account, PER_ACCOUNT, now).or(by_network) {
            return Err(refusal);
        }
        self.accounts.count(&account, now);
        if let Some(network) = network {
            self.networks.count(&network, now);
        }
        Ok(Attempt { account, at: now })
    }

    /// The attempt succeeded: it and the failures before it are forgiven to the account, and it to the network.
    pub(crate) fn succeeded(&mut self, attempt: Attempt) {
        let Attempt { account, at } = attempt;
        if let Some(network) = account.1 {
            self.networks.take_back(&network, at);
        }
        self.accounts.recent.remove(&account);
    }
}

/// Whom an address stands for: itself, or the 64 bits of an IPv6 address that its holder does not choose freely.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus_seconds(seconds)
    }

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    fn fails(throttle: &mut Throttle, account: &str, address: IpAddr, now: Timestamp) -> bool {
        throttle.begin(account, Some(address), now).is_ok()
    }

    #[test]
    fn ten_failures_a_minute_and_then_a_pause() {
        let mut throttle = Throttle::default();
        let address = from("192.0.2.1");
        for number in 0..10 {
            assert!(fails(&mut throttle, "acme/bob", address, second(number)));
        }
        let refused = throttle.begin("acme/bob", Some(address), second(10)).unwrap_err();
        assert_eq!(refused.retry_after_seconds, 50);
        assert_eq!(throttle.begin("acme/bob", Some(address), second(59)).unwrap_err().retry_after_seconds, 1);
        assert!(throttle.begin("acme/bob", Some(address), second(60)).is_ok());
    }

    #[test]
    fn an_account_that_is_guessed_at_stays_open_to_its_owner_elsewhere() {
        let mut throttle = Throttle::default();
        (0..20).for_each(|_| drop(throttle.begin("acme/bob", Some(from("192.0.2.1")), second(0))));
        assert!(throttle.begin("acme/bob", Some(from("192.0.2.1")), second(1)).is_err());
        assert!(throttle.begin("acme/bob", Some(from("198.51.100.1")), second(1)).is_ok());
        assert!(throttle.begin("acme/alice", Some(from("192.0.2.1")), second(1)).is_ok());
    }

    #[test]
    fn one_network_does_not_try_one_password_on_every_account() {
        let mut throttle = Throttle::default();
        let tried = (0..500).filter(|number| {
            let neighbour = from(&format!("2001:db8::{number:x}"));
            fails(&mut throttle, &format!("acme/{number}"), neighbour, second(0))
        });
        assert_eq!(tried.count(), 100);
        assert!(throttle.begin("acme/bob", Some(from("2001:db8:0:1::1")), second(0)).is_ok());
    }

    #[test]
    fn success_forgives_and_costs_the_network_nothing() {
        let mut throttle = Throttle::default();
        for number in 0..300 {
            let attempt = throttle.begin("acme/bob", Some(from("192.0.2.1")), second(number / 10)).unwrap();
            throttle.succeeded(attempt);
        }
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let mut throttle = Throttle::default();
        for number in 0..u32::try_from(CAPACITY).unwrap() + 10 {
            let address = IpAddr::from(std::net::Ipv4Addr::from(number));
            assert!(fails(&mut throttle, "acme/bob", address, second(i64::from(number / 2_000))));
        }
        assert!(throttle.accounts.recent.len() <= CAPACITY && throttle.networks.recent.len() <= CAPACITY);
    }

    proptest! {
        #[test]
        fn no_minute_sees_more_than_its_failures(steps in proptest::collection::vec(0i64..20, 1..200)) {
            let (mut throttle, mut now, mut allowed) = (Throttle::default(), 0, Vec::new());
            for step in steps {
                now += step;
                if fails(&mut throttle, "acme/bob", from("192.0.2.1"), second(now)) {
                    allowed.push(now);
                }
            }
            for (at, begin) in allowed.iter().enumerate() {
                let within = allowed.iter().skip(at).take_while(|time| *time - begin < 60).count();
                prop_assert!(within <= PER_ACCOUNT);
            }
        }
    }
}
