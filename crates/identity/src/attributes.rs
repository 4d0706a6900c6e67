//! What a tenant keeps about a user for its policies.

use std::str::FromStr;

use authz::{Attribute, Attributes};
use serde_json::{Map, Value, json};

/// How many attributes a user may have.
const MOST: usize = 64;
/// How long a text may be, in bytes.
const LONGEST: usize = 256;
/// How many texts a list may hold.
const MOST_TEXTS: usize = 64;

/// The attributes of a user: at most 64, each a text of at most 256 bytes, a whole number, yes or no, or a list of at
/// most 64 such texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAttributes(Attributes);

/// JSON that is no attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// Not an object of few enough fields.
    #[error("attributes must be an object of at most 64 fields")]
    NotAnObject,
    /// A name of another form.
    #[error(
        "`{0}` cannot name an attribute: expected 1 to 64 lower-case letters, digits and `_`, starting with a letter"
    )]
    Name(String),
    /// A value of another kind.
    #[error("`{0}` must be a text of at most 256 bytes, a whole number, true or false, or a list of at most 64 texts")]
    Value(String),
}

impl AttributesError {
    /// The field that is wrong, as a JSON pointer (RFC 6901) within the attributes.
    pub fn pointer(&self) -> String {
        match self {
            Self::NotAnObject => String::new(),
            Self::Name(name) | Self::Value(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        }
    }
}

impl UserAttributes {
    /// Reads attributes.
    pub fn from_json(json: &Value) -> Result<Self, AttributesError> {
        let fields = json.as_object().filter(|fields| fields.len() <= MOST).ok_or(AttributesError::NotAnObject)?;
        let attribute = |(name, value): (&String, &Value)| {
            if !is_name(name) {
                return Err(AttributesError::Name(name.clone()));
            }
            let value = attribute(value).ok_or_else(|| AttributesError::Value(name.clone()))?;
            Ok((name.clone(), value))
        };
        fields.iter().map(attribute).collect::<Result<_, _>>().map(Self)
    }

    /// Writes the attributes.
    pub fn to_json(&self) -> Value {
        let value = |attribute: &Attribute| match attribute {
            Attribute::Text(text) => json!(text),
            Attribute::Number(number) => json!(number),
            Attribute::Flag(flag) => json!(flag),
            Attribute::Texts(texts) => json!(texts),
        };
        Value::Object(self.0.iter().map(|(name, attribute)| (name.clone(), value(attribute))).collect::<Map<_, _>>())
    }

    /// The attributes, as policies ask for them.
    pub fn as_map(&self) -> &Attributes {
        &self.0
    }
}

/// As the database keeps them.
impl FromStr for UserAttributes {
    type Err = AttributesError;

    fn from_str(text: &str) -> Result<Self, AttributesError> {
        Self::from_json(&serde_json::from_str(text).map_err(|_| AttributesError::NotAnObject)?)
    }
}

impl std::fmt::Display for UserAttributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_json().fmt(f)
    }
}

store::text_values!(UserAttributes);

fn is_name(name: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    starts && name.len() <= 64 && name.bytes().all(allowed)
}

fn attribute(value: &Value) -> Option<Attribute> {
    match value {
        Value::String(text) => short(text).map(Attribute::Text),
        Value::Number(number) => number.as_i64().map(Attribute::Number),
        Value::Bool(flag) => Some(Attribute::Flag(*flag)),
        Value::Array(items) if items.len() <= MOST_TEXTS => {
            let texts = items.iter().map(|item| item.as_str().and_then(short)).collect::<Option<Vec<_>>>();
            texts.map(|mut texts| {
                texts.sort_unstable();
                texts.dedup();
                Attribute::Texts(texts)
            })
        }
        Value::Array(_) | Value::Object(_) | Value::Null => None,
    }
}

/// A text that both engines keep alike.
fn short(text: &str) -> Option<String> {
    (text.len() <= LONGEST && !text.contains('\0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_survive_their_text() {
        let json = json!({"clearance": "high", "level": -3, "on_call": true, "regions": ["eu", "us", "eu"]});
        let attributes = UserAttributes::from_json(&json).unwrap();
        assert_eq!(attributes.as_map()["regions"], Attribute::Texts(vec!["eu".to_owned(), "us".to_owned()]));
        assert_eq!(attributes.to_string().parse(), Ok(attributes));
        assert_eq!("{}".parse(), Ok(UserAttributes::default()));
    }

    #[test]
    fn what_no_policy_could_ask_for_is_refused_and_named() {
        let refused = |json: Value| UserAttributes::from_json(&json).unwrap_err().pointer();
        assert_eq!(refused(json!([])), "");
        let many: Map<String, Value> = (0..65).map(|number| (format!("a{number}"), json!(1))).collect();
        assert_eq!(refused(Value::Object(many)), "");
        for bad in ["", "Level", "1st", "a-b", "ä", &"a".repeat(65)] {
            assert_eq!(refused(json!({ bad: 1 })), format!("/{bad}"));
        }
        let long = "x".repeat(257);
        for bad in [
            json!(null),
            json!(1.5),
            json!(u64::MAX),
            json!({}),
            json!([1]),
            json!(["a", null]),
            json!(long),
            json!([long]),
            json!(vec!["a"; 65]),
            json!("a\0"),
        ] {
            assert_eq!(refused(json!({ "level": bad })), "/level", "{bad}");
        }
    }
}
