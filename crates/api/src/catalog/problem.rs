//! What the catalog's refusals are to a client.

use catalog::{
    CreateAgentError, CreateVersionError, PublishError, ReadError, RetireError, SubmitError, UpdateAgentError,
    UpdateVersionError,
};

use crate::problem::{Kind, Problem};

impl From<CreateAgentError> for Problem {
    fn from(error: CreateAgentError) -> Self {
        match error {
            CreateAgentError::Forbidden(refusal) => refusal.into(),
            CreateAgentError::Quota { .. } => Self::client(Kind::QuotaExceeded, &error),
            CreateAgentError::Database(error) => error.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forbidden(refusal) => refusal.into(),
            ReadError::NotFound { .. } => Self::client(Kind::NotFound, &error),
            ReadError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateAgentError> for Problem {
    fn from(error: UpdateAgentError) -> Self {
        match error {
            UpdateAgentError::Forbidden(refusal) => refusal.into(),
            UpdateAgentError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateAgentError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateAgentError::Database(error) => error.into(),
        }
    }
}

impl From<CreateVersionError> for Problem {
    fn from(error: CreateVersionError) -> Self {
        match error {
            CreateVersionError::Forbidden(refusal) => refusal.into(),
            CreateVersionError::AgentNotFound(_) => Self::client(Kind::NotFound, &error),
            CreateVersionError::NotGreater(_) => Self::client(Kind::AlreadyExists, &error),
            CreateVersionError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateVersionError> for Problem {
    fn from(error: UpdateVersionError) -> Self {
        match error {
            UpdateVersionError::Forbidden(refusal) => refusal.into(),
            UpdateVersionError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateVersionError::WrongStatus(_) | UpdateVersionError::TooManyAuthors => {
                Self::client(Kind::WrongState, &error)
            }
            UpdateVersionError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateVersionError::Database(error) => error.into(),
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Forbidden(refusal) => refusal.into(),
            SubmitError::NotFound(_) => Self::client(Kind::NotFound, &error),
            SubmitError::WrongStatus(_) | SubmitError::Pending(_) => Self::client(Kind::WrongState, &error),
            SubmitError::Database(error) => error.into(),
        }
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Forbidden(refusal) => refusal.into(),
            PublishError::NotFound(_) => Self::client(Kind::NotFound, &error),
            PublishError::WrongStatus(_) | PublishError::NotApproved => Self::client(Kind::WrongState, &error),
            PublishError::Database(error) => error.into(),
        }
    }
}

impl From<RetireError> for Problem {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::Forbidden(refusal) => refusal.into(),
            RetireError::NotFound(_) => Self::client(Kind::NotFound, &error),
            RetireError::WrongStatus(_) => Self::client(Kind::WrongState, &error),
            RetireError::Database(error) => error.into(),
        }
    }
}
