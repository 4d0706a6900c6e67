//! A certified OpenID provider, run beside a test: `oidc-provider` on Node.js, and a person's browser.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "this is test code: it panics as tests do")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use kernel::Timestamp;
use outbound::{Client, Limits, Reach, Trust};
use serde_json::{Value, json};

/// The secret of the clients that have one.
pub const CLIENT_SECRET: &str = "the secret of a client in a test";

/// Whom a provider knows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The clients, with their metadata as OpenID Connect Dynamic Registration names it.
    pub clients: Vec<Value>,
    /// The people: `sub` and other claims. The first signs in, until [`Provider::person`] names another.
    pub accounts: Vec<Value>,
}

impl Settings {
    /// The clients `basic`, `post` and `public`, each named after how it authenticates, with this `redirect_uri`; and
    /// the people `alice` in the group `engineers` and `bob` in `engineers` and `leads`.
    pub fn new(redirect_uri: &str) -> Self {
        let client = |id: &str, method: &str| {
            let secret = (method != "none").then_some(CLIENT_SECRET);
            let grants: &[&str] =
                if secret.is_some() { &["authorization_code", "client_credentials"] } else { &["authorization_code"] };
            let mut client = json!({
                "client_id": id,
                "redirect_uris": [redirect_uri],
                "token_endpoint_auth_method": method,
                "grant_types": grants,
            });
            if let Some(secret) = secret {
                client["client_secret"] = secret.into();
            }
            client
        };
        let account = |sub: &str, groups: &[&str]| {
            let email = format!("{sub}@example.org");
            json!({ "sub": sub, "name": sub, "preferred_username": sub, "email": email, "email_verified": true,
                    "groups": groups })
        };
        Self {
            clients: vec![
                client("basic", "client_secret_basic"),
                client("post", "client_secret_post"),
                client("public", "none"),
            ],
            accounts: vec![account("alice", &["engineers"]), account("bob", &["engineers", "leads"])],
        }
    }
}

/// A running provider. It ends when dropped, and when the test's process ends in any other way.
#[derive(Debug)]
pub struct Provider {
    issuer: String,
    client: Client,
    process: Child,
}

/// How often the provider was asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// For its configuration.
    pub discovery: u64,
    /// For its keys.
    pub jwks: u64,
    /// For tokens.
    pub token: u64,
}

impl Provider {
    /// Starts one, or says aloud that it cannot: `cargo xtask test` installs what it needs.
    ///
    /// # Panics
    /// With `CI=true` absence is a failure.
    pub fn start(settings: &Settings) -> Option<Self> {
        let modules = modules()?;
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../oidc/tests/provider/server.mjs");
        let Settings { clients, accounts } = settings;
        let mut process = Command::new("node")
            .arg(server)
            .arg(modules)
            .arg(json!({ "clients": clients, "accounts": accounts }).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut issuer = String::new();
        BufReader::new(process.stdout.take().expect("its output is piped")).read_line(&mut issuer).expect("it speaks");
        let issuer = issuer.trim_end().to_owned();
        assert!(issuer.starts_with("http://127.0.0.1:"), "the provider did not start: {issuer}");
        Some(Self { issuer, client: Client::new(Trust::Nobody).expect("a client without certificates"), process })
    }

    /// Its issuer, which is its address too.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The present instant, by its clock.
    pub async fn now(&self) -> Timestamp {
        let now = self.order("now", &Value::Null).await;
        Timestamp::from_micros(now["micros"].as_i64().expect("an instant"))
    }

    /// Signs with a new key from now on, and keeps publishing those before it.
    pub async fn rotate(&self) -> String {
        key_id(&self.order("rotate", &Value::Null).await)
    }

    /// Publishes only the newest key from now on.
    pub async fn retire(&self) -> String {
        key_id(&self.order("retire", &Value::Null).await)
    }

    /// Ends connections without an answer, or stops doing so.
    pub async fn silence(&self, on: bool) {
        self.order("silence", &on.into()).await;
    }

    /// Replaces claims of the identity tokens from now on. The `at_hash` called `right` becomes the right one.
    pub async fn tamper(&self, claims: &Value) {
        self.order("tamper", claims).await;
    }

    /// Who signs in from now on.
    pub async fn person(&self, sub: &str) {
        self.order("person", &sub.into()).await;
    }

    /// How often it was asked for what.
    pub async fn counts(&self) -> Counts {
        let counts = self.order("counts", &Value::Null).await;
        let count = |name: &str| counts[name].as_u64().expect("a number");
        Counts { discovery: count("discovery"), jwks: count("jwks"), token: count("token") }
    }

    /// An access token (`at+jwt`) of the client `basic` for a resource.
    pub async fn access_token(&self, resource: &str) -> String {
        let basic = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("basic:{}", CLIENT_SECRET.replace(' ', "+")),
        );
        let resource = resource.replace(':', "%3A").replace('/', "%2F");
        let request = Request::post(format!("{}/token", self.issuer))
            .header(AUTHORIZATION, format!("Basic {basic}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(format!("grant_type=client_credentials&scope=api&resource={resource}")));
        let response = self.exchange(request.expect("a request")).await;
        let body: Value = serde_json::from_slice(response.body()).expect("JSON");
        body["access_token"].as_str().unwrap_or_else(|| panic!("no access token: {body}")).to_owned()
    }

    /// What a person's browser does with the address of a sign-in: follows the redirects, cookies and all, until one
    /// leads away from the provider. That address is the answer.
    pub async fn browse(&self, url: &str) -> String {
        let mut cookies: BTreeMap<String, String> = BTreeMap::new();
        let mut next = url.to_owned();
        for _ in 0..12 {
            let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let request = Request::get(&next).header(COOKIE, jar.join("; ")).body(Full::default());
            let response = self.exchange(request.expect("a request")).await;
            for cookie in response.headers().get_all(SET_COOKIE) {
                let cookie = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
                let (name, value) = cookie.split_once('=').expect("a cookie");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let Some(location) = response.headers().get(LOCATION) else {
                panic!("no redirect but {}: {}", response.status(), String::from_utf8_lossy(response.body()));
            };
            let location = location.to_str().expect("text");
            next = if location.starts_with('/') { format!("{}{location}", self.issuer) } else { location.to_owned() };
            if !next.starts_with(&self.issuer) {
                return next;
            }
        }
        panic!("the redirects of {url} do not end")
    }

    async fn order(&self, name: &str, body: &Value) -> Value {
        let request = Request::post(format!("{}/control/{name}", self.issuer)).body(Full::from(body.to_string()));
        let response = self.exchange(request.expect("a request")).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        serde_json::from_slice(response.body()).expect("JSON")
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        self.client.fetch(request, Limits::default(), Reach::Private).await.expect("the provider answers")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // One that has ended by itself is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn key_id(answer: &Value) -> String {
    answer["kid"].as_str().expect("a key id").to_owned()
}

/// The folder that holds the provider's packages.
fn modules() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("TASKFORCE_TEST_PROVIDER") {
        return Some(folder.into());
    }
    assert!(std::env::var_os("CI").is_none(), "no OpenID provider is prepared, and in CI every suite runs");
    println!("not run: sign-in against a real OpenID provider (`cargo xtask test` prepares it)");
    None
}
