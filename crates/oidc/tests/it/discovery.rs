//! What an issuer says about itself, and what of it is believed.

use oidc::{AnswerError, Discovery, DiscoveryError};
use outbound::{Client, Reach, Trust};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::fake::{Fake, START};

const PATH: &str = "/.well-known/openid-configuration";

fn discovery(fake: &Fake) -> Discovery {
    let client = Client::new(Trust::Nobody).unwrap();
    Discovery::new(client, &fake.address, Reach::Private, Handle::current()).unwrap()
}

fn document(fake: &Fake, changed: &Value) -> String {
    let at = |path: &str| format!("{}{path}", fake.address);
    let mut document = json!({
        "issuer": fake.address, "authorization_endpoint": at("/auth"), "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"), "something_else": [1],
    });
    document.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
    document.to_string()
}

#[tokio::test]
async fn a_configuration_is_asked_for_once_an_hour_and_goes_on_holding() {
    let fake = Fake::start().await;
    fake.publish(PATH, document(&fake, &json!({})));
    let discovery = discovery(&fake);
    for second in [0, 10, 3_599] {
        let metadata = discovery.metadata(START.plus_seconds(second)).await.unwrap();
        assert_eq!(metadata.jwks_uri, *format!("{}/jwks", fake.address));
    }
    assert_eq!(fake.hits(PATH), 1);
    fake.down(true);
    discovery.metadata(START.plus_seconds(3_600)).await.unwrap();
    discovery.metadata(START.plus_seconds(3_605)).await.unwrap();
    assert_eq!(fake.hits(PATH), 2);
    fake.down(false);
    fake.publish(PATH, document(&fake, &json!({ "jwks_uri": "https://keys.example/" })));
    assert_eq!(discovery.metadata(START.plus_seconds(3_610)).await.unwrap().jwks_uri, "https://keys.example/");
}

#[tokio::test]
async fn a_configuration_of_another_issuer_is_not_believed() {
    let fake = Fake::start().await;
    for other in ["https://accounts.example".to_owned(), format!("{}/", fake.address)] {
        fake.publish(PATH, document(&fake, &json!({ "issuer": other })));
        let refused = discovery(&fake).metadata(START).await;
        assert!(matches!(refused, Err(DiscoveryError::OtherIssuer(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_may_not_be_asked_spoils_the_configuration() {
    let fake = Fake::start().await;
    for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        fake.publish(PATH, document(&fake, &json!({ (endpoint): "file://host/etc/passwd" })));
        let refused = discovery(&fake).metadata(START).await;
        assert!(matches!(&refused, Err(DiscoveryError::Endpoint { endpoint: named, .. }) if *named == endpoint));
    }
}

#[tokio::test]
async fn no_configuration_is_an_error_and_is_not_asked_for_at_once_again() {
    let fake = Fake::start().await;
    let discovery = discovery(&fake);
    let absent = discovery.metadata(START).await;
    assert!(matches!(absent, Err(DiscoveryError::Answer { source: AnswerError::Status(_), .. })), "{absent:?}");
    let soon = discovery.metadata(START.plus_seconds(9)).await;
    assert!(matches!(soon, Err(DiscoveryError::MomentAgo(_))), "{soon:?}");
    fake.publish(PATH, r#"{"issuer":"a","issuer":"b"}"#);
    let odd = discovery.metadata(START.plus_seconds(10)).await;
    assert!(matches!(odd, Err(DiscoveryError::Answer { source: AnswerError::Document, .. })), "{odd:?}");
    assert_eq!(fake.hits(PATH), 2);
}

#[tokio::test]
async fn only_an_address_that_may_be_asked_is_an_issuer() {
    let client = Client::new(Trust::Nobody).unwrap();
    let issuer = |text, reach| Discovery::new(client.clone(), text, reach, Handle::current());
    for text in ["", "issuer", "https://a.example?b", "https://a.example/#c", "http://a.example", "https://10.0.0.1"] {
        assert!(issuer(text, Reach::Public).is_err(), "{text}");
    }
    for (text, reach) in [("https://a.example/realms/x", Reach::Public), ("http://10.0.0.1:8080", Reach::Private)] {
        assert!(issuer(text, reach).is_ok(), "{text}");
    }
}
