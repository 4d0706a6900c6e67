//! Requests about credentials: what the operations of signing in, tokens, keys, sessions and providers are tried with.

use http::Method;
use serde_json::{Value, json};

use crate::world::{Ask, PASSWORD, PUBLIC_URL, World, sign_in};

/// What acme-corp has of them.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    /// A provider that cannot be reached.
    pub(crate) provider: String,
    /// A session of olivia's.
    pub(crate) session: String,
    /// A bearer token of vera's.
    pub(crate) token: String,
}

/// A form that asks for an exchange, but for the token.
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token=";

fn provider(name: &str) -> Value {
    json!({ "name": name, "issuer": "http://127.0.0.1:1", "audiences": [PUBLIC_URL] })
}

impl Credentials {
    pub(crate) async fn of(world: &World<'_>, count: u64) -> Self {
        let body = provider(&format!("Provider {count}"));
        let provider = world.post("bob", "/api/v1/admin/identity-providers", body).await.expect(201).get("/id");
        let token = world.post("vera", "/api/v1/tokens", json!({})).await.expect(201).get("/token");
        Self { provider, session: world.session_of("olivia").await, token }
    }

    /// The same names for what is nowhere.
    pub(crate) fn nowhere() -> Self {
        let id = |prefix: &str| format!("{prefix}_00000000000070008000000000000000");
        Self { provider: id("idp"), session: id("ses"), token: "a.b.c".to_owned() }
    }

    pub(crate) fn ids(&self) -> [&str; 3] {
        let Self { provider, session, token } = self;
        [provider, session, token]
    }

    pub(crate) fn path(&self, path: &str) -> String {
        let path = path.replace("{provider_id}", &self.provider).replace("{session_id}", &self.session);
        path.replace("{tenant}", "acme-corp").replace("{provider}", &self.provider)
    }

    /// The request with its body; `None` for operations that are about something else.
    pub(crate) fn ask(&self, operation: &str, ask: Ask) -> Option<Ask> {
        let body = match operation {
            "update_key" => json!({ "name": "renamed" }),
            "rotate_key" => json!({ "overlap_hours": 1 }),
            "create_provider" => provider("Sample"),
            "update_provider" => json!({ "provision": true }),
            "issue_token" => json!({ "expires_in": 60 }),
            "revoke_token" => json!({ "token": self.token }),
            "set_user_password" => json!({ "new": PASSWORD }),
            "change_own_password" => json!({ "current": PASSWORD, "new": "another bicycle 7" }),
            "reauthenticate" => json!({ "password": PASSWORD }),
            "sign_in_with_password" => sign_in("olivia"),
            "report_leaked_key" => json!({ "key": "nonsense" }),
            "exchange_token" => {
                let form = format!("{EXCHANGE}{}", self.token);
                return Some(ask.bytes("application/x-www-form-urlencoded", form));
            }
            "list_sign_in_providers" => return Some(Ask { path: ask.path.clone() + "?tenant=acme-corp", ..ask }),
            "end_session" | "sign_out" | "check_provider" | "delete_provider" | "begin_sign_in" | "finish_sign_in" => {
                return Some(ask);
            }
            _ => return None,
        };
        Some(ask.json(&body))
    }

    /// Somebody who may, and a request that succeeds now; `None` where `bob` may as it is.
    pub(crate) async fn permitted(&self, world: &World<'_>, operation: &str, ask: &Ask) -> Option<(&'static str, Ask)> {
        let fresh = async || world.browser("vera").await;
        Some(match operation {
            "get_own_session" | "sign_out" | "reauthenticate" | "change_own_password" => {
                ("vera", fresh().await.sends(ask.clone()))
            }
            "end_session" => {
                let session = world.ask(None, fresh().await.sends(Ask::get("/auth/session"))).await.expect(200);
                let path = format!("/api/v1/admin/sessions/{}/end", session.get("/session_id"));
                ("bob", Ask::new(Method::POST, path))
            }
            "exchange_token" | "revoke_token" => ("vera", ask.clone()),
            _ => return None,
        })
    }
}
