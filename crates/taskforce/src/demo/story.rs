//! How the story is told: who asks what, what the server answers, and where it lies in the ledger.

use std::collections::BTreeMap;
use std::time::Instant;

use http::{Method, StatusCode};
use kernel::Secret;
use serde_json::{Map, Value, json};

use super::scene::Scene;
use crate::client::{Answer, Ask, Client, Streamed};
use crate::failure::Failure;
use crate::output::{Look, Output, elapsed};

/// How many steps there are.
const STEPS: usize = 8;

/// The story so far.
#[derive(Debug)]
pub(super) struct Story<'o> {
    pub(super) output: &'o mut Output,
    client: Client,
    keys: BTreeMap<String, Secret<String>>,
    facts: Map<String, Value>,
    steps: Vec<Value>,
    title: &'static str,
    began: Instant,
}

/// One thing that somebody does.
#[derive(Debug)]
pub(super) struct Act<'a> {
    /// The name of whose key is used.
    pub(super) who: &'a str,
    /// What they do, in words.
    pub(super) what: &'a str,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<&'a Value>,
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// What the server must answer for the story to go on.
    pub(super) expect: StatusCode,
}

impl<'a> Act<'a> {
    /// Somebody reads something.
    pub(super) fn get(who: &'a str, what: &'a str, path: &'a str) -> Self {
        let (method, expect) = (Method::GET, StatusCode::OK);
        Self { who, what, method, path, body: None, headers: &[], expect }
    }

    /// Somebody does something.
    pub(super) fn post(who: &'a str, what: &'a str, path: &'a str, body: &'a Value) -> Self {
        let (method, expect) = (Method::POST, StatusCode::CREATED);
        Self { who, what, method, path, body: Some(body), headers: &[], expect }
    }

    /// The same, which must be answered so.
    pub(super) fn expect(self, expect: StatusCode) -> Self {
        Self { expect, ..self }
    }
}

/// The server did not do what the story says.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoryError {
    #[error("{who} {what}: the server answered {status} where {expected} was expected: {body}")]
    Unexpected { who: String, what: String, status: StatusCode, expected: StatusCode, body: String },
    #[error("the server's answer has no `{pointer}`: {body}")]
    Missing { pointer: String, body: Value },
}

impl<'o> Story<'o> {
    pub(super) fn new(output: &'o mut Output, scene: &Scene) -> Self {
        let client = Client::new(scene.address);
        let keys = BTreeMap::from([("platform".to_owned(), scene.platform.clone())]);
        let (facts, steps) = (Map::new(), Vec::new());
        Self { output, client, keys, facts, steps, title: "", began: Instant::now() }
    }

    /// Begins the next step.
    pub(super) fn begin(&mut self, title: &'static str, about: &str) {
        self.begin_at(Instant::now(), title, about);
    }

    /// Begins a step that was begun before it is told.
    pub(super) fn begin_at(&mut self, began: Instant, title: &'static str, about: &str) {
        (self.title, self.began) = (title, began);
        let number = self.steps.len() + 1;
        self.output.styled(Look::Bold, format_args!("{number}/{STEPS}  {title}"));
        self.output.paragraph(5, about);
        self.output.blank();
    }

    /// Ends the step.
    pub(super) fn end(&mut self) {
        let took = self.began.elapsed();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(json!({"title": self.title, "took_ms": millis}));
        self.output.styled(Look::Dim, format_args!("     {}", elapsed(took)));
        self.output.blank();
    }

    /// Keeps a fact for whoever reads the story as JSON.
    pub(super) fn note(&mut self, name: &str, value: Value) {
        self.facts.insert(name.to_owned(), value);
    }

    /// A fact that was kept.
    pub(super) fn noted(&self, name: &str) -> String {
        self.facts.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// All of them, and how long each step took.
    pub(super) fn facts(&self) -> Value {
        let mut facts = self.facts.clone();
        facts.insert("steps".to_owned(), self.steps.clone().into());
        facts.into()
    }

    /// Gives somebody a key.
    pub(super) fn give(&mut self, who: &str, key: String) {
        self.keys.insert(who.to_owned(), Secret::new(key));
    }

    /// Everybody's keys, the platform's aside.
    pub(super) fn keys(&self) -> Map<String, Value> {
        let shown = self.keys.iter().filter(|(who, _)| *who != "platform");
        shown.map(|(who, key)| (who.clone(), key.expose().clone().into())).collect()
    }

    /// Does something and tells it.
    pub(super) async fn act(&mut self, act: &Act<'_>) -> Result<Answer, Failure> {
        let answer = self.quietly(act).await?;
        let entry = entry(&answer).map(|seq| format!("{} #{seq}", ledger(act.who))).unwrap_or_default();
        self.tell(act.who, act.what, answer.status, &entry);
        if !answer.status.is_success() {
            let said = reason(&answer.json());
            self.output.paragraph(14, &said);
        }
        Ok(answer)
    }

    /// Does something without telling it.
    pub(super) async fn quietly(&mut self, act: &Act<'_>) -> Result<Answer, Failure> {
        let answer = self.client.ask(&asked(act, &self.keys)).await?;
        if answer.status == act.expect {
            return Ok(answer);
        }
        Err(unexpected(act, answer.status, &String::from_utf8_lossy(&answer.body)).into())
    }

    /// Reads something, then changes it as it was read, and tells the change.
    pub(super) async fn change(
        &mut self,
        (who, what): (&str, &str),
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(), Failure> {
        let read = self.quietly(&Act::get(who, what, path)).await?;
        let etag = header(&read, "etag");
        let headers = [("if-match", etag.as_str())];
        let act = Act { method, headers: &headers, ..Act::post(who, what, path, body) };
        self.act(&act.expect(StatusCode::OK)).await?;
        Ok(())
    }

    /// Does something that is answered as a stream.
    pub(super) async fn stream(&mut self, act: &Act<'_>) -> Result<Streamed, Failure> {
        let streamed = self.client.stream(&asked(act, &self.keys)).await?;
        if streamed.status == act.expect {
            return Ok(streamed);
        }
        Err(unexpected(act, streamed.status, "").into())
    }

    /// One line: who did what, and what came of it.
    pub(super) fn tell(&mut self, who: &str, what: &str, status: StatusCode, beside: &str) {
        let look = if status.is_success() { Look::Plain } else { Look::Note };
        self.output.styled(look, format_args!("     {who:<8} {what:<60} {}  {beside}", status.as_u16()));
    }
}

fn asked<'a>(act: &'a Act<'_>, keys: &'a BTreeMap<String, Secret<String>>) -> Ask<'a> {
    let Act { who, method, path, body, headers, .. } = act;
    Ask { method: method.clone(), path, key: keys.get(*who), headers, body: body.filter(|body| !body.is_null()) }
}

fn unexpected(act: &Act<'_>, status: StatusCode, body: &str) -> StoryError {
    let Act { who, what, expect, .. } = act;
    let body = body.chars().take(400).collect();
    StoryError::Unexpected { who: (*who).to_owned(), what: (*what).to_owned(), status, expected: *expect, body }
}

/// A header of an answer; empty where it has none.
pub(super) fn header(answer: &Answer, name: &str) -> String {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Whose ledger somebody's doings lie in.
fn ledger(who: &str) -> &'static str {
    match who {
        "platform" => "platform's ledger",
        "grace" => "globex's ledger",
        _ => "ledger",
    }
}

/// Where in the ledger a request lies.
pub(super) fn entry(answer: &Answer) -> Option<u64> {
    header(answer, "taskforce-entry").parse().ok()
}

/// Why a request was refused: as a problem of the REST API says it, or as an error of the OpenAI protocol does.
pub(super) fn reason(body: &Value) -> String {
    let places = ["/detail", "/errors/0/detail", "/error/message", "/title"];
    places.iter().find_map(|place| body.pointer(place)).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A text that an answer must hold.
pub(super) fn text(body: &Value, pointer: &str) -> Result<String, StoryError> {
    match body.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) | None => Err(StoryError::Missing { pointer: pointer.to_owned(), body: body.clone() }),
    }
}
