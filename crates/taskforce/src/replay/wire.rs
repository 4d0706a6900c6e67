//! The OpenAI protocol, as far as the replay speaks it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::conversation::{Said, ToolCall, Usage, text_of};

/// A chat request; what is not named here is ignored, as a model server ignores it.
#[derive(Debug, Deserialize)]
pub(super) struct ChatIn {
    pub(super) model: String,
    messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: bool,
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    tools: Vec<Tool>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Tool {
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
}

impl ChatIn {
    pub(super) fn last_user_message(&self) -> String {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        last.map(|message| text_of(&message.content)).unwrap_or_default()
    }

    pub(super) fn ends_with_tool(&self) -> bool {
        self.messages.last().is_some_and(|message| message.role == "tool")
    }

    pub(super) fn offers(&self, tool: &str) -> bool {
        self.tools.iter().filter_map(|offered| offered.function.as_ref()).any(|function| function.name == tool)
    }

    pub(super) fn max_output(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }
}

/// What all parts of one answer have in common.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) number: u64,
    pub(super) created: i64,
    pub(super) model: &'a str,
}

impl Head<'_> {
    /// A whole answer.
    pub(super) fn completion(&self, said: &Said<'_>) -> Value {
        let message = match said.tool_call {
            Some(call) => json!({"role": "assistant", "content": null, "tool_calls": [self.call(call)]}),
            None => json!({"role": "assistant", "content": said.pieces.concat()}),
        };
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": said.finish});
        self.part("chat.completion", &json!([choice]), Some(said.usage))
    }

    /// The same answer in parts; the last holds the usage when it was asked for.
    pub(super) fn chunks(&self, said: &Said<'_>, usage: bool) -> Vec<Value> {
        let chunk = |delta: Value, finish: Option<&str>| {
            let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
            self.part("chat.completion.chunk", &json!([choice]), None)
        };
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
        chunks.extend(said.pieces.iter().map(|piece| chunk(json!({"content": piece}), None)));
        if let Some(call) = said.tool_call {
            let mut call = self.call(call);
            if let Some(call) = call.as_object_mut() {
                call.insert("index".to_owned(), 0.into());
            }
            chunks.push(chunk(json!({"tool_calls": [call]}), None));
        }
        chunks.push(chunk(json!({}), Some(said.finish)));
        if usage {
            chunks.push(self.part("chat.completion.chunk", &json!([]), Some(said.usage)));
        }
        chunks
    }

    fn call(&self, call: &ToolCall) -> Value {
        let ToolCall { name, arguments, .. } = call;
        let id = format!("call_replay_{}", self.number);
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    fn part(&self, object: &str, choices: &Value, usage: Option<Usage>) -> Value {
        let mut part = json!({
            "id": format!("chatcmpl-replay-{}", self.number),
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "replay",
            "choices": choices,
        });
        if let (Some(usage), Some(part)) = (usage, part.as_object_mut()) {
            part.insert("usage".to_owned(), self::usage(usage));
        }
        part
    }
}

fn usage(usage: Usage) -> Value {
    let Usage { prompt_tokens, completion_tokens } = usage;
    json!({
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

/// The list of models.
pub(super) fn models() -> Value {
    json!({"object": "list", "data": [{"id": super::MODEL, "object": "model", "owned_by": "taskforce-replay"}]})
}

/// An error in the protocol's own words.
pub(super) fn error(message: &str, kind: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
}
