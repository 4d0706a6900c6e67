use serde_json::{Value, json};

use super::*;
use crate::client::{Answer, Ask, Client, Streamed};

struct Talk {
    client: Client,
    _server: JoinSet<()>,
}

async fn replay() -> Talk {
    let replay = Replay::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Duration::ZERO).await.unwrap();
    let client = Client::new(replay.address().unwrap());
    let mut server = JoinSet::new();
    server.spawn(replay.serve(std::future::pending()));
    Talk { client, _server: server }
}

fn asked(body: &Value) -> Ask<'_> {
    Ask { method: Method::POST, path: "/v1/chat/completions", key: None, headers: &[], body: Some(body) }
}

impl Talk {
    async fn ask(&mut self, body: Value) -> Answer {
        self.client.ask(&asked(&body)).await.unwrap()
    }

    async fn stream(&mut self, body: Value) -> Streamed {
        self.client.stream(&asked(&body)).await.unwrap()
    }
}

fn chat(message: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": message}]})
}

fn with(mut body: Value, fields: &Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_recorded_question_gets_its_recorded_answer() {
    let answer = replay().await.ask(chat("What is your refund policy?")).await;
    assert_eq!((answer.status, answer.headers["server"].to_str().unwrap()), (StatusCode::OK, "taskforce-replay"));
    let body = answer.json();
    assert_eq!((&body["object"], &body["system_fingerprint"]), (&json!("chat.completion"), &json!("replay")));
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("within 30 days"));
    assert_eq!(body["usage"]["prompt_tokens"], 56);
    assert_eq!(body["usage"]["total_tokens"], 132);
}

#[tokio::test]
async fn a_stream_says_the_same_in_at_least_twenty_parts() {
    let mut talk = replay().await;
    let whole = talk.ask(chat("How long does delivery to Lisbon take?")).await.json();
    let streamed = talk.stream(with(chat("How long does delivery to Lisbon take?"), &json!({"stream": true}))).await;
    assert_eq!(streamed.events.last().unwrap(), "[DONE]");
    assert!(streamed.events.len() > 20);
    let chunks: Vec<Value> = streamed.events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(whole["choices"][0]["message"]["content"], said);
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "nobody asked for the usage");
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn the_usage_comes_last_when_it_is_asked_for() {
    let body =
        with(chat("Where is my order 1042?"), &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let streamed = replay().await.stream(body).await;
    let last: Value = serde_json::from_str(&streamed.events[streamed.events.len() - 2]).unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(64)));
}

#[tokio::test]
async fn a_tool_is_called_where_it_is_offered_and_answered_for_afterwards() {
    let mut talk = replay().await;
    let tools = json!({"tools": [{"type": "function", "function": {"name": "create_ticket"}}]});
    let body = with(chat("My lid is cracked, a ticket please"), &tools);
    let called = talk.ask(body.clone()).await.json();
    let choice = &called["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "create_ticket");
    let arguments = choice["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(arguments).unwrap()["order_id"].is_string());

    let mut after = body;
    after["messages"].as_array_mut().unwrap().push(json!({"role": "tool", "content": "T-2291"}));
    let answered = talk.ask(after).await.json();
    assert!(answered["choices"][0]["message"]["content"].as_str().unwrap().contains("T-2291"));
}

#[tokio::test]
async fn an_answer_keeps_to_the_limit_that_was_set() {
    let limited = with(chat("What is your refund policy?"), &json!({"max_completion_tokens": 5}));
    let body = replay().await.ask(limited).await.json();
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["choices"][0]["message"]["content"], "You can return an unused");
    assert_eq!(body["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn what_was_not_recorded_is_answered_as_such() {
    let mut talk = replay().await;
    let body = talk.ask(chat("Sing!")).await.json();
    assert!(body["choices"][0]["message"]["content"].as_str().unwrap().contains("This is a replay"));
    let broken = talk.ask(json!({"model": 1})).await;
    assert_eq!(
        (broken.status, &broken.json()["error"]["type"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_request_error"))
    );
}

#[tokio::test]
async fn the_models_are_listed() {
    let ask = Ask { method: Method::GET, path: "/v1/models", key: None, headers: &[], body: None };
    let mut talk = replay().await;
    assert_eq!(talk.client.ask(&ask).await.unwrap().json()["data"][0]["id"], MODEL);
    let missing = talk.client.ask(&Ask { path: "/v1/embeddings", ..ask }).await.unwrap();
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}
