//! Rate limits: how many requests a tenant, a credential and a network may make in a minute.
//!
//! The generic cell rate algorithm keeps one instant for each of them: when what was taken so far will have been earned.
//! In the long run exactly as many requests pass as the limit says. After a pause, as many may come at once as
//! [`Quota::burst`] says.
//!
//! **Invariant:** a limit is kept by each node on its own: with three nodes behind a load balancer, three times the limit
//! can pass. What must never be passed in sum is a budget, not a rate.
//! **Invariant:** a caller without limits costs this module nothing: no lock, no allocation.

mod admission;
mod buckets;

#[cfg(test)]
pub(crate) use admission::HEAVY;
pub(crate) use admission::{Agreed, Limited, Rates};

/// A minute, in nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// So many requests in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// What it is called in answers.
    pub(crate) name: &'static str,
    /// How many in a minute.
    pub(crate) count: u32,
}

/// The instant by which everything that was taken will have been earned, in nanoseconds since 1970: all that is known of
/// whom a limit is for. Zero for whom nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Earned(pub(super) u64);

/// What became of a request for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It passes.
    Passed(Left),
    /// It does not, and nothing was taken.
    Refused {
        /// After so many seconds one more passes.
        retry_after: u64,
        /// What is left.
        left: Left,
    },
}

/// What is left of a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// How many more could be taken now.
    pub(crate) count: u64,
    /// After so many seconds it is whole again.
    pub(crate) whole_in: u64,
}

impl Quota {
    /// So many in a minute, under this name.
    pub(crate) const fn per_minute(name: &'static str, count: u32) -> Self {
        Self { name, count }
    }

    /// How many may come at once: all of a small quota; of a large one half a second's worth, so that no minute sees one
    /// percent more than the limit.
    pub(crate) fn burst(self) -> u32 {
        const SMALL: u32 = 100;
        self.count.min(SMALL).max(self.count / 120)
    }

    /// How long it takes to earn one, in nanoseconds; `None` where nothing is ever earned.
    fn interval(self) -> Option<u64> {
        MINUTE.checked_div(u64::from(self.count)).map(|interval| interval.max(1))
    }
}

/// Takes one, or nothing. Pure: what is known before, and what is known after.
pub(super) fn take(before: Earned, quota: Quota, now: u64) -> (Earned, Taken) {
    let Some(interval) = quota.interval() else {
        let left = Left { count: 0, whole_in: seconds(MINUTE) };
        return (before, Taken::Refused { retry_after: seconds(MINUTE), left });
    };
    let span = interval.saturating_mul(u64::from(quota.burst()));
    // A clock that was set back, or a limit that was changed, does not lock anybody out for longer than the limit would.
    let owed = before.0.saturating_sub(now).min(span);
    let after = owed.saturating_add(interval);
    let left = |owed: u64| Left { count: span.saturating_sub(owed) / interval, whole_in: seconds(owed) };
    if after > span {
        return (
            Earned(now.saturating_add(owed)),
            Taken::Refused { retry_after: seconds(after - span), left: left(owed) },
        );
    }
    (Earned(now.saturating_add(after)), Taken::Passed(left(after)))
}

/// Whole seconds, rounded up.
const fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 1_800_000_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn quota(count: u32) -> Quota {
        Quota::per_minute("tenant", count)
    }

    fn passes(taken: Taken) -> bool {
        matches!(taken, Taken::Passed(_))
    }

    /// How many of the requests at these instants pass.
    fn passed(quota: Quota, instants: impl IntoIterator<Item = u64>) -> u64 {
        let mut known = Earned::default();
        let mut count = 0;
        for now in instants {
            let (after, taken) = take(known, quota, now);
            known = after;
            count += u64::from(passes(taken));
        }
        count
    }

    #[test]
    fn a_small_quota_may_be_used_at_once_and_comes_back_evenly() {
        assert_eq!(passed(quota(60), (0..100).map(|_| START)), 60);
        let mut known = Earned::default();
        for _ in 0..60 {
            known = take(known, quota(60), START).0;
        }
        let (_, refused) = take(known, quota(60), START);
        assert_eq!(refused, Taken::Refused { retry_after: 1, left: Left { count: 0, whole_in: 60 } });
        let (_, later) = take(known, quota(60), START + SECOND);
        assert_eq!(later, Taken::Passed(Left { count: 0, whole_in: 60 }));
        let (_, much_later) = take(known, quota(60), START + 3600 * SECOND);
        assert_eq!(much_later, Taken::Passed(Left { count: 59, whole_in: 1 }));
    }

    #[test]
    fn a_thousand_requests_a_second_are_limited_within_one_percent() {
        for count in [12_000, 30_000, 59_999, 60_000] {
            let minute = (0..60_000).map(|n| START + n * SECOND / 1_000);
            let passed = passed(quota(count), minute);
            assert!(passed.abs_diff(u64::from(count)) * 100 <= u64::from(count), "{passed} of {count}");
        }
    }

    #[test]
    fn nothing_passes_a_quota_of_nothing() {
        assert_eq!(passed(quota(0), (0..10).map(|n| START + n * 60 * SECOND)), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_the_limit_would() {
        let (ahead, _) = take(Earned::default(), quota(1), START + 3600 * SECOND);
        let (known, refused) = take(ahead, quota(1), START);
        assert!(!passes(refused));
        assert!(passes(take(known, quota(1), START + 60 * SECOND).1));
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_the_burst_and_what_is_earned(
            count in 1..5_000u32,
            gaps in proptest::collection::vec(0..3 * SECOND, 1..300),
        ) {
            let quota = quota(count);
            let interval = quota.interval().unwrap();
            let (mut known, mut now, mut passed) = (Earned::default(), START, Vec::new());
            for gap in gaps {
                now += gap;
                let (after, taken) = take(known, quota, now);
                known = after;
                if passes(taken) { passed.push(now); }
            }
            for (first, start) in passed.iter().enumerate() {
                for (last, end) in passed.iter().enumerate().skip(first) {
                    let taken = u64::try_from(last - first + 1).unwrap();
                    prop_assert!(taken <= u64::from(quota.burst()) + (end - start) / interval);
                }
            }
        }

        #[test]
        fn it_decides_as_a_bucket_that_fills_drop_by_drop(
            count in 1..2_000u32,
            gaps in proptest::collection::vec(0..2 * SECOND, 1..300),
        ) {
            let quota = quota(count);
            let (interval, burst) = (quota.interval().unwrap(), u64::from(quota.burst()));
            let (mut known, mut now) = (Earned::default(), START);
            // The bucket's content in nanoseconds of earning.
            let mut bucket = burst * interval;
            for gap in gaps {
                now += gap;
                bucket = (bucket + gap).min(burst * interval);
                let (after, taken) = take(known, quota, now);
                known = after;
                prop_assert_eq!(passes(taken), bucket >= interval);
                if passes(taken) { bucket -= interval; }
                let (Taken::Passed(left) | Taken::Refused { left, .. }) = taken;
                prop_assert_eq!(left.count, bucket / interval);
            }
        }

        #[test]
        fn after_the_time_that_was_told_one_more_passes(count in 1..1_000u32, used in 0..2_000u32) {
            let quota = quota(count);
            let known = (0..used).fold(Earned::default(), |known, _| take(known, quota, START).0);
            if let (known, Taken::Refused { retry_after, .. }) = take(known, quota, START) {
                prop_assert!(passes(take(known, quota, START + retry_after * SECOND).1));
                prop_assert!(retry_after == 1 || !passes(take(known, quota, START + (retry_after - 1) * SECOND).1));
            }
        }
    }
}
