//! Tenants never meet: many random operations of many tenants against an oracle that knows what belongs to whom.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use futures_util::future::join_all;
use http::Method;
use kernel::Secret;
use serde_json::{Value, json};

use crate::operations::{Operation, Things, all};
use crate::world::{Answer, Ask, World, on_both_engines};

const TENANTS: usize = 8;
/// How many operations are made on each engine.
const OPERATIONS: [(&str, usize); 2] = [("sqlite", 50_000), ("postgres", 5_000)];

/// What every canary begins with. Then comes whose it is, and whether it is within the tenant (`i`) or names it (`o`).
const CANARY: &str = "cnry";

/// A kind of thing that tenants have.
struct Kind {
    path: &'static str,
    /// What it is known by.
    id: &'static str,
    /// How many a tenant makes at most.
    most: usize,
    new: fn(&str, u64) -> Value,
    change: fn(&str, u64) -> Value,
    deletable: bool,
}

const KINDS: [Kind; 6] = [
    Kind {
        path: "/api/v1/agents",
        id: "id",
        most: 60,
        new: |canary, n| json!({ "name": format!("{canary} {n}"), "description": canary }),
        change: |canary, n| json!({ "description": format!("{canary} {n}") }),
        deletable: false,
    },
    Kind {
        path: "/api/v1/admin/users",
        id: "id",
        most: 60,
        new: |canary, n| {
            json!({ "username": format!("{canary}-{n}"), "display_name": canary, "roles": ["viewer"],
                "email": format!("{canary}{n}@example.com"), "attributes": { "team": canary } })
        },
        change: |canary, n| json!({ "display_name": format!("{canary} {n}") }),
        deletable: false,
    },
    Kind {
        path: "/api/v1/admin/groups",
        id: "id",
        most: 40,
        new: |canary, n| json!({ "display_name": format!("{canary} {n}"), "external_id": format!("{canary}-{n}") }),
        change: |canary, n| json!({ "external_id": format!("{canary}-x{n}") }),
        deletable: true,
    },
    Kind {
        path: "/api/v1/admin/roles",
        id: "name",
        most: 40,
        new: |canary, n| {
            // Its name is its id, and ids are sent by others too.
            let name = format!("role-{}-{n}", &canary[CANARY.len()..]);
            json!({ "name": name, "description": canary, "permissions": ["agent:read"] })
        },
        change: |canary, n| json!({ "description": format!("{canary} {n}") }),
        deletable: true,
    },
    Kind {
        path: "/api/v1/admin/budgets",
        id: "id",
        most: 20,
        new: |canary, n| {
            json!({ "name": format!("{canary} {n}"), "scope": { "type": "tenant" }, "period": "month",
                "limit": { "amount": "1000000.00", "currency": "USD" } })
        },
        change: |_, n| json!({ "limit": { "amount": format!("{}.00", 100_000 + n), "currency": "USD" } }),
        deletable: false,
    },
    Kind {
        path: "/api/v1/admin/api-keys",
        id: "id",
        most: 40,
        new: |canary, n| json!({ "user_id": "", "name": format!("{canary} {n}") }),
        change: |canary, n| json!({ "name": format!("{canary} x{n}") }),
        deletable: false,
    },
];

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % end as u64).unwrap()
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { Some(&of[self.below(of.len())]) }
    }
}

/// One tenant, and everything that it has as far as the oracle knows.
struct Tenant<'w> {
    world: &'w World<'w>,
    index: usize,
    key: Secret<String>,
    admin: String,
    agent: String,
    canary: String,
    numbers: Numbers,
    made: u64,
    /// The revisions of what it has, for each kind by id.
    has: [BTreeMap<String, u64>; KINDS.len()],
    common: &'w Common,
}

/// What all tenants know of each other: the ids, which are no secret and open nothing.
#[derive(Default)]
struct Common {
    owners: Mutex<HashMap<String, (usize, usize)>>,
}

impl<'w> Tenant<'w> {
    async fn start(world: &'w World<'w>, common: &'w Common, index: usize) -> Self {
        let id = format!("{CANARY}{index}o-corp");
        let body = json!({ "id": id, "name": format!("{CANARY}{index}o Corporation"), "admin": "root" });
        let made = world.post("petra", "/api/v1/admin/tenants", body).await.expect(201);
        let numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1));
        let mut tenant = Self {
            world,
            index,
            key: Secret::new(made.get("/key/secret")),
            admin: made.get("/admin/id"),
            agent: String::new(),
            canary: format!("{CANARY}{index}i"),
            numbers,
            made: 0,
            has: Default::default(),
            common,
        };
        tenant.has[1].insert(tenant.admin.clone(), 1);
        tenant.has[5].insert(made.get("/key/id"), 1);
        tenant.populate().await;
        tenant
    }

    /// An agent that can be called, and policies that are in force.
    async fn populate(&mut self) {
        let author = json!({ "username": format!("{}-author", self.canary), "roles": ["agent_designer"] });
        let author = self.ask(Ask::post("/api/v1/admin/users", &author)).await.expect(201).get("/id");
        self.own(1, &author, 1);
        let key = json!({ "user_id": author, "name": self.canary });
        let key = self.ask(Ask::post("/api/v1/admin/api-keys", &key)).await.expect(201);
        self.own(5, &key.get("/id"), 1);
        let key = Secret::new(key.get("/secret"));
        let by_author = async |ask: Ask, status: u16| self.world.ask(Some(&key), ask).await.expect(status);
        let agent = by_author(Ask::post("/api/v1/agents", &(KINDS[0].new)(&self.canary, 0)), 201).await.get("/id");
        let definition = json!({ "model": "gpt-4o-mini", "system_prompt": format!("You are {}", self.canary) });
        let version = json!({ "number": "1.0.0", "definition": definition, "changelog": self.canary });
        let version = by_author(Ask::post(format!("/api/v1/agents/{agent}/versions"), &version), 201).await;
        let version = version.header("location").unwrap().to_owned();
        let approval = by_author(Ask::new(Method::POST, format!("{version}/submit")), 200).await.get("/approval_id");
        self.ask(Ask::new(Method::POST, format!("/api/v1/approvals/{approval}/approve"))).await.expect(200);
        self.ask(Ask::new(Method::POST, format!("{version}/publish"))).await.expect(200);
        self.own(0, &agent, 1);
        self.agent = agent;
        let source = format!("@id(\"own\") @reason(\"{}\") permit (principal, action, resource);", self.canary);
        let policy = json!({ "source": source, "note": self.canary });
        let policy = self.ask(Ask::post("/api/v1/admin/policies", &policy)).await.expect(201).json();
        let activate = format!("/api/v1/admin/policies/{}/activate", policy["number"]);
        self.ask(Ask::new(Method::POST, activate)).await.expect(200);
    }

    fn own(&mut self, kind: usize, id: &str, revision: u64) {
        self.has[kind].insert(id.to_owned(), revision);
        self.common.owners.lock().unwrap().insert(id.to_owned(), (self.index, kind));
    }

    /// The answer to a request of this tenant, in which nothing of another stands.
    async fn ask(&self, ask: Ask) -> Answer {
        let sent = format!("{} {}", ask.path, String::from_utf8_lossy(&ask.body));
        let answer = self.world.ask(Some(&self.key), ask).await;
        self.check(&sent, &answer);
        answer
    }

    fn check(&self, sent: &str, answer: &Answer) {
        assert!(!answer.status.is_server_error(), "{sent}: {}", String::from_utf8_lossy(&answer.body));
        let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        let text = headers.collect::<String>() + &String::from_utf8_lossy(&answer.body);
        let own = self.index.to_string();
        for (at, _) in text.match_indices(CANARY) {
            assert!(text[at + CANARY.len()..].starts_with(&own), "{sent} shows another's canary: {text}");
        }
        let owners = self.common.owners.lock().unwrap();
        for (at, _) in text.match_indices('_') {
            let Some(word) = at.checked_sub(3).and_then(|start| text.get(start..at + 33)) else { continue };
            let foreign = owners.get(word).is_some_and(|(owner, _)| *owner != self.index);
            assert!(!foreign || sent.contains(word), "{sent} shows {word}, which is another's: {text}");
        }
    }

    /// An id of this tenant's, or of another's, or of nobody's; and whether it is its own.
    fn some_id(&mut self, kind: usize) -> (String, bool) {
        let own: Vec<String> = self.has[kind].keys().cloned().collect();
        match self.numbers.below(10) {
            0..6 => match self.numbers.one_of(&own) {
                Some(id) => (id.clone(), true),
                None => (nobodys(kind), false),
            },
            6..9 => {
                let owners = self.common.owners.lock().unwrap();
                let foreign: Vec<String> = owners
                    .iter()
                    .filter(|(_, (owner, of))| *owner != self.index && *of == kind)
                    .map(|(id, _)| id.clone())
                    .take(16)
                    .collect();
                drop(owners);
                (self.numbers.one_of(&foreign).cloned().unwrap_or_else(|| nobodys(kind)), false)
            }
            _ => (nobodys(kind), false),
        }
    }

    async fn step(&mut self) {
        let kind = self.numbers.below(KINDS.len());
        match self.numbers.below(100) {
            0..6 => self.create(kind).await,
            6..14 => self.change(kind).await,
            14..16 => {
                let kind = 2 + self.numbers.below(2);
                self.delete(kind).await;
            }
            16..60 => self.read(kind).await,
            60..70 => self.list(kind).await,
            70..80 => self.provisioned().await,
            80..90 => self.decided().await,
            90..97 => self.looked_around().await,
            97..99 => self.ledger().await,
            _ => self.called().await,
        }
    }

    async fn create(&mut self, kind: usize) {
        if self.has[kind].len() >= KINDS[kind].most {
            return self.read(kind).await;
        }
        self.made += 1;
        let mut body = (KINDS[kind].new)(&self.canary, self.made);
        if kind == 5 {
            body["user_id"] = json!(self.admin);
        }
        let made = self.ask(Ask::post(KINDS[kind].path, &body)).await.expect(201);
        self.own(kind, &made.get(&format!("/{}", KINDS[kind].id)), 1);
    }

    async fn change(&mut self, kind: usize) {
        let (id, own) = self.some_id(kind);
        let revision = self.has[kind].get(&id).copied().unwrap_or(1);
        let stale = self.numbers.below(4) == 0;
        self.made += 1;
        let tag = format!("\"{}\"", if stale { revision + 1 } else { revision });
        let ask = Ask::new(Method::PATCH, format!("{}/{id}", KINDS[kind].path)).with("if-match", tag);
        let answer = self.ask(ask.json(&(KINDS[kind].change)(&self.canary, self.made))).await;
        let expected = match (own, stale) {
            (false, _) => 404,
            (true, true) => 412,
            (true, false) => 200,
        };
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.text());
        if expected == 200 {
            self.has[kind].insert(id, revision + 1);
        }
    }

    async fn delete(&mut self, kind: usize) {
        assert!(KINDS[kind].deletable);
        let (id, own) = self.some_id(kind);
        let revision = self.has[kind].get(&id).copied().unwrap_or(1);
        let ask = Ask::new(Method::DELETE, format!("{}/{id}", KINDS[kind].path));
        let answer = self.ask(ask.with("if-match", format!("\"{revision}\""))).await;
        assert_eq!(answer.status.as_u16(), if own { 204 } else { 404 }, "{}", answer.text());
        self.has[kind].remove(&id);
    }

    async fn read(&mut self, kind: usize) {
        let (id, own) = self.some_id(kind);
        let answer = self.ask(Ask::get(format!("{}/{id}", KINDS[kind].path))).await;
        if !own {
            assert_eq!(answer.status, 404, "{id}");
            return;
        }
        let shown = answer.expect(200).json();
        assert_eq!(shown[KINDS[kind].id], id);
        assert_eq!(shown["revision"].as_u64(), self.has[kind].get(&id).copied());
    }

    async fn list(&mut self, kind: usize) {
        let page = self.ask(Ask::get(format!("{}?limit=1000", KINDS[kind].path))).await.expect(200).json();
        let items = page["items"].as_array().unwrap().iter().filter(|item| item["is_system"] != true);
        let listed: BTreeSet<&str> = items.map(|item| item[KINDS[kind].id].as_str().unwrap()).collect();
        assert_eq!(listed, self.has[kind].keys().map(String::as_str).collect());
    }

    /// What a directory sees.
    async fn provisioned(&mut self) {
        let kind = 1 + self.numbers.below(2);
        let place = ["Users", "Groups"][kind - 1];
        if self.numbers.below(4) == 0 {
            let list = self.ask(Ask::get(format!("/scim/v2/{place}?count=3"))).await.expect(200).json();
            assert_eq!(list["totalResults"].as_u64().unwrap(), self.has[kind].len() as u64);
            return;
        }
        let (id, own) = self.some_id(kind);
        if self.numbers.below(2) == 0 {
            let found = self.ask(Ask::get(format!("/scim/v2/{place}?filter=id%20eq%20%22{id}%22"))).await.expect(200);
            assert_eq!(found.json()["totalResults"], u64::from(own));
        } else {
            let answer = self.ask(Ask::get(format!("/scim/v2/{place}/{id}"))).await;
            assert_eq!(answer.status.as_u16(), if own { 200 } else { 404 });
        }
    }

    /// What would be decided about somebody.
    async fn decided(&mut self) {
        let (user, own) = self.some_id(1);
        if self.numbers.below(2) == 0 {
            let ask = json!({
                "subject": { "type": "user", "id": user },
                "action": { "name": "agent:read" },
                "resource": { "type": "agent", "id": self.agent },
            });
            let decision = self.ask(Ask::post("/access/v1/evaluation", &ask)).await.expect(200).json();
            assert_eq!(decision["decision"], own, "{decision}");
        } else {
            let path = format!("/api/v1/admin/users/{user}/explain?permission=agent:read&resource={}", self.agent);
            assert_eq!(self.ask(Ask::get(path)).await.status.as_u16(), if own { 200 } else { 404 });
        }
    }

    async fn looked_around(&mut self) {
        let path = self.numbers.one_of(&[
            "/api/v1/me",
            "/api/v1/me/permissions",
            "/api/v1/approvals",
            "/api/v1/usage",
            "/api/v1/admin/policies",
            "/api/v1/admin/policies/state",
            "/api/v1/admin/sessions",
            "/api/v1/admin/prices",
            "/v1/models",
            "/api/v1/system",
        ]);
        let path = *path.unwrap();
        self.ask(Ask::get(path)).await.expect(200);
    }

    async fn ledger(&mut self) {
        let entries = self.ask(Ask::get("/api/v1/audit/entries?limit=20")).await.expect(200).json();
        let entries = entries["items"].as_array().unwrap();
        assert!(!entries.is_empty());
    }

    /// A model call; to another's agent, or to one that has nothing published.
    async fn called(&mut self) {
        let (agent, _) = self.some_id(0);
        let messages = json!([{ "role": "user", "content": format!("Hello from {}", self.canary) }]);
        let ask = Ask::post("/v1/chat/completions", &json!({ "model": agent, "messages": messages }));
        let answer = self.ask(ask).await;
        assert!(answer.status.is_client_error() || answer.status == 200, "{}", answer.text());
    }
}

/// What has the form of an id, and is nobody's.
fn nobodys(kind: usize) -> String {
    let zeros = "0".repeat(32);
    match kind {
        0 => format!("agt_{zeros}"),
        1 => format!("usr_{zeros}"),
        2 => format!("grp_{zeros}"),
        3 => "no-such-role".to_owned(),
        4 => format!("bud_{zeros}"),
        _ => "AAAAAAAAAAAA".to_owned(),
    }
}

#[test]
fn nothing_of_one_tenant_is_ever_in_anothers_answers() {
    on_both_engines(async |world| {
        let operations = OPERATIONS.iter().find(|(engine, _)| *engine == world.tester.engine).unwrap().1;
        let common = Common::default();
        let mut tenants = Vec::new();
        for index in 0..TENANTS {
            tenants.push(Tenant::start(world, &common, index).await);
        }
        join_all(tenants.iter_mut().map(async |tenant| {
            for _ in 0..operations / TENANTS {
                tenant.step().await;
            }
        }))
        .await;
        for path in ["/metrics", "/healthz", "/openapi.json"] {
            let answer = world.ask(None, Ask::get(path)).await.expect(200);
            assert!(!answer.text().contains(CANARY), "{path}: {}", answer.text());
        }
        // The platform knows the tenants by name, and nothing of what is in them.
        let list = world.get("petra", "/api/v1/admin/tenants?limit=1000").await.expect(200);
        for index in 0..TENANTS {
            assert!(list.text().contains(&format!("{CANARY}{index}o")));
            assert!(!list.text().contains(&format!("{CANARY}{index}i")));
        }
    });
}

/// All that an answer says, without what names the request itself.
fn told(answer: &Answer, things: &Things) -> String {
    let request = answer.header("x-request-id").unwrap().to_owned();
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id" && *name != "taskforce-entry")
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let body = things.ids().into_iter().fold(answer.text().to_owned(), |text, id| text.replace(id, "«id»"));
    format!("{}\n{}\n\n{}", answer.status, headers.join("\n"), body.replace(&request, "«request»"))
}

#[test]
fn what_does_not_exist_and_what_is_not_ones_own_get_the_same_answer() {
    on_both_engines(async |world| {
        let (things, nothing) = (Things::of(world).await, Things::nowhere());
        for operation in all().into_iter().filter(Operation::is_about_something) {
            let foreign = world.send("gina", things.ask(&operation)).await;
            let missing = world.send("gina", nothing.ask(&operation)).await;
            assert_eq!(told(&foreign, &things), told(&missing, &nothing), "{}", operation.id);
        }
    });
}
