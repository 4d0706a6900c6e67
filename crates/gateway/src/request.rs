//! A chat request, read only as far as governing it needs, and rewritten only where the published version says so.

use std::borrow::Cow;
use std::fmt;

use authz::Obligation;
use kernel::AgentId;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use catalog::{Definition, Published};

/// Why a request cannot be forwarded. `pointer` names the field (RFC 6901).
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not one JSON object.
    #[error("the body is not a JSON object: {0}")]
    Malformed(String),
    /// A field holds what it must not.
    #[error("{detail}")]
    Invalid {
        /// The field.
        pointer: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A field that would lead the request elsewhere.
    #[error("`{0}` is not accepted here: upstreams are configured by administrators")]
    Rerouting(String),
    /// A tool that the published version does not have.
    #[error("the tool `{tool}` is not part of the published version")]
    ForeignTool {
        /// The field.
        pointer: String,
        /// The tool's name.
        tool: String,
    },
}

/// Fields that some gateways let a client choose the upstream or another model by. Here they are refused.
const REROUTING: [&str; 15] = [
    "api_base",
    "base_url",
    "api_key",
    "extra_headers",
    "extra_body",
    "proxy",
    "api_version",
    "custom_llm_provider",
    "models",
    "fallbacks",
    "provider",
    "route",
    "deployment_id",
    "model_list",
    "user_config",
];

/// Fields that are read or written here, besides the version's parameters.
const GOVERNED: [&str; 9] =
    ["functions", "max_completion_tokens", "max_tokens", "messages", "model", "n", "stream", "stream_options", "tools"];

/// Fields that offer the model tools, or speak of those that are offered.
const OF_TOOLS: [&str; 5] = ["function_call", "functions", "parallel_tool_calls", "tool_choice", "tools"];

/// How many fields a request may have. OpenAI's have about forty.
const MAX_FIELDS: usize = 256;

/// A chat request in the client's own words: the fields of its body, unread unless named here.
#[derive(Debug)]
pub struct ChatRequest<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// The model asked for; it may name an agent.
    pub model: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    include_usage: bool,
    choices: u64,
    max_output: Option<u64>,
}

impl<'a> ChatRequest<'a> {
    /// Reads a body.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestError> {
        let Fields(fields) =
            serde_json::from_slice(body).map_err(|error| RequestError::Malformed(error.to_string()))?;
        if let Some((name, _)) = fields.iter().find(|(name, _)| REROUTING.contains(&&**name)) {
            return Err(RequestError::Rerouting(name.to_string()));
        }
        let options: Option<StreamOptions> = read(&fields, "stream_options")?;
        let legacy: Option<u64> = read(&fields, "max_tokens")?;
        let max_output = read(&fields, "max_completion_tokens")?.or(legacy);
        let messages: Vec<&RawValue> = read(&fields, "messages")?.unwrap_or_default();
        if messages.is_empty() {
            return Err(invalid("/messages", "must be an array with at least one message"));
        }
        if let Some(at) = messages.iter().position(|message| !message.get().starts_with('{')) {
            return Err(invalid(&format!("/messages/{at}"), "must be an object"));
        }
        Ok(Self {
            model: read(&fields, "model")?,
            stream: read(&fields, "stream")?.unwrap_or(false),
            include_usage: options.and_then(|options| options.include_usage).unwrap_or(false),
            choices: read::<u64>(&fields, "n")?.unwrap_or(1).max(1),
            max_output,
            fields,
        })
    }

    /// The agent that the `model` field names, if it names one.
    pub fn agent(&self) -> Option<AgentId> {
        self.model.as_deref()?.parse().ok()
    }

    /// Whether the client asked for the usage chunk of a stream.
    pub const fn wants_usage(&self) -> bool {
        self.include_usage
    }

    /// Writes the request as the published version wants it: its model, its parameters, its prompt first, only its
    /// tools, within `limits`. What neither speaks of stays as the client sent it, byte for byte.
    pub fn governed(&self, version: &Published, model: &str, limits: Limits) -> Result<Governed, RequestError> {
        let definition = &version.definition;
        self.check_names(definition)?;
        let tools = self.tools(definition)?;
        let max_output = self.max_output(definition, limits.max_output);
        let mut body = Vec::with_capacity(512 + self.fields.iter().map(|(_, value)| value.get().len()).sum::<usize>());
        body.extend_from_slice(b"{\"model\":");
        push_string(&mut body, model);
        for (name, value) in &self.fields {
            let ours = matches!(&**name, "model" | "stream_options") || is_output_limit(name);
            let dropped = limits.without_tools && OF_TOOLS.contains(&&*folded(name));
            if ours || dropped || parameter(definition, name).is_some() {
                continue;
            }
            push_name(&mut body, name);
            match (&**name, definition.system_prompt()) {
                ("messages", Some(prompt)) => push_messages(&mut body, prompt, value.get()),
                _ => body.extend_from_slice(value.get().as_bytes()),
            }
        }
        for (name, value) in definition.parameters().filter(|(name, _)| !is_output_limit(name)) {
            push_name(&mut body, name);
            body.extend_from_slice(value.to_string().as_bytes());
        }
        if let Some((name, limit)) = max_output {
            push_name(&mut body, name);
            body.extend_from_slice(limit.to_string().as_bytes());
        }
        self.push_stream_options(&mut body)?;
        body.push(b'}');
        let input_bound = self.input_bound(body.len())?;
        let choices = parameter(definition, "n").and_then(serde_json::Value::as_u64).unwrap_or(self.choices);
        Ok(Governed { body, tools, input_bound, max_output: max_output.map(|(_, limit)| limit), choices })
    }

    /// The usage of a stream is always asked for: without it nothing could be charged.
    fn push_stream_options(&self, body: &mut Vec<u8>) -> Result<(), RequestError> {
        if !self.stream {
            return Ok(());
        }
        push_name(body, "stream_options");
        let mut options: serde_json::Map<String, serde_json::Value> =
            read(&self.fields, "stream_options")?.unwrap_or_default();
        options.insert("include_usage".to_owned(), true.into());
        body.extend_from_slice(serde_json::Value::Object(options).to_string().as_bytes());
        Ok(())
    }

    /// The output limit that goes upstream: the lowest of the version's, the client's and `most`, under the name in use.
    fn max_output(&self, definition: &Definition, most: Option<u64>) -> Option<(&'static str, u64)> {
        let of = |name: &str| parameter(definition, name).and_then(serde_json::Value::as_u64);
        let version = of("max_completion_tokens").or_else(|| of("max_tokens"));
        let limit = [version, self.max_output, most].into_iter().flatten().min()?;
        let legacy = self.has("max_tokens") || (of("max_tokens").is_some() && !self.has("max_completion_tokens"));
        Some((if legacy { "max_tokens" } else { "max_completion_tokens" }, limit))
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// Some upstreams read names without regard to case: they would take another spelling of a field for the field.
    fn check_names(&self, definition: &Definition) -> Result<(), RequestError> {
        for (name, _) in &self.fields {
            let meant = folded(name);
            let known = GOVERNED.contains(&&*meant) || REROUTING.contains(&&*meant);
            if meant != **name && (known || parameter(definition, &meant).is_some()) {
                return Err(invalid(&format!("/{name}"), &format!("must be spelled `{meant}`")));
            }
        }
        Ok(())
    }

    /// The names of the tools that the model is offered. Refuses what the version does not have: other functions, in
    /// today's form or the older one, and tools that a provider brings along or fetches from elsewhere.
    fn tools(&self, definition: &Definition) -> Result<Vec<String>, RequestError> {
        let foreign = |pointer: String, tool: &str| Err(RequestError::ForeignTool { pointer, tool: tool.to_owned() });
        let known = |name: &str| definition.tools().iter().any(|known| known.name() == name);
        let tools: Vec<Tool> = read(&self.fields, "tools")?.unwrap_or_default();
        for (at, tool) in tools.iter().enumerate() {
            match &tool.function {
                Some(function) if tool.kind == "function" && known(&function.name) => {}
                Some(function) if tool.kind == "function" => return foreign(format!("/tools/{at}"), &function.name),
                Some(_) | None => return foreign(format!("/tools/{at}"), &tool.kind),
            }
        }
        let functions: Vec<Function> = read(&self.fields, "functions")?.unwrap_or_default();
        if let Some((at, function)) = functions.iter().enumerate().find(|(_, function)| !known(&function.name)) {
            return foreign(format!("/functions/{at}"), &function.name);
        }
        let search: Option<IgnoredAny> = read(&self.fields, "web_search_options")?;
        if search.is_some() {
            return foreign("/web_search_options".to_owned(), "web_search");
        }
        let functions = tools.into_iter().filter_map(|tool| tool.function).chain(functions);
        Ok(functions.map(|function| function.name).collect())
    }

    /// At most so many input tokens: no tokenizer makes more tokens than there are bytes. A picture that is only
    /// linked has no bytes here; it counts as 8,192.
    fn input_bound(&self, body: usize) -> Result<u64, RequestError> {
        const LINKED: usize = 8_192;
        let messages: &RawValue = read(&self.fields, "messages")?.unwrap_or(RawValue::NULL);
        let count = |part| messages.get().matches(part).count();
        let plain = count("\"image_url\"") + count("\"file_id\"");
        // Nobody needs to escape a letter: who does may be spelling one of these names.
        let spelled = count("\\u005") + count("\\u006") + count("\\u007");
        let linked = plain + spelled;
        u64::try_from(body + linked * LINKED).map_err(|_| invalid("", "the body is too long"))
    }
}

/// Whether the field bounds the answer. Version and client each may; the lower limit holds.
fn is_output_limit(name: &str) -> bool {
    matches!(name, "max_tokens" | "max_completion_tokens")
}

/// The name as a reader without regard to case has it: two letters outside ASCII fold into it.
fn folded(name: &str) -> String {
    let fold = |letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

fn parameter<'d>(definition: &'d Definition, name: &str) -> Option<&'d serde_json::Value> {
    definition.parameters().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// What the tenant's policies allow a call no more than.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// At most so many output tokens for each choice.
    pub max_output: Option<u64>,
    /// The model is offered no tools.
    pub without_tools: bool,
}

impl Limits {
    /// What `obligations` come to together.
    pub fn of(obligations: &[Obligation]) -> Self {
        obligations.iter().fold(Self::default(), |limits, obligation| match obligation {
            Obligation::MaxOutputTokens(most) => {
                let most = limits.max_output.map_or(*most, |known| known.min(*most));
                Self { max_output: Some(most), ..limits }
            }
            Obligation::WithoutTools => Self { without_tools: true, ..limits },
        })
    }
}

/// A request as it goes upstream, and what bounds its cost.
#[derive(Debug)]
pub struct Governed {
    /// The body.
    pub body: Vec<u8>,
    /// The tools that the client offers the model, by name.
    pub tools: Vec<String>,
    /// At most so many input tokens.
    pub input_bound: u64,
    /// At most so many output tokens for each choice, where a limit is set.
    pub max_output: Option<u64>,
    /// How many answers are asked for.
    pub choices: u64,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Tool {
    #[serde(rename = "type", default)]
    kind: String,
    function: Option<Function>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Function {
    name: String,
}

/// The fields of an object, in order, their values unread.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
                while let Some(Name(name)) = map.next_key()? {
                    if fields.len() == MAX_FIELDS {
                        return Err(serde::de::Error::custom(format!("more than {MAX_FIELDS} fields")));
                    }
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format!("duplicate field `{name}`")));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field's value; a field that is null is as good as absent.
fn read<'a, T: Deserialize<'a>>(
    fields: &[(Cow<'a, str>, &'a RawValue)],
    name: &str,
) -> Result<Option<T>, RequestError> {
    let Some((_, value)) = fields.iter().find(|(known, _)| known == name) else {
        return Ok(None);
    };
    serde_json::from_str(value.get()).map_err(|error| {
        // A place within the field would be taken for one within the body.
        let error = error.to_string();
        let reason = error.split_once(" at line ").map_or(error.as_str(), |(reason, _)| reason);
        let reason = reason.replace("u64", "a whole number from 0").replace("a sequence", "an array");
        invalid(&format!("/{name}"), &reason)
    })
}

fn invalid(pointer: &str, detail: &str) -> RequestError {
    RequestError::Invalid { pointer: pointer.to_owned(), detail: detail.to_owned() }
}

fn push_name(body: &mut Vec<u8>, name: &str) {
    body.push(b',');
    push_string(body, name);
    body.push(b':');
}

fn push_string(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// Puts the version's prompt before the client's messages. `messages` is an array with at least one item.
fn push_messages(body: &mut Vec<u8>, prompt: &str, messages: &str) {
    body.extend_from_slice(b"[{\"role\":\"system\",\"content\":");
    push_string(body, prompt);
    body.extend_from_slice(b"},");
    let messages = messages.trim_start();
    body.extend_from_slice(messages.strip_prefix('[').unwrap_or(messages).as_bytes());
}

#[cfg(test)]
mod tests;
