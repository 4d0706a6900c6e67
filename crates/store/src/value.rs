//! Values and rows that both engines store and return alike.

use kernel::{
    AgentId, BudgetId, CallId, Cursor, GroupId, KeyId, Money, NodeId, PriceId, ProviderId, RequestId, ReviewId,
    SessionId, TenantId, Timestamp, UserId, VersionId, WorkflowId,
};

use crate::StoreError;

/// A value of a column. There are four kinds of column, and only these.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `BIGINT`, `INTEGER`.
    Int(i64),
    /// `DOUBLE PRECISION`, `REAL`.
    Real(f64),
    /// `TEXT`.
    Text(String),
    /// `BYTEA`, `BLOB`.
    Blob(Vec<u8>),
}

/// A row of a result, read from left to right.
#[derive(Debug)]
pub struct Row {
    values: std::vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter() }
    }

    /// The next column. Fails when it does not hold a `T`: then the schema and the code differ, or the data was altered.
    pub fn get<T: FromValue>(&mut self) -> Result<T, StoreError> {
        let value = self.values.next().ok_or(StoreError::Decode("a column that the statement does not return"))?;
        T::from_value(value)
    }
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// Reads the value, or says what it should have been.
    fn from_value(value: Value) -> Result<Self, StoreError>;
}

macro_rules! from_value {
    ($($type:ty = $variant:ident, $name:literal;)+) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, StoreError> {
                if let Value::$variant(value) = value { Ok(value) } else { Err(StoreError::Decode($name)) }
            }
        }

        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }
    )+};
}

from_value! {
    i64 = Int, "an integer";
    f64 = Real, "a number";
    String = Text, "a text";
    Vec<u8> = Blob, "bytes";
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

/// Non-negative counts; a larger one is kept as the largest that fits.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        Self::try_from(i64::from_value(value)?).map_err(|_| StoreError::Decode("a count"))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        Self::try_from(i64::from_value(value)?).map_err(|_| StoreError::Decode("a small count"))
    }
}

impl FromValue for Timestamp {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        i64::from_value(value).map(Self::from_micros)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.micros())
    }
}

impl FromValue for Money {
    fn from_value(value: Value) -> Result<Self, StoreError> {
        i64::from_value(value).map(Self::from_nanos)
    }
}

impl From<Money> for Value {
    fn from(amount: Money) -> Self {
        Self::Int(amount.nanos())
    }
}

impl From<&Cursor> for Value {
    fn from(cursor: &Cursor) -> Self {
        cursor.key().into()
    }
}

/// Lets a type that is kept as text be bound and read: it needs `as_str`, `Display` and `FromStr`.
#[macro_export]
macro_rules! text_values {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::FromValue for $type {
            fn from_value(value: $crate::Value) -> Result<Self, $crate::StoreError> {
                let text = <String as $crate::FromValue>::from_value(value)?;
                text.parse().map_err(|_| $crate::StoreError::Decode(stringify!($type)))
            }
        }

        impl From<&$type> for $crate::Value {
            fn from(value: &$type) -> Self {
                Self::Text(value.to_string())
            }
        }

        impl From<$type> for $crate::Value {
            fn from(value: $type) -> Self {
                Self::Text(value.to_string())
            }
        }
    )+};
}

text_values! {
    TenantId, AgentId, VersionId, UserId, ReviewId, WorkflowId, BudgetId, PriceId, CallId, RequestId, NodeId, KeyId,
    SessionId, GroupId, ProviderId,
}
text_values!(authz::Roles, authz::Permissions, authz::CustomRole, authz::Makers);

/// The values after the tenant, in the order of their placeholders: the first is `$2`.
///
/// ```
/// let values = store::values![kernel::Money::from_nanos(5), "text", None::<i64>];
/// assert_eq!(values.len(), 3);
/// ```
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        ::std::vec::Vec::<$crate::Value>::from([$($crate::Value::from($value)),*])
    };
}
