//! Money as an exact integer.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// An amount of US dollars in nano-dollars (10⁻⁹), exact and signed. It prints as a plain decimal.
///
/// Arithmetic saturates at ±9.2 billion dollars instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(i64);

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount: expected a decimal number with at most nine places, such as `12.50`")]
pub struct MoneyError;

const NANOS: u64 = 1_000_000_000;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The currency of every amount.
    pub const CURRENCY: &'static str = "USD";

    /// From nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// In nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// What `quantity` units cost at `self` for each million of them, rounded up to the nano-dollar: a charge is
    /// never less than the price.
    #[must_use]
    pub fn per_million(self, quantity: u64) -> Self {
        let exact = i128::from(self.0) * i128::from(quantity);
        let rounded = (exact + 999_999).div_euclid(1_000_000);
        Self(i64::try_from(rounded).unwrap_or(i64::MAX))
    }

    /// The smaller of two amounts.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    /// At least two decimal places, at most nine, no trailing zeros beyond the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0.unsigned_abs() / NANOS, self.0.unsigned_abs() % NANOS);
        let fraction = format!("{nanos:09}");
        let kept = fraction.trim_end_matches('0').len().max(2);
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{whole}.{}", fraction.get(..kept).unwrap_or(&fraction)))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || fraction.len() > 9 {
            return Err(MoneyError);
        }
        let whole: i64 = whole.parse().map_err(|_| MoneyError)?;
        let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| MoneyError)?;
        let amount = whole.checked_mul(1_000_000_000).and_then(|w| w.checked_add(nanos)).ok_or(MoneyError)?;
        Ok(Self(if negative { -amount } else { amount }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_print_as_plain_decimals() {
        for (nanos, text) in [(0, "0.00"), (2_500, "0.0000025"), (12_500_000_000, "12.50"), (-1, "-0.000000001")] {
            assert_eq!(Money::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1e3", "+1", "1,5", "0.0000000001", "99999999999", " 1", "--1"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError), "{text}");
        }
    }

    #[test]
    fn a_charge_is_rounded_up() {
        let price: Money = "2.50".parse().unwrap();
        assert_eq!(price.per_million(1_000_000), price);
        assert_eq!(price.per_million(1).nanos(), 2_500);
        assert_eq!(Money::from_nanos(1).per_million(1).nanos(), 1);
    }

    proptest! {
        #[test]
        fn an_amount_survives_its_text(nanos in i64::MIN + 1..i64::MAX) {
            prop_assert_eq!(Money::from_nanos(nanos).to_string().parse(), Ok(Money::from_nanos(nanos)));
        }
    }
}
