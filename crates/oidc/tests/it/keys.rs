//! Key sets that follow their issuer, in a time of their own.

use std::time::Duration;

use jose::{Claims, Expected, TokenError};
use kernel::Timestamp;
use oidc::{KeyOrigin, KeySource, KeysUnavailable, VerifyError};
use outbound::{Client, Reach, Trust};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::fake::{Fake, START, SigningKey, until};

fn source(fake: &Fake) -> KeySource {
    let origin = KeyOrigin::Address(format!("{}/jwks", fake.address).parse().unwrap(), Reach::Private);
    KeySource::new(Client::new(Trust::Nobody).unwrap(), origin, Handle::current())
}

async fn verified(source: &KeySource, key: &SigningKey, now: Timestamp) -> Result<Claims, VerifyError> {
    source.verify(&key.token(&json!({})), &Expected::new("https://issuer.example", "api"), now).await
}

fn unknown(id: &str) -> VerifyError {
    TokenError::UnknownKey { kid: id.to_owned() }.into()
}

fn after(seconds: i64) -> Timestamp {
    START.plus_seconds(seconds)
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_need_them() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    fake.hold();
    let mut requests = JoinSet::new();
    for _ in 0..64 {
        let (source, token) = (source.clone(), key.token(&json!({})));
        requests.spawn(async move {
            source.verify(&token, &Expected::new("https://issuer.example", "api"), START).await.map(|claims| claims.sub)
        });
    }
    until(|| fake.hits("/jwks") == 1).await;
    fake.go_on();
    assert!(requests.join_all().await.iter().all(|subject| subject.as_deref() == Ok("alice")));
    verified(&source, &key, after(239)).await.unwrap();
    assert_eq!(fake.hits("/jwks"), 1);
}

#[tokio::test]
async fn a_new_key_is_found_on_its_first_use() {
    let (fake, old, new) = (Fake::start().await, SigningKey::new("old"), SigningKey::new("new"));
    fake.publish_keys(&[&old]);
    let source = source(&fake);
    verified(&source, &old, START).await.unwrap();
    fake.publish_keys(&[&new, &old]);
    verified(&source, &new, after(10)).await.unwrap();
    verified(&source, &old, after(10)).await.unwrap();
    assert_eq!(fake.hits("/jwks"), 2);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_looked_for_again_for_a_minute() {
    let (fake, key, missing) = (Fake::start().await, SigningKey::new("one"), SigningKey::new("missing"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    let mut fetches = Vec::new();
    for second in [0, 10, 59, 60] {
        assert_eq!(verified(&source, &missing, after(second)).await, Err(unknown("missing")));
        fetches.push(fake.hits("/jwks"));
    }
    assert_eq!(fetches, [1, 1, 1, 2]);
}

#[tokio::test]
async fn ten_thousand_unknown_keys_cost_six_fetches_a_minute() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    let mut flood = JoinSet::new();
    for n in 0..10_000_i64 {
        let source = source.clone();
        // The whole minute at once, and each second of it in its turn.
        flood.spawn(async move { source.refresh_for(Some(&format!("key-{n}")), after(n * 60 / 10_000)).await.is_ok() });
    }
    assert!(flood.join_all().await.into_iter().all(|answered| answered));
    assert!(fake.hits("/jwks") <= 6, "{}", fake.hits("/jwks"));
    verified(&source, &key, after(60)).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_no_longer_published_is_refused_after_five_minutes_of_silence() {
    let (fake, old, new) = (Fake::start().await, SigningKey::new("old"), SigningKey::new("new"));
    fake.publish_keys(&[&old]);
    let source = source(&fake);
    verified(&source, &old, START).await.unwrap();
    fake.publish_keys(&[&new]);
    assert_eq!(verified(&source, &old, after(300)).await, Err(unknown("old")));
    verified(&source, &new, after(300)).await.unwrap();
    assert_eq!(fake.hits("/jwks"), 2);
}

#[tokio::test]
async fn keys_in_use_are_renewed_beside_the_requests() {
    let (fake, old, new) = (Fake::start().await, SigningKey::new("old"), SigningKey::new("new"));
    fake.publish_keys(&[&old]);
    let source = source(&fake);
    verified(&source, &old, START).await.unwrap();
    fake.publish_keys(&[&new]);
    fake.hold();
    // The request does not wait for the answer.
    assert!(source.keys(Some("old"), after(240)).is_some());
    until(|| fake.hits("/jwks") == 2).await;
    assert!(source.keys(Some("old"), after(241)).is_some());
    fake.go_on();
    until(|| source.keys(Some("new"), after(242)).is_some()).await;
    assert!(source.keys(Some("old"), after(242)).is_none());
}

#[tokio::test]
async fn known_keys_go_on_working_for_a_day_when_their_issuer_is_down() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    verified(&source, &key, START).await.unwrap();
    fake.down(true);
    for second in [299, 300, 360, 600, 3_600, 86_399] {
        verified(&source, &key, after(second)).await.unwrap();
    }
    assert_eq!(verified(&source, &key, after(86_400)).await, Err(KeysUnavailable.into()));
    fake.down(false);
    verified(&source, &key, after(86_420)).await.unwrap();
}

#[tokio::test]
async fn in_an_outage_a_steady_stream_of_requests_does_not_wait() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    verified(&source, &key, START).await.unwrap();
    fake.down(true);
    for (second, tried) in (240..900).step_by(10).zip(2..) {
        let used = || {
            assert!(source.keys(Some("one"), after(second)).is_some(), "{second}");
            fake.hits("/jwks") == tried
        };
        until(used).await;
    }
}

#[tokio::test]
async fn what_an_issuer_gives_instead_of_keys_changes_nothing() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    verified(&source, &key, START).await.unwrap();
    let mut now = START;
    for nonsense in ["", "<html>", "[]", r#"{"keys":7}"#] {
        fake.publish("/jwks", nonsense);
        now = now.plus_seconds(301);
        verified(&source, &key, now).await.unwrap();
    }
    assert_eq!(fake.hits("/jwks"), 5);
}

#[tokio::test]
async fn without_any_keys_a_token_cannot_be_judged() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    let source = source(&fake);
    for second in [0, 9, 10] {
        assert_eq!(verified(&source, &key, after(second)).await, Err(KeysUnavailable.into()));
    }
    assert_eq!(fake.hits("/jwks"), 2);
    fake.publish_keys(&[&key]);
    verified(&source, &key, after(20)).await.unwrap();
}

#[tokio::test]
async fn a_fetch_outlives_the_request_that_began_it() {
    let (fake, key) = (Fake::start().await, SigningKey::new("one"));
    fake.publish_keys(&[&key]);
    let source = source(&fake);
    fake.hold();
    let request = tokio::time::timeout(Duration::from_millis(50), verified(&source, &key, START));
    request.await.unwrap_err();
    fake.go_on();
    verified(&source, &key, START).await.unwrap();
    assert_eq!(fake.hits("/jwks"), 1);
}

#[tokio::test]
async fn a_key_or_an_address_that_a_token_brings_is_never_followed() {
    let (fake, known, own) = (Fake::start().await, SigningKey::new("known"), SigningKey::new("own"));
    fake.publish_keys(&[&known]);
    fake.publish("/own", r#"{"keys":[]}"#);
    let source = source(&fake);
    for header in ["jku", "x5u"] {
        let token = own.token(&json!({ (header): format!("{}/own", fake.address) }));
        let refused = source.verify(&token, &Expected::new("https://issuer.example", "api"), START).await;
        assert_eq!(refused, Err(unknown("own")), "{header}");
    }
    assert_eq!(fake.hits("/own"), 0);
}
