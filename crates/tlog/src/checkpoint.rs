use crate::note::{self, NoteError, VerifierKey};
use crate::text::decimal;
use crate::{Hash, HashError};

/// The head of a log (C2SP tlog-checkpoint): which log, how many leaves, which root.
///
/// Extension lines are not supported: monitors cannot audit them, this log writes none, and a checkpoint that
/// dropped them would not be the one that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: one line, not empty.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The text to sign.
    pub fn to_text(&self) -> String {
        // A note holds no control characters. Leaving them out keeps a hostile origin from adding lines to the text:
        // it then names no log at all.
        let origin: String = self.origin.chars().filter(|character| !character.is_control()).collect();
        format!("{origin}\n{}\n{}\n", self.size, self.root.to_base64())
    }

    /// Reads the text of a checkpoint, without its signatures. Trust it only if a signature was verified.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines);
        };
        if lines.next().is_some() {
            return Err(CheckpointError::Extension);
        }
        if origin.is_empty() || origin.chars().any(char::is_control) {
            return Err(CheckpointError::Origin);
        }
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let root = Hash::from_base64(root)?;
        if size == 0 && root != Hash::EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Opens a signed checkpoint: a key that `origin` may be signed with must have signed it, and it must be of
    /// `origin`.
    pub fn open(signed: &str, keys: &[VerifierKey], origin: &str) -> Result<Self, OpenError> {
        let checkpoint = Self::parse(note::open(signed, keys)?.text)?;
        if checkpoint.origin != origin {
            return Err(OpenError::Origin(checkpoint.origin));
        }
        Ok(checkpoint)
    }
}

/// Why a text is not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// There are not three lines, each ended by a newline.
    #[error("a checkpoint has three lines")]
    Lines,
    /// There are lines after the root.
    #[error("extension lines are not supported")]
    Extension,
    /// The origin is empty or holds control characters.
    #[error("the origin is not a name")]
    Origin,
    /// The size is not a plain decimal.
    #[error("the size is not a number")]
    Size,
    /// The root is not a hash in base64.
    #[error("the root is not a hash")]
    Root(#[from] HashError),
    /// The size is 0, but the root is not that of the empty tree.
    #[error("the root is not that of an empty tree")]
    EmptyRoot,
}

/// Why a signed checkpoint is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not a note that a known key has signed.
    #[error("the checkpoint is not properly signed")]
    Note(#[from] NoteError),
    /// Its text is not a checkpoint.
    #[error("the signed text is not a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// It is of another log.
    #[error("the checkpoint is of `{0}`")]
    Origin(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    #[test]
    fn the_specifications_example_parses_and_renders_to_itself() {
        let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
        let checkpoint = Checkpoint::parse(&text).unwrap();
        assert_eq!(checkpoint.origin, "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_text(), text);
    }

    #[test]
    fn anything_but_three_plain_lines_is_refused() {
        for (text, error) in [
            (String::new(), CheckpointError::Lines),
            (format!("o\n1\n{ROOT}"), CheckpointError::Lines),
            ("o\n1\n".to_owned(), CheckpointError::Lines),
            (format!("o\n1\n{ROOT}\nextension\n"), CheckpointError::Extension),
            (format!("o\n1\n{ROOT}\n\n"), CheckpointError::Extension),
            (format!("\n1\n{ROOT}\n"), CheckpointError::Origin),
            (format!("o\r\n1\n{ROOT}\n"), CheckpointError::Origin),
            (format!("o\n01\n{ROOT}\n"), CheckpointError::Size),
            (format!("o\n-1\n{ROOT}\n"), CheckpointError::Size),
            (format!("o\n\n{ROOT}\n"), CheckpointError::Size),
            (format!("o\n18446744073709551616\n{ROOT}\n"), CheckpointError::Size),
            (format!("o\n1\n{ROOT}=\n"), CheckpointError::Root(HashError)),
            ("o\n1\nAAAA\n".to_owned(), CheckpointError::Root(HashError)),
            (format!("o\n0\n{ROOT}\n"), CheckpointError::EmptyRoot),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_origin_cannot_add_lines() {
        let checkpoint = Checkpoint { origin: format!("log\n9\n{ROOT}\n"), size: 1, root: Hash::EMPTY_ROOT };
        let parsed = Checkpoint::parse(&checkpoint.to_text()).unwrap();
        assert_eq!(parsed.size, 1);
        assert_ne!(parsed.origin, "log");
    }
}
