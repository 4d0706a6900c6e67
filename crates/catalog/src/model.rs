//! Agents and versions.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use approvals::Authors;
use kernel::{AgentId, Cursor, PageSize, ReviewId, Text, TextError, Timestamp, VersionId};

use crate::{Definition, Diff, Status};

/// The number of a version (Semantic Versioning 2.0.0): `1.1.0`. Numbers compare by precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(semver::Version);

/// A text that is no version number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version number such as `1.1.0`")]
pub struct NumberError(String);

impl Number {
    /// Whether it comes after `other`. What differs in build metadata alone does not.
    pub fn is_after(&self, other: &Self) -> bool {
        self.0.cmp_precedence(&other.0).is_gt()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let short: String = text.chars().take(64).collect();
        match semver::Version::parse(text) {
            Ok(version) if text.len() <= 64 => Ok(Self(version)),
            Ok(_) | Err(_) => Err(NumberError(short)),
        }
    }
}

/// Human text that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prose<const MAX: usize>(String);

impl<const MAX: usize> Prose<MAX> {
    /// Checks and trims `text`.
    pub fn new(text: &str) -> Result<Self, TextError> {
        match Text::<MAX>::new(text) {
            Ok(text) => Ok(Self(text.as_str().to_owned())),
            Err(TextError::Empty) => Ok(Self::default()),
            Err(error @ (TextError::TooLong(_) | TextError::Unprintable)) => Err(error),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Prose<MAX> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

/// Words that agents are found by: each of 1 to 64 lower-case letters, digits, `-`, `_`, `.` and `:`; at most 32.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeSet<String>);

/// Why words are no tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagsError {
    /// More than 32.
    #[error("there must not be more than 32 tags")]
    TooMany,
    /// One that cannot be a tag.
    #[error("`{0}` is not a tag: expected 1 to 64 lower-case letters, digits, `-`, `_`, `.` and `:`")]
    NotATag(String),
}

impl Tags {
    /// Checks tags; repeats count once.
    pub fn new<'a>(tags: impl IntoIterator<Item = &'a str>) -> Result<Self, TagsError> {
        let mut all = BTreeSet::new();
        for tag in tags {
            let fits = tag.chars().all(|c| (c.is_alphanumeric() && !c.is_uppercase()) || "-_.:".contains(c));
            if !fits || !(1..=64).contains(&tag.len()) {
                return Err(TagsError::NotATag(tag.chars().take(64).collect()));
            }
            all.insert(tag.to_owned());
        }
        if all.len() > 32 { Err(TagsError::TooMany) } else { Ok(Self(all)) }
    }

    /// The tags, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Separated by commas, as the database keeps them.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags: Vec<&str> = self.iter().collect();
        f.write_str(&tags.join(","))
    }
}

impl FromStr for Tags {
    type Err = TagsError;

    fn from_str(text: &str) -> Result<Self, TagsError> {
        Self::new(text.split(',').filter(|tag| !tag.is_empty()))
    }
}

/// A governed agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// What it does; may be empty.
    pub description: String,
    /// What kind of agent it is.
    pub category: String,
    /// Words that it is found by.
    pub tags: Tags,
    /// Who answers for it, by id.
    pub owner: String,
    /// The version that runs; `None` while none does.
    pub current: Option<Current>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Raised with each change of the agent itself.
    pub revision: u64,
}

/// The version of an agent that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its id.
    pub id: VersionId,
    /// Its number.
    pub number: Number,
}

/// An agent to be created. Its owner is who creates it.
#[derive(Clone, Debug)]
pub struct NewAgent {
    /// What people call it.
    pub name: Text<128>,
    /// What it does.
    pub description: Prose<4_096>,
    /// What kind of agent it is; `general` unless given.
    pub category: Option<Text<64>>,
    /// Words that it is found by.
    pub tags: Tags,
}

/// A change of an agent: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AgentPatch {
    /// The revision that the change was made from; `None` to overwrite any.
    pub expected_revision: Option<u64>,
    /// Another name.
    pub name: Option<Text<128>>,
    /// Another description.
    pub description: Option<Prose<4_096>>,
    /// Another category.
    pub category: Option<Text<64>>,
    /// Other tags.
    pub tags: Option<Tags>,
}

/// Which agents to list.
#[derive(Clone, Debug, Default)]
pub struct AgentListing {
    /// Only those of this category.
    pub category: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those whose name, description or tags contain this, in whatever case.
    pub query: Option<String>,
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// How many at most.
    pub size: PageSize,
}

/// A version of an agent. What it does is in its [`Definition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: VersionId,
    /// Whose version it is.
    pub agent_id: AgentId,
    /// Its number: greater than those before it.
    pub number: Number,
    /// How far it has come, at the moment of reading.
    pub status: Status,
    /// The SHA-256 digest of its definition, in hexadecimal.
    pub digest: String,
    /// What is new, in its author's words.
    pub changelog: String,
    /// Who created it, by id.
    pub created_by: String,
    /// Everybody whose work it is: none of them may approve it.
    pub authors: Authors,
    /// The request for approval that it was last submitted with.
    pub review: Option<ReviewId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it last began to run.
    pub published_at: Option<Timestamp>,
    /// Raised with each change.
    pub revision: u64,
}

/// A version with what it does and what it would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// The version.
    pub version: Version,
    /// What it does.
    pub definition: Definition,
    /// The version it is compared with: the one that runs, or, for that one itself and where none runs, the one
    /// before it by number. `None` for the first.
    pub compared_with: Option<Number>,
    /// What it changes.
    pub diff: Diff,
}

/// A version to be created.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Its number.
    pub number: Number,
    /// What it does.
    pub definition: Definition,
    /// What is new.
    pub changelog: Prose<16_384>,
}

/// A change of a draft: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct VersionPatch {
    /// The revision that the change was made from; `None` to overwrite any.
    pub expected_revision: Option<u64>,
    /// Another definition.
    pub definition: Option<Definition>,
    /// Another changelog.
    pub changelog: Option<Prose<16_384>>,
}

/// Which of an agent's versions to list.
#[derive(Clone, Debug, Default)]
pub struct VersionListing {
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// How many at most.
    pub size: PageSize,
}

/// What runs: the published version of one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The agent.
    pub agent_id: AgentId,
    /// What people call it.
    pub agent_name: String,
    /// The version.
    pub version_id: VersionId,
    /// Its number.
    pub number: Number,
    /// The digest of its definition.
    pub digest: String,
    /// What it does.
    pub definition: Definition,
}

store::text_values!(Number, Tags);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_semantic_and_compares_by_precedence() {
        let number = |text: &str| text.parse::<Number>().unwrap();
        assert!(number("1.10.0").is_after(&number("1.9.0")));
        assert!(number("1.0.0").is_after(&number("1.0.0-rc.1")));
        assert!(!number("1.0.0+b").is_after(&number("1.0.0+a")));
        assert!(!number("1.0.0").is_after(&number("1.0.0")));
        let long = format!("1.0.0-{}", "a".repeat(64));
        for bad in ["banana", "", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0 ", "1.0.99999999999999999999", &long] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_plain_words() {
        assert_eq!(Tags::new(["nlp", "production", "nlp"]).unwrap().to_string(), "nlp,production");
        assert_eq!("nlp,production".parse(), Tags::new(["production", "nlp"]));
        assert_eq!("".parse(), Ok(Tags::default()));
        for bad in ["", "a,b", "A", "a b", "a\0", "%", &"a".repeat(65)] {
            assert!(Tags::new([bad]).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        assert_eq!(Tags::new(many.iter().map(String::as_str)), Err(TagsError::TooMany));
    }

    #[test]
    fn prose_may_be_empty_but_not_deceive() {
        assert_eq!(Prose::<10>::new("  ").unwrap().as_str(), "");
        assert!(Prose::<3>::new("long").is_err());
        assert!(Prose::<30>::new("a\u{202e}b").is_err());
    }
}
