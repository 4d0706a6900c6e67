//! Why users are not as they were to be.

use identity::{AttributesRefused, CreateUserError, RolesRefused, SignOutError, UpdateUserError, UserError};

use crate::problem::{Kind, Problem};

impl From<RolesRefused> for Problem {
    fn from(error: RolesRefused) -> Self {
        match error {
            RolesRefused::Platform(_) | RolesRefused::Unknown(_) => Self::field("/roles", &error),
            RolesRefused::Beyond(_) => Self::client(Kind::Forbidden, &error),
        }
    }
}

impl From<AttributesRefused> for Problem {
    fn from(error: AttributesRefused) -> Self {
        Self::client(Kind::Forbidden, &error)
    }
}

impl From<CreateUserError> for Problem {
    fn from(error: CreateUserError) -> Self {
        match error {
            CreateUserError::Forbidden(refusal) => refusal.into(),
            CreateUserError::Roles(refusal) => refusal.into(),
            CreateUserError::Attributes(refusal) => refusal.into(),
            CreateUserError::UsernameTaken(_) => Self::client(Kind::AlreadyExists, &error),
            CreateUserError::Database(error) => error.into(),
        }
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Forbidden(refusal) => refusal.into(),
            UserError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UserError::Database(error) => error.into(),
        }
    }
}

impl From<UpdateUserError> for Problem {
    fn from(error: UpdateUserError) -> Self {
        match error {
            UpdateUserError::Forbidden(refusal) => refusal.into(),
            UpdateUserError::Roles(refusal) => refusal.into(),
            UpdateUserError::Attributes(refusal) => refusal.into(),
            UpdateUserError::NotFound(_) => Self::client(Kind::NotFound, &error),
            UpdateUserError::Stale(_) => Self::client(Kind::Stale, &error),
            UpdateUserError::UsernameTaken(_) => Self::client(Kind::AlreadyExists, &error),
            UpdateUserError::LastAdmin(_) => Self::client(Kind::WrongState, &error),
            UpdateUserError::Database(error) => error.into(),
        }
    }
}

impl From<SignOutError> for Problem {
    fn from(error: SignOutError) -> Self {
        match error {
            SignOutError::Forbidden(refusal) => refusal.into(),
            SignOutError::NotFound(_) => Self::client(Kind::NotFound, &error),
            SignOutError::Database(error) => error.into(),
        }
    }
}
