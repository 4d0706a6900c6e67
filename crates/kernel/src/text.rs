//! Text as people type it: trimmed, bounded, without characters that deceive or break.

use std::fmt;
use std::str::FromStr;

use crate::Entropy;

/// One line or paragraph of human text of at most `MAX` bytes: not empty, no control characters but line breaks and
/// tabs, no U+0000, no characters that reorder what a reader sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text<const MAX: usize>(String);

/// A text that a person should not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than it may be.
    #[error("must not be longer than {0} bytes")]
    TooLong(usize),
    /// A control character, or one that changes the direction of writing.
    #[error("must not contain control characters or direction overrides")]
    Unprintable,
}

impl<const MAX: usize> Text<MAX> {
    /// Checks and trims `text`.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > MAX {
            return Err(TextError::TooLong(MAX));
        }
        if text.chars().any(deceives) {
            return Err(TextError::Unprintable);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

fn deceives(c: char) -> bool {
    let layout = matches!(c, '\n' | '\t');
    let direction = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{200E}' | '\u{200F}');
    (c.is_control() && !layout) || direction || matches!(c, '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// So many random letters and digits, each equally likely.
pub(crate) fn random_base62(entropy: &dyn Entropy, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(length);
    let mut block = [0; 32];
    while text.len() < length {
        entropy.fill(&mut block);
        // 248 is the largest multiple of 62 in a byte: what lies above would favor the first letters.
        let letters = block.iter().filter(|byte| **byte < 248).filter_map(|byte| ALPHABET.get(usize::from(*byte % 62)));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(hex(&[0, 9, 0xab, 0xff]), "0009abff");
    }

    #[test]
    fn text_that_deceives_is_refused() {
        assert_eq!(Text::<10>::new("  ok "), Ok(Text("ok".to_owned())));
        assert_eq!(Text::<10>::new(" \n"), Err(TextError::Empty));
        assert_eq!(Text::<3>::new("long"), Err(TextError::TooLong(3)));
        for bad in ["a\0b", "a\u{1b}[31m", "a\u{202e}b", "a\u{2067}b"] {
            assert_eq!(Text::<20>::new(bad), Err(TextError::Unprintable), "{bad:?}");
        }
    }
}
