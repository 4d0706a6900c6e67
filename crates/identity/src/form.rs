//! The form of API keys and of sessions: `tfk_` or `tfs_`, a public id, `_`, a secret, a checksum.
//!
//! ```text
//! tfk_4TzR0vJc81Qm_Yq3…(43: the secret, 256 bits)…XbT0aB1cD
//!     └ 12: id                                      └ 6: CRC-32 of all before
//! ```
//!
//! The checksum tells one from a look-alike without asking anybody. Other letters are kept for credentials to come.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use kernel::{KeyId, Moment, Secret};
use zeroize::Zeroizing;

/// Finds every credential of ours in a text: for secret scanners.
pub const SECRET_PATTERN: &str = r"\btf[a-z]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b";

/// What an API key starts with.
const KEY: &str = "tfk_";
/// What the secret of a session starts with.
const SESSION: &str = "tfs_";
const ID: usize = 12;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
const LENGTH: usize = KEY.len() + ID + 1 + SECRET + CHECKSUM;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A text that has the form and the checksum of an API key. Whether it is one, only the directory knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PresentedKey<'a>(Parts<'a>);

/// A text that has the form and the checksum of a session's secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PresentedSession<'a>(Parts<'a>);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Parts<'a> {
    id: &'a str,
    secret: &'a str,
}

/// A text that cannot be an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// The form of the Python reference.
    #[error(
        "this is a key of the older form (`tf_` and 43 characters), which cannot be carried over: \
         ask an administrator for a new key, which starts with `tfk_`"
    )]
    OlderForm,
    /// Something else altogether.
    #[error("not an API key: expected `tfk_`, 12 letters and digits, `_` and 49 letters and digits")]
    Malformed,
    /// Cut short, mistyped or altered.
    #[error("the API key's checksum is wrong: it was mistyped or altered")]
    Checksum,
}

impl<'a> PresentedKey<'a> {
    /// Reads a key and checks its checksum. Asks nobody.
    pub fn parse(text: &'a str) -> Result<Self, KeyFormatError> {
        Parts::read(KEY, text).map(Self).map_err(|error| match error {
            KeyFormatError::Malformed => refusal(text),
            KeyFormatError::OlderForm | KeyFormatError::Checksum => error,
        })
    }

    /// The public part.
    pub fn id(&self) -> &'a str {
        self.0.id
    }

    /// SHA-256 of the secret: what the database keeps.
    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        sha256(self.0.secret.as_bytes())
    }
}

impl<'a> PresentedSession<'a> {
    /// Reads a session's secret and checks its checksum. Asks nobody.
    pub(crate) fn parse(text: &'a str) -> Result<Self, KeyFormatError> {
        Parts::read(SESSION, text).map(Self)
    }

    /// The public part.
    pub(crate) fn handle(&self) -> &'a str {
        self.0.id
    }

    /// The secret part.
    pub(crate) fn secret(&self) -> &'a str {
        self.0.secret
    }

    /// SHA-256 of the secret: what the database keeps.
    pub(crate) fn secret_hash(&self) -> [u8; 32] {
        sha256(self.0.secret.as_bytes())
    }
}

impl<'a> Parts<'a> {
    fn read(prefix: &str, text: &'a str) -> Result<Self, KeyFormatError> {
        let parts = Self::split(prefix, text).ok_or(KeyFormatError::Malformed)?;
        let (body, checksum) = text.split_at_checked(LENGTH - CHECKSUM).ok_or(KeyFormatError::Malformed)?;
        if checksum.as_bytes() == checksum_of(body) { Ok(parts) } else { Err(KeyFormatError::Checksum) }
    }

    fn split(prefix: &str, text: &'a str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(prefix)?.split_at_checked(ID)?;
        let (secret, checksum) = rest.strip_prefix('_')?.split_at_checked(SECRET)?;
        let parts = [id, secret, checksum];
        let plain = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        (checksum.len() == CHECKSUM && plain).then_some(Self { id, secret })
    }
}

impl fmt::Debug for PresentedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedKey({})", self.0.id)
    }
}

impl fmt::Debug for PresentedSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedSession({})", self.0.id)
    }
}

fn refusal(text: &str) -> KeyFormatError {
    if text.len() == 46 && text.starts_with("tf_") { KeyFormatError::OlderForm } else { KeyFormatError::Malformed }
}

/// A secret that has just been made.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) id: KeyId,
    pub(crate) text: Secret<String>,
    pub(crate) secret_hash: [u8; 32],
    pub(crate) last4: String,
}

impl Fresh {
    /// Makes a key.
    pub(crate) fn key(at: &Moment<'_>) -> Self {
        Self::generate(KEY, KeyId::generate(at.entropy()), at)
    }

    /// Makes another secret for the key with that id.
    pub(crate) fn key_again(id: KeyId, at: &Moment<'_>) -> Self {
        Self::generate(KEY, id, at)
    }

    /// Makes a session's secret. Its id is a handle: the session has a longer one by which it is known.
    pub(crate) fn session(at: &Moment<'_>) -> Self {
        Self::generate(SESSION, KeyId::generate(at.entropy()), at)
    }

    fn generate(prefix: &str, id: KeyId, at: &Moment<'_>) -> Self {
        let mut random = Zeroizing::new([0; 32]);
        at.fill(&mut *random);
        let secret = Zeroizing::new(secret_of(&mut random));
        let mut text = String::with_capacity(LENGTH);
        text.extend([prefix, id.as_str(), "_"]);
        text.extend(secret.iter().copied().map(char::from));
        text.extend(checksum_of(&text).map(char::from));
        let secret_hash = sha256(&*secret);
        let last4 = text.chars().skip(LENGTH - 4).collect();
        Self { id, text: Secret::new(text), secret_hash, last4 }
    }
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Writes 256 bits with 43 base62 digits, the most significant first. The bits are divided away.
fn secret_of(bits: &mut [u8; 32]) -> [u8; SECRET] {
    let mut digits = [b'0'; SECRET];
    for place in digits.iter_mut().rev() {
        let remainder = bits.iter_mut().fold(0u16, |carry, byte| {
            let value = (carry << 8) | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            value % 62
        });
        *place = digit(u32::from(remainder));
    }
    digits
}

fn checksum_of(body: &str) -> [u8; CHECKSUM] {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for place in digits.iter_mut().rev() {
        *place = digit(rest % 62);
        rest /= 62;
    }
    digits
}

fn digit(value: u32) -> u8 {
    usize::try_from(value).ok().and_then(|place| ALPHABET.get(place)).copied().unwrap_or(b'0')
}

/// CRC-32 as in ISO 3309, gzip and PNG, four bytes at a time: every request pays for it.
fn crc32(bytes: &[u8]) -> u32 {
    let at = |table: &[u32; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or_default();
    let [one, two, three, four] = &CRC_TABLES;
    let (words, rest) = bytes.as_chunks::<4>();
    let crc = words.iter().fold(u32::MAX, |crc, word| {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes();
        at(four, a) ^ at(three, b) ^ at(two, c) ^ at(one, d)
    });
    !rest.iter().fold(crc, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        at(one, low ^ byte) ^ (crc >> 8)
    })
}

/// What a byte does to the checksum when 0, 1, 2 or 3 bytes follow it.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated while compiling, where an index out of bounds is an error"
)]
const CRC_TABLES: [[u32; 256]; 4] = {
    let mut tables = [[0; 256]; 4];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut step = 0;
        while step < 32 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            step += 1;
            if step % 8 == 0 {
                tables[step / 8 - 1][index] = crc;
            }
        }
        index += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{FixedMoment, SeededEntropy, Timestamp};
    use proptest::prelude::*;

    fn key(seed: u64) -> Fresh {
        let entropy = SeededEntropy::new(seed);
        Fresh::key(&Moment::new(Timestamp::from_micros(0), &entropy))
    }

    #[test]
    fn the_checksum_is_the_one_of_gzip_and_png() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"The quick brown fox jumps over the lazy dog"), 0x414F_A339);
    }

    #[test]
    fn the_largest_secret_fits_its_digits() {
        let mut bits = [0xFF; 32];
        let digits = secret_of(&mut bits);
        assert_eq!(bits, [0; 32], "nothing of the bits is left over");
        assert!(digits[0] > b'0');
        let mut small = [0; 32];
        small[31] = 62;
        assert!(secret_of(&mut small).ends_with(b"0010"));
    }

    #[test]
    fn the_form_does_not_change() {
        let moment = FixedMoment::new(0);
        let key = Fresh::key(&moment.moment());
        insta::assert_snapshot!(key.text.expose(), @"tfk_TDoRgdHbSeyw_pixdYnDoNDgGTNgWzP1zbDEd6EloWwgpdemfn23vrlr0JCb7O");
    }

    #[test]
    fn the_older_form_is_refused_by_name() {
        let older = format!("tf_{}", "aB3-_".repeat(9).chars().take(43).collect::<String>());
        assert_eq!(PresentedKey::parse(&older), Err(KeyFormatError::OlderForm));
        assert!(KeyFormatError::OlderForm.to_string().contains("ask an administrator for a new key"));
    }

    #[test]
    fn what_is_no_key_is_malformed() {
        let good = key(1).text.expose().clone();
        let longer = format!("{good}0");
        let other_letter = good.replacen("tfk_", "tft_", 1);
        let spaced = format!(" {good}");
        let dashed = good.replacen('_', "-", 2);
        let accented = format!("tfk_{}", "é".repeat(31));
        for bad in ["", "tfk_", "Bearer", &good[..65], &longer, &other_letter, &spaced, &dashed, &accented] {
            assert_eq!(PresentedKey::parse(bad), Err(KeyFormatError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_key_is_no_session_and_a_session_is_no_key() {
        let moment = FixedMoment::new(0);
        let session = Fresh::session(&moment.moment());
        assert!(session.text.expose().starts_with("tfs_"));
        assert_eq!(PresentedSession::parse(session.text.expose()).unwrap().secret_hash(), session.secret_hash);
        assert_eq!(PresentedKey::parse(session.text.expose()), Err(KeyFormatError::Malformed));
        assert_eq!(PresentedSession::parse(key(1).text.expose()), Err(KeyFormatError::Malformed));
    }

    #[test]
    fn a_key_never_prints_its_secret() {
        let key = key(2);
        let text = key.text.expose();
        let printed = format!("{key:?} {:?}", PresentedKey::parse(text).unwrap());
        assert!(!printed.contains(&text[17..60]));
    }

    proptest! {
        #[test]
        fn every_key_that_is_made_is_read_again(seed: u64) {
            let key = key(seed);
            let text = key.text.expose();
            let read = PresentedKey::parse(text).unwrap();
            prop_assert_eq!(text.len(), LENGTH);
            prop_assert_eq!(read.id(), key.id.as_str());
            prop_assert_eq!(read.secret_hash(), key.secret_hash);
            prop_assert!(text.ends_with(&key.last4) && key.last4.len() == 4);
        }

        #[test]
        fn any_altered_character_is_found(seed: u64, at in 4..LENGTH, letter in "[0-9A-Za-z]") {
            let mut text = key(seed).text.expose().clone();
            prop_assume!(at != 16 && !text[at..].starts_with(&letter));
            text.replace_range(at..=at, &letter);
            prop_assert_eq!(PresentedKey::parse(&text), Err(KeyFormatError::Checksum));
        }

        #[test]
        fn two_swapped_neighbours_are_found(seed: u64, at in 17..LENGTH - 1) {
            let text = key(seed).text.expose().clone();
            let mut bytes = text.clone().into_bytes();
            bytes.swap(at, at + 1);
            let swapped = String::from_utf8(bytes).unwrap();
            prop_assume!(swapped != text);
            prop_assert_eq!(PresentedKey::parse(&swapped), Err(KeyFormatError::Checksum));
        }

        #[test]
        fn no_text_breaks_the_reader(text in ".{0,80}") {
            let _ = PresentedKey::parse(&text);
        }
    }
}
