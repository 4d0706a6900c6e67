//! What SCIM writes in queries and in `PATCH`: places and filters (RFC 7644, 3.4.2.2 and 3.5.2).

use std::fmt;

use serde_json::Value;

use super::schema::Schema;

/// Where a value stands: `userName`, `name.givenName`, `emails[type eq "work"].value`,
/// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// The schema that is named before it, if one is.
    pub(super) schema: Option<Schema>,
    /// The attribute in lower case; empty where all of a schema is meant.
    pub(super) attribute: String,
    /// Which of several values are meant; `None` for all.
    pub(super) only: Option<Filter>,
    /// The part of the attribute in lower case, if only that is meant.
    pub(super) part: Option<String>,
}

/// What must hold, each of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter(pub(super) Vec<Comparison>);

/// What is at a place is this.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// Where.
    pub(super) place: Place,
    /// A text, a number, a truth value or null; `None` where it is enough that anything is there.
    pub(super) value: Option<Value>,
}

/// A text that is no place, or no filter that is understood here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpressionError {
    /// It does not go on as it must.
    #[error("expected {expected} at character {at}")]
    Unexpected {
        /// What would have been understood.
        expected: &'static str,
        /// Where, counted from 1.
        at: usize,
    },
    /// An operator that is not supported.
    #[error("`{0}` is not supported: filters compare with `eq` and join with `and`")]
    Operator(String),
    /// A schema that is not known here.
    #[error("no schema is known by which `{0}` begins")]
    Schema(String),
}

/// How long an expression may be, in bytes.
const LONGEST: usize = 4_096;

impl Place {
    /// The resource itself.
    pub(super) const fn whole() -> Self {
        Self { schema: None, attribute: String::new(), only: None, part: None }
    }

    /// Reads a place.
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut reader = Reader::new(text)?;
        let place = reader.place(true)?;
        reader.end()?;
        Ok(place)
    }
}

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut reader = Reader::new(text)?;
        let filter = reader.filter(true)?;
        reader.end()?;
        Ok(filter)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, attribute, only: _, part } = self;
        if let Some(schema) = schema {
            write!(f, "{}{}", schema.urn(), if attribute.is_empty() { "" } else { ":" })?;
        }
        f.write_str(attribute)?;
        part.as_ref().map_or(Ok(()), |part| write!(f, ".{part}"))
    }
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self, ExpressionError> {
        if text.len() > LONGEST {
            return Err(ExpressionError::Unexpected { expected: "at most 4096 characters", at: LONGEST });
        }
        let text = text.trim();
        Ok(Self { whole: text, rest: text })
    }

    fn filter(&mut self, brackets: bool) -> Result<Filter, ExpressionError> {
        let mut all = vec![self.comparison(brackets)?];
        while self.word("and") {
            all.push(self.comparison(brackets)?);
        }
        Ok(Filter(all))
    }

    fn comparison(&mut self, brackets: bool) -> Result<Comparison, ExpressionError> {
        self.space();
        let place = self.place(brackets)?;
        if place.only.is_some() && self.at_an_end() {
            return Ok(Comparison { place, value: None });
        }
        self.space();
        let operator = self.take_while(|c| c.is_ascii_alphabetic());
        if operator.is_empty() {
            return Err(self.unexpected("an operator"));
        }
        if !operator.eq_ignore_ascii_case("eq") {
            return Err(ExpressionError::Operator(operator.to_owned()));
        }
        self.space();
        Ok(Comparison { place, value: Some(self.value()?) })
    }

    fn place(&mut self, brackets: bool) -> Result<Place, ExpressionError> {
        let schema = self.schema()?;
        if schema.is_some() && !self.eat(':') {
            return Ok(Place { schema, attribute: String::new(), only: None, part: None });
        }
        let attribute = self.name()?;
        let only = if brackets && self.eat('[') { Some(self.bracketed()?) } else { None };
        let part = if self.eat('.') { Some(self.name()?) } else { None };
        Ok(Place { schema, attribute, only, part })
    }

    fn bracketed(&mut self) -> Result<Filter, ExpressionError> {
        let filter = self.filter(false)?;
        self.space();
        if self.eat(']') { Ok(filter) } else { Err(self.unexpected("`]`")) }
    }

    fn schema(&mut self) -> Result<Option<Schema>, ExpressionError> {
        let begins = |start: &str| self.rest.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        if !begins("urn:") {
            return Ok(None);
        }
        // A longer name may begin with a shorter one, but not be confused with it: what follows is `:` or the end.
        let found = Schema::RESOURCES.into_iter().find(|schema| {
            let after = self.rest.get(schema.urn().len()..).unwrap_or_default();
            begins(schema.urn()) && (after.is_empty() || after.starts_with([':', ' ']))
        });
        let schema = found.ok_or_else(|| ExpressionError::Schema(self.rest.to_owned()))?;
        self.skip(schema.urn().len());
        Ok(Some(schema))
    }

    fn name(&mut self) -> Result<String, ExpressionError> {
        let begins = self.rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$');
        if !begins {
            return Err(self.unexpected("the name of an attribute"));
        }
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '$' | '_' | '-'));
        Ok(name.to_ascii_lowercase())
    }

    fn value(&mut self) -> Result<Value, ExpressionError> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) if !value.is_object() && !value.is_array() => {
                let read = values.byte_offset();
                self.skip(read);
                Ok(value)
            }
            _ => Err(self.unexpected("a text in double quotes, a number, `true`, `false` or `null`")),
        }
    }

    /// Takes a word that stands between spaces, if it comes next.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let (head, tail) = (rest.get(..word.len()), rest.get(word.len()..).unwrap_or_default());
        let found = head.is_some_and(|head| head.eq_ignore_ascii_case(word)) && tail.starts_with(' ');
        if found {
            self.rest = tail;
        }
        found
    }

    fn at_an_end(&self) -> bool {
        let rest = self.rest.trim_start();
        rest.is_empty() || rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("and "))
    }

    fn end(&self) -> Result<(), ExpressionError> {
        let next = self.rest.trim_start().split([' ', '(']).next().unwrap_or_default();
        match next {
            "" if self.rest.trim().is_empty() => Ok(()),
            "or" | "OR" | "not" | "NOT" => Err(ExpressionError::Operator(next.to_owned())),
            _ => Err(self.unexpected("the end")),
        }
    }

    fn eat(&mut self, c: char) -> bool {
        self.rest.strip_prefix(c).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn unexpected(&self, expected: &'static str) -> ExpressionError {
        let read = self.whole.len() - self.rest.len();
        let at = self.whole.get(..read).map_or(0, |text| text.chars().count()) + 1;
        ExpressionError::Unexpected { expected, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(text: &str) -> String {
        match Filter::parse(text) {
            Ok(Filter(all)) => all.iter().map(shown).collect::<Vec<_>>().join(" & "),
            Err(error) => error.to_string(),
        }
    }

    fn shown(Comparison { place, value }: &Comparison) -> String {
        let only = place.only.as_ref().map(|Filter(all)| all.iter().map(shown).collect::<Vec<_>>().join(" & "));
        let only = only.map_or(String::new(), |only| format!(" where ({only})"));
        value.as_ref().map_or(format!("{place}{only}"), |value| format!("{place}{only} = {value}"))
    }

    #[test]
    fn filters_as_clients_send_them() {
        let filters = [
            r#"userName eq "bjensen""#,
            r#"USERNAME Eq "bjensen" AND active eq true"#,
            r#"externalId eq "a\"b" and emails.value eq "a@example.com""#,
            r#"emails[type eq "work"].value eq "a@example.com""#,
            r#"emails[type eq "work" and value eq "a@example.com"]"#,
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "x""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "R&D""#,
            r#"members[value eq "usr_1"] and displayName eq "and ""#,
        ];
        insta::assert_snapshot!(filters.map(filter).join("\n"), @r#"
        username = "bjensen"
        username = "bjensen" & active = true
        externalid = "a\"b" & emails.value = "a@example.com"
        emails.value where (type = "work") = "a@example.com"
        emails where (type = "work" & value = "a@example.com")
        urn:ietf:params:scim:schemas:core:2.0:User:username = "x"
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department = "R&D"
        members where (value = "usr_1") & displayname = "and "
        "#);
    }

    #[test]
    fn what_is_no_filter_here_is_refused_with_its_place() {
        let filters = [
            "",
            "userName",
            "userName eq",
            "userName eq bjensen",
            r#"userName co "x""#,
            r#"userName eq "x" or userName eq "y""#,
            r#"not (userName eq "x")"#,
            r#"(userName eq "x")"#,
            r#"userName eq "x") or (1 eq 1"#,
            r#"emails[type eq "work" eq "x""#,
            r#"emails[emails[type eq "x"] eq 1].value eq 2"#,
            r#"userName eq {"a": 1}"#,
            r#"urn:evil:User:userName eq "x""#,
            r#"urn:ietf:params:scim:schemas:core:2.0:Users:userName eq "x""#,
            "userName eq \"x\" and",
            "ä eq 1",
        ];
        insta::assert_snapshot!(filters.map(filter).join("\n"), @r#"
        expected the name of an attribute at character 1
        expected an operator at character 9
        expected a text in double quotes, a number, `true`, `false` or `null` at character 12
        expected a text in double quotes, a number, `true`, `false` or `null` at character 13
        `co` is not supported: filters compare with `eq` and join with `and`
        `or` is not supported: filters compare with `eq` and join with `and`
        expected an operator at character 5
        expected the name of an attribute at character 1
        expected the end at character 16
        expected `]` at character 23
        expected an operator at character 14
        expected a text in double quotes, a number, `true`, `false` or `null` at character 13
        no schema is known by which `urn:evil:User:userName eq "x"` begins
        no schema is known by which `urn:ietf:params:scim:schemas:core:2.0:Users:userName eq "x"` begins
        expected the end at character 16
        expected the name of an attribute at character 1
        "#);
    }

    #[test]
    fn places_as_clients_send_them() {
        let place = |text: &str| match Place::parse(text) {
            Ok(place) => shown(&Comparison { place, value: None }),
            Err(error) => error.to_string(),
        };
        let places = [
            "userName",
            "name.familyName",
            r#"emails[type eq "work"].value"#,
            r#"members[value eq "usr_1"]"#,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            "",
            "a.b.c",
            "members[value eq",
            "members[]",
        ];
        insta::assert_snapshot!(places.map(place).join("\n"), @r#"
        username
        name.familyname
        emails.value where (type = "work")
        members where (value = "usr_1")
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User
        urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value
        expected the name of an attribute at character 1
        expected the end at character 4
        expected a text in double quotes, a number, `true`, `false` or `null` at character 17
        expected the name of an attribute at character 9
        "#);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,40}", tail in "[ a-z\\[\\].\"$:eqand]{0,40}") {
            let _ = Place::parse(&format!("{text}{tail}"));
            let _ = Filter::parse(&format!("{text}{tail}"));
            let _ = Filter::parse(&format!("userName eq \"{text}\" {tail}"));
        }

        #[test]
        fn any_text_can_be_compared_with(text in "\\PC{0,40}") {
            let value = serde_json::Value::String(text);
            let filter = Filter::parse(&format!("userName eq {value}")).unwrap();
            prop_assert_eq!(&filter.0, &[Comparison { place: Place::parse("userName").unwrap(), value: Some(value) }]);
        }
    }
}
