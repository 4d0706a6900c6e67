//! The recorded conversations, and which of them answers a message.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::ReplayError;
use super::wire::ChatIn;

/// The recordings, the one that answers everything else last.
const BUNDLED: [(&str, &str); 6] = [
    ("refund-policy.json", include_str!("../../../../examples/refund-policy.json")),
    ("order-status.json", include_str!("../../../../examples/order-status.json")),
    ("open-ticket.json", include_str!("../../../../examples/open-ticket.json")),
    ("escalation.json", include_str!("../../../../examples/escalation.json")),
    ("delivery-times.json", include_str!("../../../../examples/delivery-times.json")),
    ("fallback.json", include_str!("../../../../examples/fallback.json")),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    title: String,
    user: String,
    keywords: BTreeSet<String>,
    tool_call: Option<ToolCall>,
    answer: String,
    usage: Usage,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) arguments: String,
    usage: Usage,
}

/// The tokens that are reported as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

/// What is said in answer to a request.
#[derive(Debug)]
pub(super) struct Said<'a> {
    /// The words, in pieces as a stream sends them.
    pub(super) pieces: Vec<&'a str>,
    /// The tool to be called before there is an answer.
    pub(super) tool_call: Option<&'a ToolCall>,
    pub(super) usage: Usage,
    pub(super) finish: &'static str,
}

#[derive(Debug)]
pub(super) struct Conversations {
    known: Vec<Conversation>,
    fallback: Conversation,
}

impl Conversations {
    pub(super) fn bundled() -> Result<Self, ReplayError> {
        let read = |(name, text): (&'static str, &str)| {
            serde_json::from_str(text).map_err(|source| ReplayError::Recording { name, source })
        };
        let [known @ .., fallback] = BUNDLED;
        Ok(Self { known: known.into_iter().map(read).collect::<Result<_, _>>()?, fallback: read(fallback)? })
    }

    pub(super) fn titles(&self) -> Vec<String> {
        self.known.iter().map(|conversation| conversation.title.clone()).collect()
    }

    /// The recorded answer to the last thing that the user said.
    pub(super) fn answer(&self, chat: &ChatIn) -> Said<'_> {
        let conversation = self.about(&chat.last_user_message());
        let call = conversation.tool_call.as_ref().filter(|call| chat.offers(&call.name) && !chat.ends_with_tool());
        if let Some(call) = call {
            return Said { pieces: Vec::new(), tool_call: Some(call), usage: call.usage, finish: "tool_calls" };
        }
        let mut pieces = pieces(&conversation.answer);
        let mut usage = conversation.usage;
        let mut finish = "stop";
        if let Some(limit) = chat.max_output().filter(|limit| *limit < usage.completion_tokens) {
            pieces.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            (usage.completion_tokens, finish) = (limit, "length");
        }
        Said { pieces, tool_call: None, usage, finish }
    }

    /// The conversation that began with these words, else the one that shares most keywords with them.
    fn about(&self, message: &str) -> &Conversation {
        let asked = words(message);
        if let Some(same) = self.known.iter().find(|conversation| words(&conversation.user) == asked) {
            return same;
        }
        let asked: BTreeSet<String> = asked.into_iter().collect();
        let shared = |conversation: &Conversation| conversation.keywords.intersection(&asked).count();
        let best = self.known.iter().rev().max_by_key(|conversation| shared(conversation));
        best.filter(|best| shared(best) > 0).unwrap_or(&self.fallback)
    }
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Cuts a text where a model's tokens might begin: before each word, and within long ones.
fn pieces(text: &str) -> Vec<&str> {
    let mut cuts = vec![0];
    let mut since = 0;
    for (at, c) in text.char_indices().skip(1) {
        since += 1;
        if c == ' ' || since == 8 {
            cuts.push(at);
            since = 0;
        }
    }
    cuts.push(text.len());
    cuts.windows(2).filter_map(|cut| text.get(*cut.first()?..*cut.last()?)).collect()
}

/// The text of a message's content: a string, or parts of which some are text.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text")).filter_map(Value::as_str);
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_recognized_by_its_words() {
        let conversations = Conversations::bundled().unwrap();
        let title = |message: &str| conversations.about(message).title.clone();
        for (message, expected) in [
            ("what is your REFUND policy", "A customer asks about refunds"),
            ("Can I get my money back?", "A customer asks about refunds"),
            ("where is order 77", "A customer asks where an order is"),
            ("my cup is broken", "A damaged parcel becomes a ticket"),
            ("let me talk to a human", "A customer wants to speak with a person"),
            ("how much is express shipping", "A customer asks how long delivery takes"),
            ("sing me a song", "A question that was not recorded"),
            ("", "A question that was not recorded"),
        ] {
            assert_eq!(title(message), expected, "{message}");
        }
    }

    #[test]
    fn pieces_are_the_whole_text_and_many() {
        let conversations = Conversations::bundled().unwrap();
        for conversation in conversations.known.iter().chain([&conversations.fallback]) {
            let pieces = pieces(&conversation.answer);
            assert_eq!(pieces.concat(), conversation.answer);
            assert!(pieces.len() >= 20, "{}", conversation.title);
            let tokens = usize::try_from(conversation.usage.completion_tokens).unwrap();
            assert!(tokens * 2 > pieces.len() && pieces.len() * 2 > tokens, "{}: {tokens}", conversation.title);
        }
    }
}
