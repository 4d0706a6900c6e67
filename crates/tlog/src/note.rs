//! Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature.
//!
//! A note may carry signatures by keys that the reader does not know, of any algorithm: they are skipped, which is
//! how witnesses, key rotation and a second algorithm fit in. This module signs and verifies with Ed25519.

mod key;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use key::{KeyError, Signer, VerifierKey};

/// More signatures than this are refused, before any is verified.
pub const MAX_SIGNATURES: usize = 64;

/// A note of which at least one signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'note, 'keys> {
    /// The signed text, with its final newline.
    pub text: &'note str,
    /// The keys whose signatures were verified, each once, in the order of their signatures.
    pub verified_by: Vec<&'keys VerifierKey>,
}

/// Why a note is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a text, an empty line and signature lines, or it holds control characters.
    #[error("not a signed note")]
    Malformed,
    /// A line after the last empty line is not a signature.
    #[error("`{0}` is not a signature line")]
    Line(String),
    /// It has more than [`MAX_SIGNATURES`] signatures.
    #[error("a note with more than `{MAX_SIGNATURES}` signatures is refused")]
    TooMany,
    /// A signature that names a known key was not made by it.
    #[error("the signature by `{0}` is wrong")]
    BadSignature(String),
    /// None of the known keys has signed it.
    #[error("no known key has signed the note")]
    Unsigned,
}

/// Opens a note: at least one of `keys` must have signed it, and no signature by one of them may be wrong.
pub fn open<'note, 'keys>(note: &'note str, keys: &'keys [VerifierKey]) -> Result<Opened<'note, 'keys>, NoteError> {
    let (text, signatures) = split(note)?;
    let mut verified_by: Vec<&VerifierKey> = Vec::new();
    for signature in &signatures {
        for key in keys.iter().filter(|key| signature.is_by(key)) {
            if !key.verify(text, &signature.bytes) {
                return Err(NoteError::BadSignature(signature.name.to_owned()));
            }
            if !verified_by.contains(&key) {
                verified_by.push(key);
            }
        }
    }
    if verified_by.is_empty() {
        return Err(NoteError::Unsigned);
    }
    Ok(Opened { text, verified_by })
}

/// One signature line: who says to have signed, and the signature.
struct Signature<'note> {
    name: &'note str,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl<'note> Signature<'note> {
    fn parse(line: &'note str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let decoded = STANDARD.decode(encoded).ok()?;
        let (id, bytes) = decoded.split_first_chunk()?;
        if !key::is_name(name) || bytes.is_empty() {
            return None;
        }
        Some(Self { name, id: *id, bytes: bytes.to_vec() })
    }

    fn is_by(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.id == key.id()
    }
}

/// The text with its final newline, and the signatures. Nothing is verified yet.
fn split(note: &str) -> Result<(&str, Vec<Signature<'_>>), NoteError> {
    if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Malformed);
    }
    let last_empty = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, rest) = note.split_at_checked(last_empty + 1).ok_or(NoteError::Malformed)?;
    let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or(NoteError::Malformed)?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        if signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::TooMany);
        }
        signatures.push(Signature::parse(line).ok_or_else(|| NoteError::Line(line.to_owned()))?);
    }
    Ok((text, signatures))
}
