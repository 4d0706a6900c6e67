//! What stands behind the roles: a tenant's own policies, asked through [`Guard`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kernel::Timestamp;

use crate::{Caller, Permission};

/// A tenant's policies in force. It can only take away from what roles give: both must allow.
pub trait Guard: fmt::Debug + Send + Sync {
    /// Decides. An error inside is a denial.
    fn judge(&self, question: &Question<'_>) -> Judgment;

    /// Whether it can say anything but yes to such an action. Where asking is dear, as with the parts of a stream, only
    /// a guard that can is asked.
    fn governs(&self, _: Permission) -> bool {
        true
    }
}

/// What a policy is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who wants to act.
    pub caller: &'a Caller,
    /// What they want to do.
    pub permission: Permission,
    /// The thing they want to do it to, by id; `None` where the action is about no single thing. A rule for one thing
    /// never matches `None`.
    pub resource: Option<&'a str>,
    /// When.
    pub at: Timestamp,
    /// What else is known.
    pub facts: &'a Facts<'a>,
}

/// What is known of an action besides who, what and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The agent that acts.
    pub agent: Option<&'a str>,
    /// The number of its published version.
    pub version: Option<&'a str>,
    /// The model that is called.
    pub model: Option<&'a str>,
    /// The tool that is called.
    pub tool: Option<&'a str>,
    /// The tool's arguments, as JSON text.
    pub arguments: Option<&'a str>,
    /// The tools that the model may ask for.
    pub tools: &'a [String],
    /// The most that the action can cost, in nano-units of money.
    pub cost_nanos: Option<i64>,
    /// How sensitive the data is that the action handles.
    pub data_class: Option<&'a str>,
}

/// What a guard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgment {
    /// Its word.
    pub verdict: Verdict,
    /// Why, in a sentence that the caller may read.
    pub reason: String,
    /// What it followed; `None` where no policy speaks of such an action.
    pub basis: Option<Basis>,
    /// What a version that is only tried would have said, where that differs.
    pub shadow: Option<Box<Shadow>>,
}

/// The word of a version of the policies that is tried beside the one in force, and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Its word.
    pub verdict: Verdict,
    /// What it followed; `None` where that version does not speak of such an action.
    pub basis: Option<Basis>,
}

/// The word of a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The action may be done, if these obligations are met.
    Allow(Vec<Obligation>),
    /// Somebody else must approve it first; then it may be done, if these obligations are met.
    RequireApproval(Vec<Obligation>),
    /// It may not be done.
    Deny,
}

impl Verdict {
    /// The verdict in a word: `allow`, `allow with without_tools`, `require_approval`, `deny`.
    pub fn label(&self) -> String {
        let (word, obligations) = self.parts();
        let all: Vec<String> = obligations.iter().map(ToString::to_string).collect();
        if all.is_empty() { word.to_owned() } else { format!("{word} with {}", all.join(", ")) }
    }

    /// The verdict in a word, and what must be done along with the action.
    pub fn parts(&self) -> (&'static str, &[Obligation]) {
        match self {
            Self::Allow(obligations) => ("allow", obligations),
            Self::RequireApproval(obligations) => ("require_approval", obligations),
            Self::Deny => ("deny", &[]),
        }
    }
}

/// What must be done along with an allowed action. Whoever cannot do it must refuse the action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obligation {
    /// The model's answer has at most so many tokens.
    MaxOutputTokens(u64),
    /// The model is offered no tools.
    WithoutTools,
}

impl fmt::Display for Obligation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxOutputTokens(limit) => write!(f, "max_output_tokens={limit}"),
            Self::WithoutTools => f.write_str("without_tools"),
        }
    }
}

/// A text that is no obligation: one that nobody knows is one that nobody meets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no obligation: there are `max_output_tokens=N`, with N of 1 or more, and `without_tools`")]
pub struct ObligationError(String);

impl FromStr for Obligation {
    type Err = ObligationError;

    fn from_str(text: &str) -> Result<Self, ObligationError> {
        let limit = text.strip_prefix("max_output_tokens=").and_then(|number| number.parse().ok());
        let read = limit.map_or(Self::WithoutTools, Self::MaxOutputTokens);
        // One spelling each: what is read prints as it was written.
        if limit != Some(0) && read.to_string() == text { Ok(read) } else { Err(ObligationError(text.to_owned())) }
    }
}

/// The rule that a decision followed, as the ledger names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The number of the policy's version.
    pub version: u64,
    /// The SHA-256 digest of its text, in hexadecimal.
    pub digest: String,
    /// The rule within it: its `@id`, or `default` where none matched.
    pub rule: String,
}

/// What a tenant keeps about a user for its policies: sorted by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// One value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Several texts, without order.
    Texts(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obligation_has_one_spelling() {
        for obligation in
            [Obligation::MaxOutputTokens(1), Obligation::MaxOutputTokens(u64::MAX), Obligation::WithoutTools]
        {
            assert_eq!(obligation.to_string().parse(), Ok(obligation));
        }
        for bad in [
            "",
            "max_output_tokens=0",
            "max_output_tokens=+1",
            "max_output_tokens=01",
            "max_output_tokens=",
            "Without_tools",
            " without_tools",
        ] {
            assert!(bad.parse::<Obligation>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_verdict_has_a_word() {
        let both = vec![Obligation::MaxOutputTokens(9), Obligation::WithoutTools];
        assert_eq!(Verdict::Allow(both).label(), "allow with max_output_tokens=9, without_tools");
        assert_eq!(Verdict::Allow(Vec::new()).label(), "allow");
        assert_eq!(
            (Verdict::RequireApproval(Vec::new()).label(), Verdict::Deny.label()),
            ("require_approval".into(), "deny".into())
        );
    }
}
