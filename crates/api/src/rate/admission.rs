//! Which limits a request counts against, and what its answer says about them.

use std::fmt::Write as _;

use authz::{Caller, Via};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use kernel::Timestamp;

use super::buckets::Buckets;
use super::{Left, Quota, Taken};
use crate::client::Client;
use crate::problem::{Kind, Problem};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Operations of which each costs the server much.
pub(crate) const HEAVY: [&str; 2] = ["backtest_policy", "export_package"];

/// Operations that cost much, for each credential.
const HEAVY_OPERATIONS: Quota = Quota::per_minute("heavy", 30);
/// Refused credentials, for each network.
const FAILURES: Quota = Quota::per_minute("failures", 60);
/// Each operation that somebody without credentials is let in by, or revokes a key by, for each network.
const ENTRANCE: Quota = Quota::per_minute("network", 300);

/// What is known of everybody whom a limit is for.
#[derive(Debug, Default)]
pub(crate) struct Rates(Buckets);

/// The limits that a tenant has agreed on, each for a minute.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Agreed {
    /// For all its requests together.
    pub(crate) tenant: Option<u32>,
    /// For the requests with one credential.
    pub(crate) credential: Option<u32>,
}

/// How a request stands with the limits that it counts against: nothing, for most.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    left: Vec<(Quota, Left)>,
    refused: Option<(Quota, u64)>,
}

impl Rates {
    /// Counts a request of `caller`. What is narrowest comes first: a request that it stops is not held against others.
    pub(crate) fn admit(&self, caller: &Caller, agreed: Agreed, operation: &str, now: Timestamp) -> Limited {
        let mut limited = Limited::default();
        // Whoever has a key makes as many tokens as they like: those of one user count together.
        let via = caller.actor().via.as_ref().filter(|via| !matches!(via, Via::Token(_)));
        let credential = (caller.tenant(), via.map_or(caller.actor().id.as_str(), Via::as_str));
        if HEAVY.contains(&operation) {
            limited.count(HEAVY_OPERATIONS, || self.0.take(credential, HEAVY_OPERATIONS, now));
        }
        if let Some(count) = agreed.credential {
            let quota = Quota::per_minute("credential", count);
            limited.count(quota, || self.0.take(credential, quota, now));
        }
        if let Some(count) = agreed.tenant {
            let quota = Quota::per_minute("tenant", count);
            limited.count(quota, || self.0.take(caller.tenant(), quota, now));
        }
        limited
    }

    /// Counts refused credentials against the network that they came from.
    pub(crate) fn failure(&self, client: Client, now: Timestamp) -> Limited {
        let mut limited = Limited::default();
        limited.count(FAILURES, || self.0.take(client.network(), FAILURES, now));
        limited
    }

    /// Counts a request that needs no credentials against the network that it came from.
    pub(crate) fn enter(&self, client: Client, operation: &str, now: Timestamp) -> Limited {
        let mut limited = Limited::default();
        limited.count(ENTRANCE, || self.0.take((client.network(), operation), ENTRANCE, now));
        limited
    }
}

impl Limited {
    fn count(&mut self, quota: Quota, take: impl FnOnce() -> Taken) {
        if self.refused.is_some() {
            return;
        }
        match take() {
            Taken::Passed(left) => self.left.push((quota, left)),
            Taken::Refused { retry_after, left } => {
                self.left.push((quota, left));
                self.refused = Some((quota, retry_after));
            }
        }
    }

    /// The refusal, if a limit is passed.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        let (Quota { name, count }, retry_after) = self.refused?;
        let words = format!("the limit `{name}` is {count} requests a minute");
        Some(Problem::client(Kind::RateLimited, &words).retry_after(retry_after))
    }

    /// Says in an answer how much is left (draft-ietf-httpapi-ratelimit-headers-10).
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if self.left.is_empty() {
            return;
        }
        let (mut policy, mut limit) = (String::new(), String::new());
        for (Quota { name, count }, Left { count: left, whole_in }) in &self.left {
            let comma = if policy.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(policy, "{comma}\"{name}\";q={count};w=60");
            let _ = write!(limit, "{comma}\"{name}\";r={left};t={whole_in}");
        }
        for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn from(address: &str) -> Client {
        Client(Some(address.parse().unwrap()))
    }

    fn told(limited: &Limited) -> String {
        let mut headers = HeaderMap::new();
        limited.tell(&mut headers);
        let text = |name: HeaderName| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        format!("{} / {}", text(POLICY), text(LIMIT))
    }

    #[test]
    fn a_network_has_sixty_failures_a_minute_and_is_told_when_to_come_back() {
        let rates = Rates::default();
        let first = rates.failure(from("192.0.2.1"), NOW);
        assert_eq!(told(&first), "\"failures\";q=60;w=60 / \"failures\";r=59;t=1");
        assert!((1..60).all(|_| rates.failure(from("192.0.2.1"), NOW).refusal().is_none()));
        let refused = rates.failure(from("192.0.2.1"), NOW);
        assert_eq!(told(&refused), "\"failures\";q=60;w=60 / \"failures\";r=0;t=60");
        let problem = refused.refusal().unwrap();
        assert_eq!(problem.detail(), Some("the limit `failures` is 60 requests a minute"));
        assert!(rates.failure(from("192.0.2.2"), NOW).refusal().is_none());
        assert!(rates.failure(from("192.0.2.1"), NOW.plus_seconds(1)).refusal().is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_entrances_are_counted_apart() {
        let rates = Rates::default();
        for n in 0..60 {
            assert!(rates.failure(from(&format!("2001:db8::{n:x}")), NOW).refusal().is_none());
        }
        assert!(rates.failure(from("2001:db8::ffff"), NOW).refusal().is_some());
        assert!(rates.failure(from("2001:db8:0:1::1"), NOW).refusal().is_none());
        assert!((0..100).all(|_| rates.enter(from("192.0.2.1"), "sign_in", NOW).refusal().is_none()));
        assert!(rates.enter(from("192.0.2.1"), "sign_in", NOW).refusal().is_some());
        assert!(rates.enter(from("192.0.2.1"), "report_leaked_key", NOW).refusal().is_none());
    }

    #[test]
    fn a_request_without_limits_is_told_nothing() {
        assert_eq!(told(&Limited::default()), " / ");
        assert_eq!(Limited::default().left.capacity(), 0);
    }
}
