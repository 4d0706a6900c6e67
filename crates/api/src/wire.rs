//! Forms that several wire types share.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use identity::Direction;
use kernel::{Cursor, Money, Page, PageSize, Secret};
use serde::de::IntoDeserializer as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// A value that is written as text: an id, a name, an instant. What cannot be read is refused where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl<T: fmt::Display> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A text that does not print.
#[derive(Clone, Debug)]
pub(crate) struct Hidden(pub(crate) Secret<String>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new).map(Self)
    }
}

/// An exact amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object with `amount` and `currency`")]
pub(crate) struct Amount {
    /// A decimal number with at most nine places.
    #[schema(value_type = String, example = "0.0025")]
    amount: Written<Money>,
    /// The currency.
    currency: Currency,
}

/// A currency (ISO 4217).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) enum Currency {
    /// US dollars.
    #[serde(rename = "USD")]
    Usd,
}

impl From<Money> for Amount {
    fn from(amount: Money) -> Self {
        Self { amount: Written(amount), currency: Currency::Usd }
    }
}

impl From<Amount> for Money {
    fn from(Amount { amount: Written(amount), currency: Currency::Usd }: Amount) -> Self {
        amount
    }
}

/// How many items a page holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limit(pub(crate) PageSize);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let size = PageSize::new(u16::deserialize(deserializer)?);
        size.map(Self).ok_or_else(|| serde::de::Error::custom("a page holds from 1 to 1000 items"))
    }
}

/// Which page of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Where the page starts: the `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Written<Cursor>>,
    /// How many items the page holds, from 1 to 1000; 50 unless given.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

impl PageQuery {
    /// Where the page starts.
    pub(crate) fn after(&self) -> Option<&Cursor> {
        self.cursor.as_ref().map(|cursor| &cursor.0)
    }

    /// How many items it holds.
    pub(crate) const fn size(&self) -> PageSize {
        self.limit.0
    }
}

/// What a list is sorted by, as `T` names it, and from which end: a minus in front means from the last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sort<T> {
    /// By what.
    pub(crate) by: T,
    /// From which end.
    pub(crate) direction: Direction,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sort<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let (name, direction) = match text.strip_prefix('-') {
            Some(name) => (name, Direction::Descending),
            None => (&*text, Direction::Ascending),
        };
        let by = T::deserialize(name.to_owned().into_deserializer())?;
        Ok(Self { by, direction })
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOut<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page starts: pass it as `cursor`. Null at the end.
    pub(crate) next: Option<String>,
}

/// What a use case returns, as clients see it.
pub(crate) trait Show: Send + 'static {
    /// Its wire form.
    type Out: Serialize;

    /// The media type of that.
    const MEDIA_TYPE: &'static str = "application/json";

    /// Writes it.
    fn show(&self) -> Self::Out;

    /// What its `ETag` is made of, if it can be changed.
    fn revision(&self) -> Option<u64> {
        None
    }

    /// Whether what was asked for is still to come: 202.
    fn is_pending(&self) -> bool {
        false
    }

    /// Where it can be read again.
    fn address(&self) -> Option<String> {
        None
    }
}

impl<T: Show> Show for Page<T> {
    type Out = PageOut<T::Out>;

    fn show(&self) -> Self::Out {
        let Self { items, next } = self;
        PageOut { items: items.iter().map(Show::show).collect(), next: next.as_ref().map(ToString::to_string) }
    }
}

/// Reads a field that may be absent, but not null: `#[serde(default, deserialize_with = "present")]`.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What becomes of a value: `#[serde(default)]` where the field may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Change<T> {
    /// Absent: it stays.
    #[default]
    Keep,
    /// Null: it goes.
    Remove,
    /// It becomes another.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

/// The value, or the problem of the field that it stands in.
pub(crate) fn field<T, E: fmt::Display>(pointer: &str, value: Result<T, E>) -> Result<T, Problem> {
    value.map_err(|error| Problem::field(pointer, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parse;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Patch {
        #[serde(default, deserialize_with = "present")]
        limit: Option<Amount>,
        #[serde(default)]
        email: Change<String>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq)]
    #[serde(rename_all = "snake_case")]
    enum By {
        CreatedAt,
    }

    #[test]
    fn a_minus_sorts_from_the_last() {
        let sort = |text: &str| serde_json::from_value::<Sort<By>>(json!(text)).map(|sort| sort.direction);
        assert_eq!(sort("created_at").unwrap(), Direction::Ascending);
        assert_eq!(sort("-created_at").unwrap(), Direction::Descending);
        for bad in ["", "-", "--created_at", "name", "created_at,-created_at"] {
            assert!(sort(bad).is_err(), "{bad}");
        }
    }

    fn refusal(json: &str) -> String {
        let body = serde_json::to_value(parse::<Patch>(json.as_bytes()).unwrap_err().into_body()).unwrap();
        format!("{} {}", body["errors"][0]["pointer"], body["errors"][0]["detail"])
    }

    #[test]
    fn absent_is_not_null() {
        let patch: Patch = parse(b"{}").unwrap();
        assert!(patch.limit.is_none() && patch.email == Change::Keep);
        let patch: Patch = parse(br#"{"email": null}"#).unwrap();
        assert_eq!(patch.email, Change::Remove);
        assert_eq!(refusal(r#"{"limit": null}"#).split_once(' ').unwrap().0, r#""/limit""#);
    }

    #[test]
    fn money_is_a_decimal_and_a_currency() {
        let amount = Amount::from(Money::from_nanos(2_500));
        assert_eq!(serde_json::to_value(&amount).unwrap(), json!({"amount": "0.0000025", "currency": "USD"}));
        insta::assert_snapshot!(
            [r#"{"limit": {"amount": "1e3", "currency": "USD"}}"#, r#"{"limit": {"amount": "1", "currency": "EUR"}}"#]
                .map(refusal)
                .join("\n"),
            @r#"
        "/limit/amount" "not an amount: expected a decimal number with at most nine places, such as `12.50` at line 1 column 26"
        "/limit/currency" "unknown variant `EUR`, expected `USD` at line 1 column 43"
        "#
        );
    }
}
