//! Why something about keys was not done, as clients read it.

use identity::{CreateKeyError, KeyError, RevokeKeyError, RotateKeyError, UpdateKeyError};

use crate::problem::{Kind, Problem};

impl From<CreateKeyError> for Problem {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::Forbidden(refusal) => refusal.into(),
            CreateKeyError::Beyond(_) => Self::client(Kind::Forbidden, &error),
            CreateKeyError::UserNotFound(_) => Self::field("/user_id", &error),
            CreateKeyError::AgentNotFound(_) => Self::field("/agent_id", &error),
            CreateKeyError::Deactivated(_) => Self::client(Kind::WrongState, &error),
            CreateKeyError::Expired(_) => Self::field("/expires_at", &error),
            CreateKeyError::Database(error) => error.into(),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Forbidden(refusal) => refusal.into(),
            KeyError::NotFound(_) => Self::client(Kind::NotFound, &error),
            KeyError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateKeyError> for Problem {
    fn from(error: UpdateKeyError) -> Self {
        match error {
            UpdateKeyError::Forbidden(refusal) => refusal.into(),
            UpdateKeyError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateKeyError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateKeyError::Revoked(_) => Self::client(Kind::WrongState, &error),
            UpdateKeyError::Database(error) => error.into(),
        }
    }
}

impl From<RotateKeyError> for Problem {
    fn from(error: RotateKeyError) -> Self {
        match error {
            RotateKeyError::Forbidden(refusal) => refusal.into(),
            RotateKeyError::Beyond(_) => Self::client(Kind::Forbidden, &error),
            RotateKeyError::NotFound(_) => Self::client(Kind::NotFound, &error),
            RotateKeyError::Over => Self::client(Kind::WrongState, &error),
            RotateKeyError::OverlapTooLong => Self::field("/overlap_hours", &error),
            RotateKeyError::Expired(_) => Self::field("/expires_at", &error),
            RotateKeyError::Database(error) => error.into(),
        }
    }
}

impl From<RevokeKeyError> for Problem {
    fn from(error: RevokeKeyError) -> Self {
        match error {
            RevokeKeyError::Forbidden(refusal) => refusal.into(),
            RevokeKeyError::NotFound(_) => Self::client(Kind::NotFound, &error),
            RevokeKeyError::AlreadyRevoked(_) => Self::client(Kind::WrongState, &error),
            RevokeKeyError::Database(error) => error.into(),
        }
    }
}
