//! How often a party may be asked.

use kernel::Timestamp;

/// At least so many seconds lie between two requests to the same place.
pub(crate) const SPACING: u64 = 10;

/// The time between two instants in seconds, whichever came first: a clock that was set back makes nothing young.
pub(crate) fn seconds_between(one: Timestamp, other: Timestamp) -> u64 {
    one.micros().abs_diff(other.micros()) / 1_000_000
}

/// Remembers the last attempt.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Timestamp>,
}

impl Throttle {
    /// Whether an attempt may be made now; if so, it counts as made.
    pub(crate) fn admit(&mut self, now: Timestamp) -> bool {
        let admitted = self.last.is_none_or(|last| seconds_between(last, now) >= SPACING);
        if admitted {
            self.last = Some(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_spaced_and_a_clock_set_back_stops_none() {
        let start = Timestamp::from_micros(1_800_000_000_000_000);
        let mut throttle = Throttle::default();
        let admitted: Vec<i64> = (0..60).filter(|second| throttle.admit(start.plus_seconds(*second))).collect();
        assert_eq!(admitted, [0, 10, 20, 30, 40, 50]);
        assert!(throttle.admit(start.plus_seconds(-86_400)));
    }
}
