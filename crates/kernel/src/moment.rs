//! Time and randomness, as arguments.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::Id;

/// An instant in UTC, in microseconds since 1970. It prints as RFC 3339 with milliseconds and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 instant, such as `2026-01-31T12:00:00Z`")]
pub struct TimestampError;

impl Timestamp {
    /// From microseconds since 1970, clamped to the years that RFC 3339 can write (0000 to 9999).
    pub const fn from_micros(micros: i64) -> Self {
        const MIN: i64 = -62_167_219_200_000_000;
        const MAX: i64 = 253_402_207_200_000_000;
        if micros < MIN {
            Self(MIN)
        } else if micros > MAX {
            Self(MAX)
        } else {
            Self(micros)
        }
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970; an instant before that counts as 1970.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// Whole seconds from this instant until `later`, rounded up; zero if it has passed.
    pub fn seconds_until(self, later: Self) -> u64 {
        u64::try_from(later.0.saturating_sub(self.0).saturating_add(999_999) / 1_000_000).unwrap_or(0)
    }

    /// This instant and so many seconds.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_micros(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The start of this instant's day, in UTC.
    #[must_use]
    pub const fn day_start(self) -> Self {
        Self(self.0 - self.0.rem_euclid(86_400_000_000))
    }

    /// The start of the month that is `months` after this instant's, in UTC.
    #[must_use]
    pub fn month_start(self, months: i32) -> Self {
        let date = self.zoned().date().first_of_month();
        let span = jiff::Span::new().months(i64::from(months));
        let shifted = date.checked_add(span).unwrap_or(date);
        shifted
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(self, |zoned| Self::from_micros(zoned.timestamp().as_microsecond()))
    }

    fn zoned(self) -> jiff::Zoned {
        jiff::Timestamp::from_microsecond(self.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zoned().strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| TimestampError)?;
        Ok(Self::from_micros(parsed.as_microsecond()))
    }
}

/// Where the time comes from. Only the binary holds a real one.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Where randomness comes from.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the operating system has no randomness to give: nothing that needs it may go on.
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "without randomness no key, id or nonce may be made")]
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}

/// Randomness that repeats, for tests and examples (`SplitMix64`). Never for keys.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// The sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let state = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(mixed.to_le_bytes().get(..chunk.len()).unwrap_or_default());
        }
    }
}

/// One instant and a source of randomness: all that a use case may know of the outside world.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

impl<'a> Moment<'a> {
    /// The moment `now`, with `entropy` at hand.
    pub fn new(now: Timestamp, entropy: &'a dyn Entropy) -> Self {
        Self { now, entropy }
    }

    /// The instant.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The source of randomness.
    pub const fn entropy(&self) -> &'a dyn Entropy {
        self.entropy
    }

    /// Fills `buffer` with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.entropy.fill(buffer);
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A new identifier.
    pub fn id<I: Id>(&self) -> I {
        I::generate(self)
    }
}

/// A clock that stands still until told otherwise, with randomness that repeats: for tests and examples.
#[derive(Debug)]
pub struct FixedMoment {
    micros: AtomicI64,
    entropy: SeededEntropy,
}

impl FixedMoment {
    /// A clock that shows `micros` since 1970.
    pub const fn new(micros: i64) -> Self {
        Self { micros: AtomicI64::new(micros), entropy: SeededEntropy::new(7) }
    }

    /// The moment it shows.
    pub fn moment(&self) -> Moment<'_> {
        Moment::new(self.now(), &self.entropy)
    }

    /// Moves the clock.
    pub fn advance_micros(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for FixedMoment {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

impl Entropy for FixedMoment {
    fn fill(&self, buffer: &mut [u8]) {
        self.entropy.fill(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_milliseconds() {
        let instant = Timestamp::from_micros(1_800_000_000_123_999);
        assert_eq!(instant.to_string(), "2027-01-15T08:00:00.123Z");
        assert_eq!("2027-01-15T08:00:00.123Z".parse(), Ok(Timestamp::from_micros(1_800_000_000_123_000)));
        assert_eq!("2027-01-15T09:00:00+01:00".parse(), Ok(Timestamp::from_micros(1_800_000_000_000_000)));
        assert!("2027-01-15".parse::<Timestamp>().is_err());
    }

    #[test]
    fn periods_start_at_midnight_utc() {
        let instant: Timestamp = "2026-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(instant.day_start().to_string(), "2026-12-31T00:00:00.000Z");
        assert_eq!(instant.month_start(0).to_string(), "2026-12-01T00:00:00.000Z");
        assert_eq!(instant.month_start(1).to_string(), "2027-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_extremes_still_print() {
        assert_eq!(Timestamp::from_micros(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
        assert!(Timestamp::from_micros(i64::MAX).to_string().starts_with("9999-12-30"));
    }
}
