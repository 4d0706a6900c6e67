//! Keys of a certified provider: rotated, retired, out of reach.

use jose::{Expected, TokenError};
use oidc::{Discovery, KeyOrigin, KeySource, VerifyError};
use outbound::{Client, Reach, Trust};
use testkit::provider::{Provider, Settings};
use tokio::runtime::Handle;

const RESOURCE: &str = "https://api.example.org";

struct World {
    provider: Provider,
    keys: KeySource,
    expected: Expected,
}

fn world() -> Option<World> {
    let provider = Provider::start(&Settings::new("https://app.example.org/callback"))?;
    let client = Client::new(Trust::Nobody).unwrap();
    let discovery = Discovery::new(client.clone(), provider.issuer(), Reach::Private, Handle::current()).unwrap();
    let keys = KeySource::new(client, KeyOrigin::Issuer(discovery), Handle::current());
    let expected = Expected::new(provider.issuer(), RESOURCE);
    Some(World { provider, keys, expected })
}

#[tokio::test]
async fn an_access_token_of_its_own_type_verifies() {
    let Some(World { provider, keys, expected }) = world() else { return };
    let token = provider.access_token(RESOURCE).await;
    let claims = keys.verify(&token, &expected, provider.now().await).await.unwrap();
    assert_eq!((claims.typ.as_deref(), claims.sub.as_str()), (Some("at+jwt"), "basic"));
    assert_eq!(claims.texts("groups"), Some(vec!["engineers"]));
}

#[tokio::test]
async fn a_token_for_another_resource_or_of_another_issuer_is_refused() {
    let Some(World { provider, keys, expected }) = world() else { return };
    let now = provider.now().await;
    let token = provider.access_token("https://other.example.org").await;
    assert_eq!(keys.verify(&token, &expected, now).await, Err(TokenError::Audience.into()));
    let expected = Expected::new("https://other.example.org", "https://other.example.org");
    assert_eq!(keys.verify(&token, &expected, now).await, Err(TokenError::Issuer.into()));
}

#[tokio::test]
async fn a_rotated_key_is_picked_up_on_first_use_and_a_retired_one_is_refused() {
    let Some(World { provider, keys, expected }) = world() else { return };
    let now = provider.now().await;
    let old = provider.access_token(RESOURCE).await;
    keys.verify(&old, &expected, now).await.unwrap();

    provider.rotate().await;
    let new = provider.access_token(RESOURCE).await;
    keys.verify(&new, &expected, now.plus_seconds(10)).await.unwrap();
    keys.verify(&old, &expected, now.plus_seconds(10)).await.unwrap();

    provider.retire().await;
    let refused = keys.verify(&old, &expected, now.plus_seconds(310)).await;
    assert_eq!(refused, Err(TokenError::UnknownKey { kid: "key-1".to_owned() }.into()));
    keys.verify(&new, &expected, now.plus_seconds(310)).await.unwrap();
    assert_eq!(provider.counts().await.jwks, 3);
}

#[tokio::test]
async fn unknown_keys_do_not_flood_the_provider() {
    let Some(World { provider, keys, expected: _ }) = world() else { return };
    let now = provider.now().await;
    for n in 0..10_000_i64 {
        keys.refresh_for(Some(&format!("unknown-{n}")), now.plus_seconds(n * 60 / 10_000)).await.unwrap();
    }
    assert_eq!(provider.counts().await.jwks, 6);
}

#[tokio::test]
async fn known_keys_work_while_the_provider_is_down() {
    let Some(World { provider, keys, expected }) = world() else { return };
    let now = provider.now().await;
    let token = provider.access_token(RESOURCE).await;
    keys.verify(&token, &expected, now).await.unwrap();
    provider.silence(true).await;
    for minute in 1..=9 {
        keys.verify(&token, &expected, now.plus_seconds(minute * 60)).await.unwrap();
    }
    // Its own time is over, whatever becomes of the provider.
    let refused = keys.verify(&token, &expected, now.plus_seconds(11 * 60)).await;
    assert_eq!(refused, Err(VerifyError::Token(TokenError::Expired)));
}
