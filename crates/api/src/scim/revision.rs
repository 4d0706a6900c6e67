//! Which state of a resource a change is made for (RFC 7644, 3.14): any, unless `If-Match` names one.

use axum::extract::FromRequestParts;
use http::header::IF_MATCH;
use http::request::Parts;

use crate::act::changed_as_it_is;
use crate::app::App;
use crate::problem::{Kind, Problem};

/// The states that a change may be made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever it is.
    Any,
    /// One of these.
    OneOf(Vec<u64>),
}

impl FromRequestParts<App> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let values: Vec<&str> =
            parts.headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or("")).collect();
        Ok(Self::read(&values))
    }
}

impl Wanted {
    fn read(values: &[&str]) -> Self {
        let tags = || values.iter().flat_map(|value| value.split(',')).map(str::trim);
        if tags().all(|tag| tag == "*") {
            return Self::Any;
        }
        // What was not given here as an `ETag` names no state at all.
        let plain =
            |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        Self::OneOf(tags().filter_map(plain).collect())
    }

    /// Makes `change` to the present state of what `load` loads, if it is one that is wanted. A change for any state is
    /// tried again when another came between.
    pub(super) fn change<T, U>(
        &self,
        load: impl Fn() -> Result<(u64, T), Problem>,
        change: impl Fn(T, u64) -> Result<U, Problem>,
    ) -> Result<U, Problem> {
        let Self::OneOf(revisions) = self else {
            return changed_as_it_is(load, |(revision, before)| change(before, revision));
        };
        let (revision, before) = load()?;
        if !revisions.contains(&revision) {
            return Err(Problem::new(Kind::Stale));
        }
        change(before, revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_weak_or_strong_one_or_many() {
        assert_eq!(Wanted::read(&[]), Wanted::Any);
        assert_eq!(Wanted::read(&["*"]), Wanted::Any);
        assert_eq!(Wanted::read(&["\"3\""]), Wanted::OneOf(vec![3]));
        assert_eq!(Wanted::read(&["W/\"3\", \"4\"", "\"5\""]), Wanted::OneOf(vec![3, 4, 5]));
        for strange in ["3", "\"x\"", "", "W/3", "\"-1\"", "*, \"x\""] {
            assert_eq!(Wanted::read(&[strange]), Wanted::OneOf(vec![]), "{strange}");
        }
    }

    #[test]
    fn only_a_change_for_any_state_is_tried_again() {
        let tried = std::cell::Cell::new(0_u64);
        let load = || Ok((tried.get(), ()));
        let change = |(), _| {
            tried.set(tried.get() + 1);
            if tried.get() < 3 { Err(Problem::new(Kind::Stale)) } else { Ok(tried.get()) }
        };
        assert_eq!(Wanted::Any.change(load, change).unwrap(), 3);
        tried.set(0);
        assert_eq!(Wanted::OneOf(vec![0]).change(load, change).unwrap_err().kind(), Kind::Stale);
        assert_eq!(tried.get(), 1);
        assert_eq!(Wanted::OneOf(vec![7]).change(load, change).unwrap_err().kind(), Kind::Stale);
        assert_eq!(tried.get(), 1);
        let never = |(), _| Err::<(), _>(Problem::new(Kind::Stale));
        assert_eq!(Wanted::Any.change(load, never).unwrap_err().kind(), Kind::Stale);
    }
}
