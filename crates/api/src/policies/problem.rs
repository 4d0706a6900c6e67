//! Why policies are not as they were to be.

use policy::{
    ActivateError, BacktestError, CreateVersionError, Invalid, ReadError, TestError, Tested, UnreadableCases,
};

use crate::problem::{Kind, Problem};

/// How many things that are wrong are told at once.
const MOST: usize = 50;

impl From<Invalid> for Problem {
    fn from(Invalid(faults): Invalid) -> Self {
        let invalid = Self::new(Kind::Invalid);
        faults.iter().take(MOST).fold(invalid, |problem, fault| problem.and_field("/source", fault))
    }
}

impl From<UnreadableCases> for Problem {
    fn from(error: UnreadableCases) -> Self {
        let UnreadableCases { line, column, message } = error;
        Self::field("/tests", &format_args!("line {line}, column {column}: {message}"))
    }
}

fn failed(tests: &[Tested]) -> Problem {
    tests.iter().take(MOST).fold(Problem::new(Kind::Invalid), |problem, test| {
        problem.and_field("/tests", &format_args!("`{}` failed: {}", test.name, test.wrong.join("; ")))
    })
}

impl From<CreateVersionError> for Problem {
    fn from(error: CreateVersionError) -> Self {
        match error {
            CreateVersionError::Forbidden(refusal) => refusal.into(),
            CreateVersionError::Invalid(invalid) => invalid.into(),
            CreateVersionError::Unreadable(unreadable) => unreadable.into(),
            CreateVersionError::Failed(tests) => failed(&tests),
            CreateVersionError::Database(error) => error.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forbidden(refusal) => refusal.into(),
            ReadError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ReadError::Invalid(invalid) => invalid.into(),
            ReadError::Database(error) => error.into(),
        }
    }
}

impl From<TestError> for Problem {
    fn from(error: TestError) -> Self {
        match error {
            TestError::Forbidden(refusal) => refusal.into(),
            TestError::Invalid(invalid) => invalid.into(),
            TestError::Unreadable(unreadable) => unreadable.into(),
        }
    }
}

impl From<BacktestError> for Problem {
    fn from(error: BacktestError) -> Self {
        match error {
            BacktestError::Forbidden(refusal) => refusal.into(),
            BacktestError::Invalid(invalid) => invalid.into(),
            BacktestError::Database(error) => error.into(),
        }
    }
}

impl From<ActivateError> for Problem {
    fn from(error: ActivateError) -> Self {
        match error {
            ActivateError::Forbidden(refusal) => refusal.into(),
            ActivateError::NotFound(_) => Self::client(Kind::NotFound, &error),
            ActivateError::Stale(_) => Self::client(Kind::Stale, &error),
            ActivateError::Already
            | ActivateError::NothingBefore
            | ActivateError::Pending(_)
            | ActivateError::Invalid(_) => Self::client(Kind::WrongState, &error),
            ActivateError::Database(error) => error.into(),
        }
    }
}
