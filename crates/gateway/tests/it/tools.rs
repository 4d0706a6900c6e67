//! Tools that an answer asks for, under policies that govern them.

use std::time::Duration;

use authz::{DecisionInput, Obligation, Permission, Verdict};
use gateway::{Body, ChatError};
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testkit::upstream::{Reply, chunk, usage, usage_chunk};
use tokio::time::timeout;

use crate::world::{Says, World, allow, on_both_engines, the_rule, watched};

/// Emails go to customers, not to others.
fn only_to_customers(tool: &str, arguments: &str) -> Verdict {
    if tool == "send_email" && !arguments.contains("@customer.example") { Verdict::Deny } else { allow() }
}

fn whole(calls: &Value) -> Reply {
    let message = json!({ "role": "assistant", "content": null, "tool_calls": calls });
    let choices = json!([{ "index": 0, "message": message, "finish_reason": "tool_calls" }]);
    Reply::Whole(StatusCode::OK, json!({ "object": "chat.completion", "choices": choices, "usage": usage() }))
}

fn call(name: &str, arguments: &str) -> Value {
    json!({ "id": "call_1", "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// A chunk that carries pieces of tool calls.
fn piece(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let call = json!({ "index": index, "id": id, "function": { "name": name, "arguments": arguments } });
    json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": { "tool_calls": [call] } }] })
}

fn finish() -> Value {
    json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] })
}

fn streamed(world: &World<'_>) -> Value {
    world.with(&json!({ "stream": true }))
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn last(world: &World<'_>) -> crate::world::Kept {
    world.entries().pop().unwrap()
}

#[test]
fn an_answer_whose_tools_are_allowed_comes_untouched_and_its_end_says_what_was_decided() {
    on_both_engines(async |world| {
        let guard = Says::of_tools(only_to_customers);
        let calls = json!([call("search", ""), call("send_email", r#"{"to":"a@customer.example"}"#)]);
        let Reply::Whole(_, sent) = whole(&calls) else { panic!("a whole answer") };
        world.upstream.will(whole(&calls));
        let answer = world.answer(&world.guarded(&guard), &world.hello()).await.unwrap();
        assert_eq!(answer, sent.to_string());
        let asked = guard.asked();
        assert!(asked[1].starts_with("tool:execute search ") && asked[1].contains(r#"arguments: Some("{}")"#));
        assert!(asked[2].contains(r#"tool: Some("send_email")"#) && asked[2].contains("confidential"), "{}", asked[2]);
        let end = last(world);
        assert_eq!(end.what, "gateway.call.completed ok");
        let decided = end.payload["tool_decisions"].as_array().unwrap();
        assert_eq!((decided.len(), &decided[1]["verdict"]), (2, &json!("allow")));
        let input = DecisionInput::parse(&decided[1]["input"]).unwrap();
        assert_eq!(input.facts.arguments.as_deref(), Some(r#"{"to":"a@customer.example"}"#));
        assert!(input.permission == Permission::ToolExecute && input.permissions.contains(Permission::ToolExecute));
    });
}

#[test]
fn an_answer_that_asks_for_a_refused_tool_is_not_given_and_is_charged() {
    on_both_engines(async |world| {
        let olivia = world.guarded(&Says::of_tools(only_to_customers));
        world.upstream.will(whole(&json!([call("search", "{}"), call("send_email", r#"{"to":"x@evil.example"}"#)])));
        let refused = world.answer(&olivia, &world.hello()).await.unwrap_err();
        assert_eq!(refused.to_string(), "`gateway.tool` is refused by the policy rule `the-rule`: it says so");
        let end = last(world);
        assert_eq!((&*end.what, &end.policy), ("gateway.call.refused refused", &the_rule()));
        assert_eq!((&end.payload["output_tokens"], &end.payload["estimated"]), (&json!(500), &json!(false)));
        let decided = &end.payload["tool_decisions"];
        assert_eq!((&decided[0]["verdict"], &decided[1]["verdict"]), (&json!("allow"), &json!("deny")));
        assert!(end.payload["answer"].as_str().unwrap().contains("x@evil.example"));
    });
}

#[test]
fn a_tool_that_needs_an_approval_or_what_cannot_be_done_is_refused() {
    on_both_engines(async |world| {
        let answer = || whole(&json!([call("search", "{}")]));
        for (caller, words) in [
            (world.guarded(&Says::of_tools(|_, _| Verdict::RequireApproval(Vec::new()))), "needs an approval"),
            (
                world.guarded(&Says::of_tools(|_, _| Verdict::Allow(vec![Obligation::MaxOutputTokens(1)]))),
                "the obligation `max_output_tokens=1` cannot be met",
            ),
            (
                world.guarded(&Says::of_calls(Verdict::Allow(vec![Obligation::WithoutTools]))),
                "the model is offered no tools",
            ),
        ] {
            world.upstream.will(answer());
            let refused = world.answer(&caller, &world.hello()).await.unwrap_err();
            assert!(matches!(refused, ChatError::Forbidden(_)) && refused.to_string().contains(words), "{refused}");
            assert_eq!(last(world).what, "gateway.call.refused refused");
        }
    });
}

#[test]
fn where_no_policy_governs_tools_answers_pass_as_they_come() {
    on_both_engines(async |world| {
        let odd = Reply::Whole(StatusCode::OK, json!({ "choices": [{ "message": { "tool_calls": "whatever" } }] }));
        world.upstream.will(odd);
        let caller = watched(&world.olivia(), &Says::of_calls(allow()));
        let answer = world.answer(&caller, &world.hello()).await.unwrap();
        assert!(answer.contains("whatever"));
        assert_eq!(last(world).payload.get("tool_decisions"), None);
    });
}

#[test]
fn what_cannot_be_read_under_policies_is_not_passed_on() {
    on_both_engines(async |world| {
        let olivia = world.guarded(&Says::of_tools(|_, _| allow()));
        for odd in [
            json!([{ "id": "call_1", "function": { "name": "search", "arguments": { "q": 1 } } }]),
            json!([{ "id": "call_1", "type": "function" }]),
            json!("search"),
            json!([{ "id": "call_1", "type": "custom", "function": { "name": "search" }, "custom": { "name": "mail" } }]),
        ] {
            world.upstream.will(whole(&odd));
            let refused = world.answer(&olivia, &world.hello()).await;
            assert!(matches!(refused, Err(ChatError::BrokenOff { .. })), "{odd}: {refused:?}");
            assert_eq!(last(world).what, "gateway.call.failed failed");
        }
    });
}

async fn frame(body: &mut Body) -> Option<String> {
    let frame = timeout(Duration::from_secs(10), body.frame()).await.unwrap()?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[test]
fn in_a_stream_text_passes_at_once_and_a_tool_call_when_it_is_whole_and_allowed() {
    on_both_engines(async |world| {
        let guard = Says::of_tools(only_to_customers);
        let (pen, reply) = Reply::events();
        world.upstream.will(reply);
        let mut body = world.chat(&world.guarded(&guard), &streamed(world)).await.unwrap().into_body();
        pen.event(&chunk("Wait"));
        assert_eq!(frame(&mut body).await.unwrap(), event(&chunk("Wait")));
        let pieces = [
            piece(0, Some("call_1"), Some("send_email"), ""),
            piece(0, None, None, r#"{"to":"a@cust"#),
            piece(1, Some("call_2"), Some("search"), "{}"),
            piece(0, None, None, r#"omer.example"}"#),
        ];
        for piece in &pieces {
            pen.event(piece);
        }
        pen.event(&chunk("more"));
        assert_eq!(frame(&mut body).await.unwrap(), event(&chunk("more")), "text does not wait for tools");
        assert_eq!(guard.asked().len(), 1, "no tool was asked for yet");
        pen.event(&finish());
        let held: String = pieces.iter().chain([&finish()]).map(event).collect();
        assert_eq!(frame(&mut body).await.unwrap(), held);
        assert!(guard.asked()[1].contains(r#"arguments: Some("{\"to\":\"a@customer.example\"}")"#));
        pen.event(&usage_chunk());
        pen.done();
        assert_eq!(frame(&mut body).await.unwrap(), "data: [DONE]\n\n");
        assert_eq!(frame(&mut body).await, None);
        assert_eq!(last(world).payload["tool_decisions"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn no_byte_of_a_refused_tool_call_leaves_in_a_stream() {
    on_both_engines(async |world| {
        let olivia = world.guarded(&Says::of_tools(only_to_customers));
        let (pen, reply) = Reply::events();
        world.upstream.will(reply);
        pen.event(&chunk("Wait"));
        pen.event(&piece(0, Some("call_1"), Some("send_email"), r#"{"to":"x@e"#));
        pen.event(&piece(0, None, None, r#"vil.example"}"#));
        pen.event(&finish());
        pen.event(&chunk("after"));
        pen.event(&usage_chunk());
        pen.done();
        let answer = world.answer(&olivia, &streamed(world)).await.unwrap();
        let (text, error) = answer.split_once("\n\n").unwrap();
        assert_eq!(text, event(&chunk("Wait")).trim_end());
        let error: Value = serde_json::from_str(error.strip_prefix("data: ").unwrap().trim_end()).unwrap();
        assert_eq!((&error["error"]["code"], &error["error"]["rule"]), (&json!("policy_denied"), &json!("the-rule")));
        let end = last(world);
        assert_eq!((&*end.what, &end.policy), ("gateway.call.refused refused", &the_rule()));
        assert_eq!((&end.payload["output_tokens"], &end.payload["estimated"]), (&json!(500), &json!(false)));
    });
}

#[test]
fn a_stream_that_ends_with_an_open_tool_call_is_judged_at_its_end() {
    on_both_engines(async |world| {
        let olivia = world.guarded(&Says::of_tools(only_to_customers));
        for ends in [true, false] {
            let (pen, reply) = Reply::events();
            world.upstream.will(reply);
            pen.event(&piece(0, Some("call_1"), Some("send_email"), r#"{"to":"x@evil.example"}"#));
            pen.event(&usage_chunk());
            if ends {
                pen.done();
            }
            drop(pen);
            let answer = world.answer(&world.tester.again(&olivia), &streamed(world)).await.unwrap();
            assert!(answer.contains("policy_denied") && !answer.contains("evil"), "{answer}");
            assert_eq!(last(world).what, "gateway.call.refused refused");
        }
    });
}

#[test]
fn a_stream_cannot_hide_a_tool_call() {
    on_both_engines(async |world| {
        let olivia = world.guarded(&Says::of_tools(|tool, _| if tool == "search" { allow() } else { Verdict::Deny }));
        let evil = piece(0, Some("call_1"), Some("send_email"), "{}").to_string();
        let legacy =
            json!({ "choices": [{ "delta": { "function_call": { "name": "send_email", "arguments": "" } } }] });
        let custom = json!([{ "index": 0, "type": "custom", "custom": { "name": "send_email", "input": "x" } }]);
        let custom = json!({ "choices": [{ "index": 0, "delta": { "tool_calls": custom } }] });
        let searching = piece(0, Some("call_1"), Some("search"), "{}");
        for (name, stream) in [
            ("escaped", format!("data: {}\n\n", evil.replace("tool_calls", "tool\\u005fcalls"))),
            ("a mark before", format!("\u{feff}data: {evil}\n\n")),
            ("in two lines", format!("data: {}\ndata: {}\n\n", &evil[..10], &evil[10..])),
            ("older form", event(&legacy)),
            ("custom tool", event(&custom)),
            ("not JSON", format!("data: {evil}x\n\n")),
            ("named twice", event(&json!({ "choices": [] })).replace("[]", "[],\"choices\":[{}]")),
            ("another name later", format!("{}{}", event(&searching), event(&piece(0, None, Some("send_email"), "")))),
            (
                "more after its end",
                format!("{}{}{}", event(&searching), event(&finish()), event(&piece(0, None, None, "send_email"))),
            ),
            ("no name", event(&piece(0, Some("call_1"), None, "send_email"))),
            ("no end", format!("{}data: {evil}", event(&usage_chunk()))),
        ] {
            let (pen, reply) = Reply::events();
            world.upstream.will(reply);
            pen.bytes(stream);
            drop(pen);
            let answer = world.answer(&world.tester.again(&olivia), &streamed(world)).await.unwrap();
            assert!(!answer.contains("send_email"), "{name}: {answer}");
        }
    });
}
