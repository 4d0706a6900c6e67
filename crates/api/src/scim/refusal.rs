//! Why SCIM's clients are refused (RFC 7644, 3.12).

use std::fmt;

use identity::Edit;

use crate::problem::{Kind, Problem};

/// What is wrong, in SCIM's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScimType {
    /// A filter that cannot be read, or not be answered.
    InvalidFilter,
    /// What may not be changed so.
    Mutability,
    /// A body of another form.
    InvalidSyntax,
    /// No such attribute.
    InvalidPath,
    /// Nothing is where something is to be changed.
    NoTarget,
    /// An attribute cannot have that value.
    InvalidValue,
}

impl ScimType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
        }
    }

    /// The refusal of a request, with its reason.
    pub(super) fn because(self, why: &impl fmt::Display) -> Problem {
        self.on(Kind::Invalid, why)
    }

    /// The same, as a problem of another kind.
    pub(super) fn on(self, kind: Kind, why: &impl fmt::Display) -> Problem {
        Problem::client(kind, why).with(crate::problem::SCIM_TYPE, self.as_str())
    }
}

/// What a field holds, as what it is kept as.
pub(super) fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| ScimType::InvalidValue.because(&format_args!("`{name}`: {error}")))
}

/// What makes something what is said.
pub(super) fn edit<T>(value: Option<T>) -> Edit<T> {
    value.map_or(Edit::Remove, Edit::Set)
}
