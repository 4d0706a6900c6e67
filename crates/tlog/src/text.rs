//! What several of the line formats share.

/// A decimal with exactly one spelling: digits only, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    // `parse` alone would take `+1` and `007`.
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_decimal_has_one_spelling() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("20852163"), Some(20_852_163));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for other in ["", "00", "01", "+1", "-1", " 1", "1 ", "0x1", "1_000", "١", "18446744073709551616"] {
            assert_eq!(decimal(other), None, "{other}");
        }
    }
}
