//! A running application with people in it, and clients for them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use api::limits::{Front, Limits, RequestIds};
use api::{About, App, Parts, Place, Signing};
use approvals::{Followers, RequestType};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use bytes::Bytes;
use gateway::{Gateway, UpstreamConfig, Upstreams};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use identity::Directory;
use kernel::Secret;
use policy::Policies;
use serde_json::{Value, json};
use testkit::Tester;
use testkit::upstream::Upstream;
use tokio::task::block_in_place;
use usage::Purse;

/// The application, its model server, and everybody's keys.
///
/// acme-corp has bob and carol (admin), alice (designer), olivia (operator), vera (viewer), adam (auditor) and
/// nina, who has no role; globex has gina (admin); petra manages the platform.
#[derive(Debug)]
pub(crate) struct World<'t> {
    pub(crate) tester: &'t Tester,
    pub(crate) upstream: Upstream,
    node: Node,
    keys: HashMap<String, Secret<String>>,
    key_ids: HashMap<String, String>,
    users: HashMap<String, String>,
    session: tokio::sync::OnceCell<String>,
}

/// One running server.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) app: App,
    directory: Arc<Directory>,
    front: Front,
}

/// Where the server is found.
pub(crate) const PUBLIC_URL: &str = "https://taskforce.example";

pub(crate) const PEOPLE: [(&str, &[&str]); 6] = [
    ("carol", &["admin"]),
    ("alice", &["agent_designer"]),
    ("olivia", &["operator"]),
    ("vera", &["viewer"]),
    ("adam", &["auditor"]),
    ("nina", &[]),
];

/// Runs `test` in a world of its own on each engine.
#[expect(clippy::needless_pass_by_value, reason = "a test reads better without the reference")]
pub(crate) fn on_both_engines(test: impl AsyncFn(&World<'_>)) {
    on_both_engines_with(Duration::from_secs(30), &test);
}

/// The same, with an upstream that has so much time to begin its answer.
pub(crate) fn on_both_engines_with(patience: Duration, test: &impl AsyncFn(&World<'_>)) {
    testkit::on_both_engines(|tester| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let world = runtime.block_on(World::start(tester, patience));
        runtime.block_on(test(&world));
    });
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A text of the document, by JSON pointer.
    pub(crate) fn get(&self, pointer: &str) -> String {
        let json = self.json();
        json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {json}")).to_owned()
    }

    /// The same answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// A request to be.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Where it comes from: unless said, each from an address of its own.
    pub(crate) from: Option<IpAddr>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Bytes::new(), from: None }
    }

    pub(crate) fn from(self, address: &str) -> Self {
        Self { from: Some(address.parse().unwrap()), ..self }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string().into_bytes())
    }

    pub(crate) fn bytes(self, kind: &str, body: impl Into<Bytes>) -> Self {
        let this = if kind.is_empty() { self } else { self.with("content-type", kind) };
        Self { body: body.into(), ..this }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A password that anybody may have.
pub(crate) const PASSWORD: &str = "mountain bicycle 9";

/// What somebody of acme-corp signs in with.
pub(crate) fn sign_in(name: &str) -> Value {
    json!({ "tenant": "acme-corp", "username": name, "password": PASSWORD })
}

/// A browser that holds a session, and a page of ours in it.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Browser {
    /// The browser that got this answer.
    pub(crate) fn of(answer: &Answer) -> Self {
        Self { cookie: cookie(&answer.headers, "__Host-taskforce").unwrap(), csrf: answer.get("/csrf_token") }
    }

    /// The request as a page of ours sends it.
    pub(crate) fn sends(&self, ask: Ask) -> Ask {
        let ask = ask.with("cookie", format!("__Host-taskforce={}", self.cookie));
        ask.with("x-csrf-token", &self.csrf).with("origin", PUBLIC_URL)
    }
}

/// The value of the cookie that an answer sets.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let set = headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    let mut values = set.filter_map(|text| text.split(';').next()?.strip_prefix(name)?.strip_prefix('='));
    values.next().map(str::to_owned)
}

impl<'t> World<'t> {
    pub(crate) async fn start(tester: &'t Tester, patience: Duration) -> Self {
        let upstream = Upstream::start().await;
        let node = block_in_place(|| Node::new(tester, &tester.db, &upstream.url(), patience, true));
        let mut world = Self {
            tester,
            node,
            upstream,
            keys: HashMap::new(),
            users: HashMap::new(),
            key_ids: HashMap::new(),
            session: tokio::sync::OnceCell::new(),
        };
        world.populate().await;
        world
    }

    async fn populate(&mut self) {
        let platform = block_in_place(|| {
            let made = identity::bootstrap(&self.tester.db, &self.tester.moment()).unwrap().unwrap();
            self.node.app.refresh().unwrap();
            made
        });
        self.keys.insert("petra".to_owned(), platform.secret);
        for (tenant, admin) in [("acme-corp", "bob"), ("globex", "gina")] {
            let body = json!({ "id": tenant, "name": tenant, "admin": admin });
            let made = self.send("petra", Ask::post("/api/v1/admin/tenants", &body)).await.expect(201);
            self.users.insert(admin.to_owned(), made.get("/admin/id"));
            self.keys.insert(admin.to_owned(), Secret::new(made.get("/key/secret")));
        }
        for (name, roles) in PEOPLE {
            let body = json!({ "username": name, "roles": roles });
            let user = self.send("bob", Ask::post("/api/v1/admin/users", &body)).await.expect(201).get("/id");
            let key = Ask::post("/api/v1/admin/api-keys", &json!({ "user_id": user, "name": "first" }));
            let key = self.send("bob", key).await.expect(201);
            self.users.insert(name.to_owned(), user);
            self.keys.insert(name.to_owned(), Secret::new(key.get("/secret")));
            self.key_ids.insert(name.to_owned(), key.get("/id"));
        }
        // What bob has decided on, a key from his hands does not decide on too.
        let (tenant, carol) = ("acme-corp".parse().unwrap(), "carol".parse().unwrap());
        let own = block_in_place(|| {
            identity::issue_local_key(&self.tester.db, &tenant, &carol, None, &self.tester.moment()).unwrap()
        });
        self.keys.insert("carol".to_owned(), own.secret);
    }

    /// A key that `by` makes as `body` says.
    pub(crate) async fn new_key(&self, by: &str, body: &Value) -> Secret<String> {
        Secret::new(self.send(by, Ask::post("/api/v1/admin/api-keys", body)).await.expect(201).get("/secret"))
    }

    /// The id of somebody.
    pub(crate) fn id(&self, name: &str) -> &str {
        &self.users[name]
    }

    /// Somebody's key.
    pub(crate) fn key(&self, name: &str) -> &Secret<String> {
        &self.keys[name]
    }

    /// The public part of somebody's key.
    pub(crate) fn key_id(&self, name: &str) -> &str {
        &self.key_ids[name]
    }

    /// Somebody as use cases see them.
    pub(crate) fn caller(&self, name: &str) -> authz::Caller {
        let (at, key) = (self.tester.moment(), self.keys[name].expose());
        self.node.directory.authenticate(key, None, authz::Request::made(&at), at.now()).unwrap().caller
    }

    /// The server itself.
    pub(crate) fn app(&self) -> &App {
        &self.node.app
    }

    /// Another server on the same database.
    pub(crate) fn second_node(&self) -> Node {
        self.other_node(true)
    }

    /// Another server on the same database, whose profile knows one tenant.
    pub(crate) fn lone_node(&self) -> Node {
        self.other_node(false)
    }

    fn other_node(&self, multi_tenant: bool) -> Node {
        let (url, patience) = (self.upstream.url(), Duration::from_secs(30));
        block_in_place(|| Node::new(self.tester, &self.tester.second_node(), &url, patience, multi_tenant))
    }

    /// Makes every commit fail, or succeed again.
    pub(crate) fn refuse_commits(&self, refuse: bool) {
        block_in_place(|| self.tester.db.refuse_commits(refuse).unwrap());
    }

    /// Bounds the size of an SQLite file as a full disk would.
    pub(crate) fn limit_pages(&self, pages: Option<u32>) {
        block_in_place(|| self.tester.db.limit_pages(pages).unwrap());
    }

    /// The answer to somebody's request: with their key, unless it brings a cookie.
    pub(crate) async fn send(&self, name: &str, ask: Ask) -> Answer {
        let key = Some(&self.keys[name]).filter(|_| ask.headers.iter().all(|(name, _)| name != "cookie"));
        self.ask(key, ask).await
    }

    /// The id of a session of somebody's, begun when it was first asked for.
    pub(crate) async fn session_of(&self, name: &str) -> String {
        let begun = self.session.get_or_init(async || {
            let browser = self.browser(name).await;
            self.ask(None, browser.sends(Ask::get("/auth/session"))).await.expect(200).get("/session_id")
        });
        begun.await.clone()
    }

    /// Somebody's browser, signed in to with a password that bob has set just now.
    pub(crate) async fn browser(&self, name: &str) -> Browser {
        let path = format!("/api/v1/admin/users/{}/password", self.id(name));
        self.post("bob", &path, json!({ "new": PASSWORD })).await.expect(204);
        Browser::of(&self.ask(None, Ask::post("/auth/password", &sign_in(name))).await.expect(200))
    }

    pub(crate) async fn get(&self, name: &str, path: &str) -> Answer {
        self.send(name, Ask::get(path)).await
    }

    pub(crate) async fn post(&self, name: &str, path: &str, body: Value) -> Answer {
        self.send(name, Ask::post(path, &body)).await
    }

    /// The answer to a request with this key, or without one.
    pub(crate) async fn ask(&self, key: Option<&Secret<String>>, ask: Ask) -> Answer {
        self.node.ask(key, ask).await
    }

    /// The beginning of the answer to somebody's request; its body is still to be read.
    pub(crate) async fn begin(&self, name: &str, ask: Ask) -> Response {
        self.node.open(Some(&self.keys[name]), ask).await
    }

    /// How many entries all logs have.
    pub(crate) fn entry_count(&self) -> u64 {
        block_in_place(|| audit::entry_count(&self.tester.db).unwrap())
    }

    /// The newest entries of acme-corp, as `seq action resource outcome`. Reading them adds one.
    pub(crate) async fn newest_entries(&self, count: usize) -> Vec<String> {
        let answer = self.get("adam", &format!("/api/v1/audit/entries?limit={count}")).await.expect(200);
        let line = |entry: &Value| {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("action"), text("resource_type"), text("outcome"))
        };
        answer.json()["items"].as_array().unwrap().iter().map(line).collect()
    }

    /// An agent of alice's without a version.
    pub(crate) async fn agent(&self) -> String {
        let body = json!({ "name": "Customer Support Agent", "category": "support", "tags": ["production"] });
        self.post("alice", "/api/v1/agents", body).await.expect(201).get("/id")
    }

    /// A draft of the agent; its path.
    pub(crate) async fn draft(&self, agent: &str, number: &str) -> String {
        let definition = json!({
            "model": "gpt-4o-mini",
            "system_prompt": "You help customers.",
            "tools": ["semantic_search"],
            "parameters": { "temperature": 0.5, "max_tokens": 200 },
        });
        self.draft_of(agent, number, &definition).await
    }

    pub(crate) async fn draft_of(&self, agent: &str, number: &str, definition: &Value) -> String {
        let body = json!({ "number": number, "definition": definition, "changelog": "Something new" });
        let made = self.post("alice", &format!("/api/v1/agents/{agent}/versions"), body).await.expect(201);
        made.header("location").unwrap().to_owned()
    }

    /// Submits a draft; the request for approval.
    pub(crate) async fn submit(&self, version: &str) -> String {
        self.post("alice", &format!("{version}/submit"), json!({})).await.expect(200).get("/approval_id")
    }

    /// Submits a draft and lets bob approve it, and carol too where two are needed.
    pub(crate) async fn approve(&self, version: &str) -> String {
        let approval = self.submit(version).await;
        let path = format!("/api/v1/approvals/{approval}/approve");
        let decided = self.post("bob", &path, json!({})).await.expect(200);
        if decided.get("/status") == "pending" {
            self.post("carol", &path, json!({})).await.expect(200);
        }
        approval
    }

    /// Brings a draft all the way.
    pub(crate) async fn publish(&self, version: &str) {
        self.approve(version).await;
        self.post("alice", &format!("{version}/publish"), json!({})).await.expect(200);
    }

    /// An agent that can be called.
    pub(crate) async fn callable(&self) -> String {
        let agent = self.agent().await;
        self.publish(&self.draft(&agent, "1.0.0").await).await;
        agent
    }
}

impl Node {
    /// A server on `db`. Blocks.
    fn new(tester: &Tester, db: &store::Database, upstream: &str, patience: Duration, multi_tenant: bool) -> Self {
        let config = UpstreamConfig {
            name: "fake".to_owned(),
            url: upstream.to_owned(),
            key: Some(Secret::new("sk-upstream".to_owned())),
            models: vec!["gpt-*".to_owned()],
            allow_private: true,
        };
        let client = outbound::Client::new(outbound::Trust::Nobody).unwrap();
        let upstreams = Upstreams::new(&[config], client, patience).unwrap();
        let purse = Purse::new(tester.moment().id());
        let (gateway, sequencer) = Gateway::new(db.clone(), upstreams, purse).unwrap();
        std::thread::spawn(move || sequencer.run());
        let signing = audit::Signer::generate(&*tester.clock);
        let policies = Arc::new(Policies::load(db).unwrap());
        let guards = Arc::clone(&policies);
        let directory = Arc::new(Directory::load(db, Arc::new(move |tenant| guards.guard_for(tenant))).unwrap());
        let parts = Parts {
            db: db.clone(),
            directory: Arc::clone(&directory),
            policies,
            outbound: outbound::Client::new(outbound::Trust::Nobody).unwrap(),
            place: Place {
                public_url: PUBLIC_URL.to_owned(),
                trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
                provider_reach: outbound::Reach::Private,
            },
            signing: Signing {
                tokens: Secret::new(vec![7; 32]),
                issuer: PUBLIC_URL.to_owned(),
                cookies: Secret::new(vec![9; 32]),
            },
            gateway,
            signer: Arc::new(audit::Signer::parse(db.instance(), &signing).unwrap()),
            followers: Followers::new()
                .on(RequestType::AgentPublish, catalog::follow_decision)
                .on(RequestType::PolicyActivate, policy::follow_activation),
            default_role: authz::Role::Viewer.into(),
            multi_tenant,
            about: About { version: "0.1.0", edition: api::Edition::Enterprise, parts: vec!["rbac".to_owned()] },
        };
        let app = App::new(parts).unwrap();
        let ids = RequestIds::new(Arc::clone(&tester.clock) as _, Arc::clone(&tester.clock) as _);
        let front = Front::new(api::router(app.clone()), Limits::default(), ids);
        Self { app, directory, front }
    }

    /// Takes over what other nodes changed.
    pub(crate) fn refresh(&self) {
        block_in_place(|| self.app.refresh().unwrap());
    }

    /// The answer to a request with this key, or without one.
    pub(crate) async fn ask(&self, key: Option<&Secret<String>>, ask: Ask) -> Answer {
        let (head, body) = self.open(key, ask).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn open(&self, key: Option<&Secret<String>>, ask: Ask) -> Response {
        static ADDRESSES: AtomicU32 = AtomicU32::new(0x0A00_0000);
        let Ask { method, path, headers, body, from } = ask;
        let own = || Ipv4Addr::from_bits(ADDRESSES.fetch_add(1, Ordering::Relaxed)).into();
        let peer = SocketAddr::new(from.unwrap_or_else(own), 40_000);
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        request = request.extension(ConnectInfo(peer));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        self.front.answer(request.body(Body::from(body)).unwrap()).await
    }
}

/// Gives ids the names of their kinds, numbered as they appear, and shortens digests and keys.
pub(crate) fn named(text: &str) -> String {
    let mut names: HashMap<String, String> = HashMap::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut named = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let word = rest[start..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(&rest[start..], |end| &rest[start..start + end]);
        named.push_str(&rest[..start]);
        rest = &rest[start + word.len()..];
        let kind = word.split_once('_').filter(|(kind, digits)| kind.len() == 3 && digits.len() == 32);
        match kind {
            Some((kind, _)) => {
                let count = counts.entry(kind.to_owned()).or_default();
                let name = names.entry(word.to_owned()).or_insert_with(|| {
                    *count += 1;
                    format!("{kind}_{count}")
                });
                named.push_str(name);
            }
            None if word.len() == 64 => named.push_str("«digest»"),
            None => named.push_str(word),
        }
    }
    named + rest
}
