use super::*;
use serde_json::{Value, json};

fn version(definition: &Value) -> Published {
    let moment = kernel::FixedMoment::new(1_800_000_000_000_000);
    let definition = Definition::new(definition).unwrap();
    Published {
        agent_id: moment.moment().id(),
        agent_name: "Support".to_owned(),
        version_id: moment.moment().id(),
        number: "1.1.0".parse().unwrap(),
        digest: definition.digest().to_owned(),
        definition,
    }
}

fn governed(definition: &Value, body: &str) -> Result<(Governed, Value), RequestError> {
    let governed =
        ChatRequest::parse(body.as_bytes())?.governed(&version(definition), "gpt-4o-mini", Limits::default())?;
    let sent = serde_json::from_slice(&governed.body).unwrap();
    Ok((governed, sent))
}

#[test]
fn the_versions_model_prompt_and_parameters_go_upstream() {
    let definition = json!({
        "model": "gpt-4o-mini", "system_prompt": "Be kind.", "parameters": {"temperature": 0.2, "max_tokens": 300}
    });
    let body = r#"{"model":"gpt-4","temperature":1.9,"max_tokens":4000,"seed":7,
        "messages":[{"role":"user","content":"Hi"}]}"#;
    let (governed, sent) = governed(&definition, body).unwrap();
    let expected = json!({
        "model": "gpt-4o-mini", "seed": 7, "temperature": 0.2, "max_tokens": 300,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
    });
    assert_eq!(sent, expected);
    assert_eq!((governed.max_output, governed.choices), (Some(300), 1));
}

#[test]
fn a_client_may_ask_for_less_output_than_the_version_allows_but_not_for_more() {
    let definition = json!({"model": "m", "parameters": {"max_tokens": 300}});
    for (asked, allowed) in [(100, 100), (900, 300)] {
        let body = format!(r#"{{"messages":[{{}}],"max_completion_tokens":{asked}}}"#);
        let (governed, sent) = governed(&definition, &body).unwrap();
        assert_eq!((governed.max_output, &sent["max_completion_tokens"]), (Some(allowed), &json!(allowed)));
        assert!(sent.get("max_tokens").is_none());
    }
}

#[test]
fn what_the_version_does_not_speak_of_stays_as_it_was_sent() {
    let body = r#"{"messages":[{"role":"user","content":"\u00e9 \/ 1.0e+2"}],"x":{"b" : 1.10,"a":[ ]},"n":2}"#;
    let (governed, _) = governed(&json!({"model": "m"}), body).unwrap();
    let sent = String::from_utf8(governed.body).unwrap();
    assert!(sent.contains(r#""content":"\u00e9 \/ 1.0e+2""#) && sent.contains(r#""x":{"b" : 1.10,"a":[ ]}"#), "{sent}");
    assert_eq!((governed.choices, governed.max_output), (2, None));
}

#[test]
fn the_usage_of_a_stream_is_always_asked_for() {
    let body = r#"{"messages":[{}],"stream":true,"stream_options":{"include_obfuscation":false}}"#;
    let (_, sent) = governed(&json!({"model": "m"}), body).unwrap();
    assert_eq!(sent["stream_options"], json!({"include_obfuscation": false, "include_usage": true}));
    assert!(!ChatRequest::parse(body.as_bytes()).unwrap().wants_usage());
}

#[test]
fn only_the_versions_tools_may_be_offered() {
    let definition = json!({"model": "m", "tools": ["create_ticket"]});
    let body =
        |name: &str| format!(r#"{{"messages":[{{}}],"tools":[{{"type":"function","function":{{"name":"{name}"}}}}]}}"#);
    assert!(governed(&definition, &body("create_ticket")).is_ok());
    for foreign in ["send_email", "Create_ticket", "create_tick\u{435}t"] {
        let refused = governed(&definition, &body(foreign));
        assert!(
            matches!(refused, Err(RequestError::ForeignTool { pointer, .. }) if pointer == "/tools/0"),
            "{foreign}"
        );
    }
}

#[test]
fn functions_are_tools_by_their_older_name() {
    let definition = json!({"model": "m", "tools": ["create_ticket"]});
    let body = |name: &str| format!(r#"{{"messages":[{{}}],"functions":[{{"name":"{name}"}}]}}"#);
    assert!(governed(&definition, &body("create_ticket")).is_ok());
    let refused = governed(&definition, &body("send_email"));
    assert!(matches!(refused, Err(RequestError::ForeignTool { pointer, .. }) if pointer == "/functions/0"));
}

#[test]
fn another_spelling_of_a_governed_field_is_refused() {
    let definition = json!({"model": "m", "parameters": {"temperature": 0.2}});
    for name in ["Model", "MODEL", "Tools", "\u{17f}tream", "max_to\u{212a}ens", "Temperature", "Api_Base"] {
        let refused = governed(&definition, &format!(r#"{{"messages":[{{}}],"{name}":1}}"#));
        assert!(
            matches!(refused, Err(RequestError::Invalid { pointer, .. }) if pointer == format!("/{name}")),
            "{name}"
        );
    }
    assert!(governed(&definition, r#"{"messages":[{}],"topK":1,"Seed":2}"#).is_ok());
}

#[test]
fn the_versions_number_of_answers_bounds_the_call() {
    let definition = json!({"model": "m", "parameters": {"n": 3, "max_tool_calls": 2, "max_tokens": 9}});
    let (governed, sent) = governed(&definition, r#"{"messages":[{}],"n":1}"#).unwrap();
    assert_eq!((governed.choices, &sent["n"]), (3, &json!(3)));
    assert_eq!((&sent["max_tool_calls"], &sent["max_tokens"]), (&json!(2), &json!(9)));
}

#[test]
fn a_field_that_is_null_is_as_good_as_absent() {
    let body = r#"{"messages":[{}],"stream":null,"stream_options":null,"n":null,"max_tokens":null,"tools":null}"#;
    let (governed, sent) = governed(&json!({"model": "m"}), body).unwrap();
    assert_eq!((governed.choices, governed.max_output), (1, None));
    assert!(sent.get("max_tokens").is_none() && sent.get("stream_options").is_none());
    assert!(matches!(
        ChatRequest::parse(br#"{"messages":null}"#),
        Err(RequestError::Invalid { pointer, .. }) if pointer == "/messages"
    ));
}

#[test]
fn a_request_has_a_bounded_number_of_fields() {
    let field = |at: usize| format!(r#","f{at}":0"#);
    let body = |count: usize| format!(r#"{{"messages":[{{}}]{}}}"#, (0..count).map(field).collect::<Vec<_>>().concat());
    assert!(ChatRequest::parse(body(MAX_FIELDS - 1).as_bytes()).is_ok());
    assert!(matches!(ChatRequest::parse(body(MAX_FIELDS).as_bytes()), Err(RequestError::Malformed(_))));
}

#[test]
fn a_tool_is_what_its_type_says_and_a_known_name_hides_no_other_kind() {
    let definition = json!({"model": "m", "tools": ["create_ticket"]});
    for (field, pointer, named) in [
        (
            r#""tools":[{"type":"mcp","server_url":"https://evil.example","function":{"name":"create_ticket"}}]"#,
            "/tools/0",
            "mcp",
        ),
        (r#""tools":[{"type":"web_search"}]"#, "/tools/0", "web_search"),
        (r#""tools":[{"type":"custom","custom":{"name":"create_ticket"}}]"#, "/tools/0", "custom"),
        (r#""functions":[{"name":"create_ticket"},{"name":"wipe"}]"#, "/functions/1", "wipe"),
        (r#""web_search_options":{}"#, "/web_search_options", "web_search"),
    ] {
        let refused = governed(&definition, &format!(r#"{{"messages":[{{}}],{field}}}"#));
        let Err(RequestError::ForeignTool { pointer: at, tool }) = refused else { panic!("{field}") };
        assert_eq!((at.as_str(), tool.as_str()), (pointer, named));
    }
    assert!(governed(&definition, r#"{"messages":[{}],"functions":null,"web_search_options":null}"#).is_ok());
}

#[test]
fn messages_are_objects_so_that_what_goes_upstream_is_json() {
    let definition = json!({"model": "m", "system_prompt": "Be kind."});
    for (messages, place) in [("[[{}]]", "/messages/0"), ("[{},1]", "/messages/1"), ("[null]", "/messages/0")] {
        let refused = governed(&definition, &format!(r#"{{"messages":{messages}}}"#));
        assert!(matches!(refused, Err(RequestError::Invalid { pointer, .. }) if pointer == place), "{messages}");
    }
    assert!(governed(&definition, "{\"messages\":\n [ {} , {} ] }").is_ok());
}

#[test]
fn a_field_that_cannot_be_read_is_refused_in_plain_words() {
    for (field, words) in [
        (r#""n":-1"#, "invalid value: integer `-1`, expected a whole number from 0"),
        (r#""tools":[1]"#, "invalid type: integer `1`, expected an object"),
        (r#""tools":"x""#, "invalid type: string \"x\", expected an array"),
    ] {
        let refused = governed(&json!({"model": "m"}), &format!(r#"{{"messages":[{{}}],{field}}}"#));
        assert_eq!(refused.err().map(|error| error.to_string()).as_deref(), Some(words));
    }
}

#[test]
fn a_request_cannot_choose_its_upstream_and_a_wrong_field_is_named() {
    for field in REROUTING {
        let body = format!(r#"{{"messages":[{{}}],"{field}":"http://evil.example"}}"#);
        assert!(matches!(ChatRequest::parse(body.as_bytes()), Err(RequestError::Rerouting(name)) if name == field));
    }
    for (body, field) in [
        (r#"{"messages":[]}"#, "/messages"),
        (r#"{"messages":"Hi"}"#, "/messages"),
        (r#"{"messages":[{}],"stream":"yes"}"#, "/stream"),
        (r#"{"messages":[{}],"max_tokens":-1}"#, "/max_tokens"),
    ] {
        let refused = ChatRequest::parse(body.as_bytes());
        assert!(matches!(refused, Err(RequestError::Invalid { pointer, .. }) if pointer == field), "{body}");
    }
    for body in ["", "[]", "{", r#"{"messages":[{}],"messages":[{}]}"#] {
        assert!(matches!(ChatRequest::parse(body.as_bytes()), Err(RequestError::Malformed(_))), "{body}");
    }
}

#[test]
fn no_more_input_tokens_than_bytes_and_a_linked_picture_counts_much() {
    let (plain, _) = governed(&json!({"model": "m"}), r#"{"messages":[{"role":"user","content":"Hi"}]}"#).unwrap();
    assert_eq!(plain.input_bound, u64::try_from(plain.body.len()).unwrap());
    let body =
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/b"}}]}]}"#;
    let (linked, _) = governed(&json!({"model": "m"}), body).unwrap();
    assert!(linked.input_bound > 8_192);
    let (spelled, _) = governed(&json!({"model": "m"}), &body.replace("image_url", "image\\u005furl")).unwrap();
    assert!(spelled.input_bound > 8_192);
}
