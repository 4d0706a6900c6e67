//! What an agent is: a JSON object with a digest over its canonical form.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value};

/// How many bytes a definition may have in canonical form.
pub const MAX_DEFINITION: usize = 256 * 1024;

/// Fields of a request that `parameters` cannot set, whatever their value.
const NOT_PARAMETERS: &[&str] = &["messages", "model", "stream", "stream_options", "tool_choice", "tools"];

/// The largest integer that every JSON reader reads alike (RFC 8785 writes numbers as IEEE 754 doubles).
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Why a value defines no agent, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}` {reason}")]
pub struct DefinitionError {
    /// The place, as a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

/// The definition of an agent. It is kept, hashed and run in its canonical form (RFC 8785), so that the digest is that
/// of the very bytes that are stored.
///
/// ```
/// let definition = catalog::Definition::new(&serde_json::json!({
///     "model": "gpt-4o-mini",
///     "tools": ["semantic_search", { "type": "function", "function": { "name": "send_email" } }],
///     "parameters": { "temperature": 0.2 },
///     "data_class": "internal",
///     "team": "support",
/// }))?;
/// assert_eq!((definition.model(), definition.data_class()), (Some("gpt-4o-mini"), Some("internal")));
/// assert_eq!(definition.tools().iter().map(catalog::Tool::name).collect::<Vec<_>>(), ["semantic_search", "send_email"]);
/// assert_eq!(definition.digest().len(), 64);
/// # Ok::<(), catalog::DefinitionError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Definition {
    canonical: String,
    digest: String,
    fields: Map<String, Value>,
    tools: Vec<Tool>,
}

/// A tool that an agent may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    name: String,
    object: Option<Value>,
}

impl Tool {
    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tool as OpenAI's API describes one, where the definition does.
    pub const fn object(&self) -> Option<&Value> {
        self.object.as_ref()
    }
}

impl Definition {
    /// Checks a definition.
    pub fn new(value: &Value) -> Result<Self, DefinitionError> {
        check_numbers(value, "")?;
        let canonical = serde_json_canonicalizer::to_string(value).map_err(|error| wrong("", error.to_string()))?;
        if canonical.len() > MAX_DEFINITION {
            return Err(wrong("", format!("must not be longer than {MAX_DEFINITION} bytes")));
        }
        kernel::check_json(canonical.as_bytes()).map_err(|error| wrong("", error.to_string()))?;
        let digest = digest(&canonical);
        Self::parse(canonical, digest)
    }

    /// Reads a definition that was stored with its digest; `None` if it is not what the digest names.
    pub(crate) fn stored(canonical: String, digest: String) -> Option<Self> {
        if self::digest(&canonical) == digest { Self::parse(canonical, digest).ok() } else { None }
    }

    fn parse(canonical: String, digest: String) -> Result<Self, DefinitionError> {
        // The canonical text is read back, so that what runs is what was hashed.
        let fields: Map<String, Value> =
            serde_json::from_str(&canonical).map_err(|_| wrong("", "must be a JSON object".to_owned()))?;
        for (name, longest, rule) in TEXTS {
            match fields.get(name) {
                None => {}
                Some(Value::String(text)) if longest.is_none_or(|longest| (1..=longest).contains(&text.len())) => {}
                Some(_) => return Err(wrong(&format!("/{name}"), rule.to_owned())),
            }
        }
        check_parameters(fields.get("parameters"))?;
        let tools = tools(fields.get("tools"))?;
        Ok(Self { canonical, digest, fields, tools })
    }

    /// The canonical form.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The SHA-256 digest of the canonical form, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every field, the recognised ones included.
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The model that the agent uses. Without one it cannot be called.
    pub fn model(&self) -> Option<&str> {
        self.fields.get("model").and_then(Value::as_str)
    }

    /// How sensitive the data is that the agent handles, in the tenant's own words, for its policies: `confidential`.
    pub fn data_class(&self) -> Option<&str> {
        self.fields.get("data_class").and_then(Value::as_str)
    }

    /// What the model is told before anything else.
    pub fn system_prompt(&self) -> Option<&str> {
        self.fields.get("system_prompt").and_then(Value::as_str)
    }

    /// The tools that the agent may call, and no others: a definition without `tools` allows none.
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// Numbers that the model is called with: `temperature`, `max_tokens` and their like.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        let parameters = self.fields.get("parameters").and_then(Value::as_object);
        parameters.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }
}

/// Prompts stay out of logs.
impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({})", self.digest)
    }
}

/// The fields that are texts, how many bytes each may have, and how that is said.
const TEXTS: [(&str, Option<usize>, &str); 3] = [
    ("data_class", Some(64), "must be a text of 1 to 64 bytes"),
    ("model", Some(200), "must be a text of 1 to 200 bytes"),
    ("system_prompt", None, "must be a text"),
];

fn tools(value: Option<&Value>) -> Result<Vec<Tool>, DefinitionError> {
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(wrong("/tools", "must be a list".to_owned())),
    };
    let mut names = HashSet::new();
    let mut tools = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let tool = tool(item, &format!("/tools/{at}"))?;
        if !names.insert(tool.name.clone()) {
            return Err(wrong(&format!("/tools/{at}"), format!("repeats the tool `{}`", tool.name)));
        }
        tools.push(tool);
    }
    Ok(tools)
}

fn tool(item: &Value, pointer: &str) -> Result<Tool, DefinitionError> {
    if let Value::String(name) = item {
        return Ok(Tool { name: tool_name(name, pointer)?, object: None });
    }
    let function = item.get("type").and_then(Value::as_str) == Some("function");
    let Some(Value::String(name)) = item.get("function").and_then(|function| function.get("name")) else {
        return Err(wrong(pointer, "must be a name, or an object with `type` and `function.name`".to_owned()));
    };
    if !function {
        return Err(wrong(&format!("{pointer}/type"), "must be `function`".to_owned()));
    }
    Ok(Tool { name: tool_name(name, &format!("{pointer}/function/name"))?, object: Some(item.clone()) })
}

fn tool_name(name: &str, pointer: &str) -> Result<String, DefinitionError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if plain && (1..=64).contains(&name.len()) {
        Ok(name.to_owned())
    } else {
        Err(wrong(pointer, "must be a name of 1 to 64 letters, digits, `_` and `-`".to_owned()))
    }
}

fn check_parameters(value: Option<&Value>) -> Result<(), DefinitionError> {
    let fields = match value {
        None => return Ok(()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(wrong("/parameters", "must be an object".to_owned())),
    };
    for (name, value) in fields {
        let pointer = format!("/parameters/{}", escape(name));
        let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !plain || !(1..=64).contains(&name.len()) || NOT_PARAMETERS.contains(&name.as_str()) {
            return Err(wrong(&pointer, "is not a parameter of a model".to_owned()));
        }
        let Some(number) = value.as_f64() else {
            return Err(wrong(&pointer, "must be a number".to_owned()));
        };
        if let Some(rule) = out_of_range(name, number, value.is_u64()) {
            return Err(wrong(&pointer, rule.to_owned()));
        }
    }
    Ok(())
}

fn out_of_range(name: &str, number: f64, counts: bool) -> Option<&'static str> {
    let (fits, rule) = match name {
        "temperature" => ((0.0..=2.0).contains(&number), "must be between 0 and 2"),
        "top_p" => ((0.0..=1.0).contains(&number), "must be between 0 and 1"),
        "presence_penalty" | "frequency_penalty" => ((-2.0..=2.0).contains(&number), "must be between -2 and 2"),
        "max_tokens" | "max_completion_tokens" | "n" => (counts && number >= 1.0, "must be a whole number from 1"),
        _ => return None,
    };
    if fits { None } else { Some(rule) }
}

fn check_numbers(value: &Value, pointer: &str) -> Result<(), DefinitionError> {
    match value {
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if whole.is_some_and(|whole| whole > MAX_EXACT) {
                let reason =
                    format!("must not be a whole number beyond {MAX_EXACT}, which not every reader reads alike");
                return Err(wrong(pointer, reason));
            }
            Ok(())
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| check_numbers(item, &format!("{pointer}/{at}")))
        }
        Value::Object(fields) => {
            fields.iter().try_for_each(|(name, field)| check_numbers(field, &format!("{pointer}/{}", escape(name))))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// A name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn wrong(pointer: &str, reason: String) -> DefinitionError {
    DefinitionError { pointer: pointer.to_owned(), reason }
}

fn digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    kernel::hex(digest.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_digest_does_not_depend_on_spelling() {
        let one = Definition::new(&serde_json::from_str(r#"{"b": 1.0, "a": "\u00e9"}"#).unwrap()).unwrap();
        let other = Definition::new(&serde_json::from_str("{\"a\":\"é\",\"b\":1}").unwrap()).unwrap();
        assert_eq!(one.canonical(), r#"{"a":"é","b":1}"#);
        assert_eq!(one, other);
    }

    #[test]
    fn the_digest_is_that_of_the_canonical_bytes() {
        // printf '{}' | sha256sum
        let empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(Definition::new(&json!({})).unwrap().digest(), empty);
        assert!(Definition::stored("{}".to_owned(), empty.to_owned()).is_some());
        assert!(Definition::stored("{ }".to_owned(), empty.to_owned()).is_none());
    }

    #[test]
    fn what_defines_no_agent_is_refused_with_its_place() {
        let tool = |name: &str| json!({ "type": "function", "function": { "name": name } });
        for (value, pointer) in [
            (json!([]), ""),
            (json!("x"), ""),
            (json!({ "a": "x".repeat(MAX_DEFINITION) }), ""),
            (json!({ "a": "\0" }), ""),
            (json!({ "model": 4 }), "/model"),
            (json!({ "model": "" }), "/model"),
            (json!({ "system_prompt": [] }), "/system_prompt"),
            (json!({ "data_class": "" }), "/data_class"),
            (json!({ "data_class": ["secret"] }), "/data_class"),
            (json!({ "tools": "search" }), "/tools"),
            (json!({ "tools": ["a", ""] }), "/tools/1"),
            (json!({ "tools": ["sénd"] }), "/tools/0"),
            (json!({ "tools": [tool("a"), "a"] }), "/tools/1"),
            (json!({ "tools": [tool("a b")] }), "/tools/0/function/name"),
            (json!({ "tools": [{ "type": "web", "function": { "name": "a" } }] }), "/tools/0/type"),
            (json!({ "tools": [{}] }), "/tools/0"),
            (json!({ "parameters": [] }), "/parameters"),
            (json!({ "parameters": { "temperature": "hot" } }), "/parameters/temperature"),
            (json!({ "parameters": { "temperature": 2.5 } }), "/parameters/temperature"),
            (json!({ "parameters": { "top_p": -0.1 } }), "/parameters/top_p"),
            (json!({ "parameters": { "max_tokens": 0 } }), "/parameters/max_tokens"),
            (json!({ "parameters": { "max_tokens": 1.5 } }), "/parameters/max_tokens"),
            (json!({ "parameters": { "stream": 1 } }), "/parameters/stream"),
            (json!({ "parameters": { "a/b": 1 } }), "/parameters/a~1b"),
            (json!({ "deep": { "list": [0, 9_007_199_254_740_993_u64] } }), "/deep/list/1"),
            (json!({ "low": -9_007_199_254_740_992_i64 }), "/low"),
        ] {
            let error = Definition::new(&value).unwrap_err();
            assert_eq!(error.pointer, pointer, "{value}: {error}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = (0..100).fold(json!({}), |inner, _| json!({ "a": inner }));
        assert!(Definition::new(&nested).is_err());
    }

    #[test]
    fn published_vectors_are_canonicalised_right() {
        let Some(folder) = testkit::shared("vectors/jcs/testdata") else { return };
        let mut count = 0;
        for input in std::fs::read_dir(folder.join("input")).unwrap() {
            let name = input.unwrap().file_name();
            let read = |part: &str| std::fs::read_to_string(folder.join(part).join(&name)).unwrap();
            let value: Value = serde_json::from_str(&read("input")).unwrap();
            assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), read("output"), "{name:?}");
            count += 1;
        }
        assert_eq!(count, 6);
    }

    proptest! {
        #[test]
        fn a_stored_definition_reads_back_as_it_was(
            model in "[a-z0-9.-]{1,20}",
            prompt in "\\PC{0,200}",
            temperature in 0.0..2.0_f64,
            tools in proptest::collection::btree_set("[a-zA-Z0-9_-]{1,64}", 0..8),
        ) {
            let value = json!({
                "model": model, "system_prompt": prompt, "tools": tools, "parameters": { "temperature": temperature },
            });
            let definition = Definition::new(&value).unwrap();
            let stored = Definition::stored(definition.canonical().to_owned(), definition.digest().to_owned());
            prop_assert_eq!(stored, Some(definition));
        }
    }
}
