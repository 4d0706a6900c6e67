//! A gateway before a model server, an agent that can be called, and guards that do what a test says.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::approvals::{Decision, Followers, RequestType, Verdict as Vote};
use authz::{Actor, Basis, Caller, Guard, Judgment, Permission, Permissions, Question, Role, Standing, Verdict};
use catalog::{Definition, NewAgent, NewVersion, Prose, Tags};
use gateway::{Asked, Body, ChatError, Gateway, UpstreamConfig, Upstreams};
use http::Response;
use http_body_util::BodyExt as _;
use kernel::{AgentId, PageSize, ReviewId, Secret, Text, UserId};
use serde_json::{Value, json};
use testkit::Tester;
use testkit::upstream::Upstream;
use tokio::task::block_in_place;
use usage::Purse;

pub(crate) const ACME: &str = "acme-corp";

/// A tenant whose agent answers customers with two tools, and whose data is confidential.
pub(crate) struct World<'t> {
    pub(crate) tester: &'t Tester,
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) agent: AgentId,
    pub(crate) digest: String,
    pub(crate) bob: Caller,
    pub(crate) carol: Caller,
    auditor: Caller,
}

/// Runs `test` in a world of its own on each engine.
#[expect(clippy::needless_pass_by_value, reason = "a test reads better without the reference")]
pub(crate) fn on_both_engines(test: impl AsyncFn(&World<'_>)) {
    testkit::on_both_engines(|tester| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::start(tester).await;
            test(&world).await;
        });
    });
}

/// One entry of the gateway: its leaf and its payload.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) seq: u64,
    pub(crate) what: String,
    pub(crate) policy: Value,
    pub(crate) payload: Value,
}

impl<'t> World<'t> {
    async fn start(tester: &'t Tester) -> Self {
        let upstream = Upstream::start().await;
        let (agent, digest) = block_in_place(|| published(tester));
        let config = UpstreamConfig {
            name: "fake".to_owned(),
            url: upstream.url(),
            key: Some(Secret::new("sk-upstream".to_owned())),
            models: vec!["gpt-*".to_owned()],
            allow_private: true,
        };
        let client = outbound::Client::new(outbound::Trust::Nobody).unwrap();
        let upstreams = Upstreams::new(&[config], client, Duration::from_secs(30)).unwrap();
        let purse = Purse::new(tester.moment().id());
        let (gateway, sequencer) = block_in_place(|| Gateway::new(tester.db.clone(), upstreams, purse)).unwrap();
        std::thread::spawn(move || sequencer.run());
        block_in_place(|| Self {
            tester,
            upstream,
            gateway,
            agent,
            digest,
            bob: tester.user(ACME, "bob", [Role::Admin]),
            carol: tester.user(ACME, "carol", [Role::Admin]),
            auditor: tester.user(ACME, "adam", [Role::Auditor]),
        })
    }

    /// Somebody with a row of their own, who runs agents.
    pub(crate) fn somebody(&self, roles: &[Role]) -> Caller {
        let id: UserId = self.tester.moment().id();
        let name = id.as_str().strip_prefix("usr_").unwrap();
        block_in_place(|| self.tester.user(ACME, name, roles.iter().copied().collect::<authz::Roles>()))
    }

    /// An operator, without policies.
    pub(crate) fn olivia(&self) -> Caller {
        self.somebody(&[Role::Operator])
    }

    /// An operator over whom `guard` watches.
    pub(crate) fn guarded(&self, guard: &Arc<Says>) -> Caller {
        watched(&self.olivia(), guard)
    }

    pub(crate) async fn chat(&self, caller: &Caller, body: &Value) -> Result<Response<Body>, ChatError> {
        let body = body.to_string();
        Arc::clone(&self.gateway).chat(Asked { caller, agent: None, body: body.as_bytes() }).await
    }

    /// The same, and the whole of the answer.
    pub(crate) async fn answer(&self, caller: &Caller, body: &Value) -> Result<String, ChatError> {
        let response = self.chat(caller, body).await?;
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// What goes into a call, at least.
    pub(crate) fn hello(&self) -> Value {
        json!({ "model": self.agent.as_str(), "messages": [{ "role": "user", "content": "Hello" }] })
    }

    pub(crate) fn with(&self, fields: &Value) -> Value {
        let mut body = self.hello();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    }

    /// What the upstream was sent last.
    pub(crate) fn forwarded(&self) -> Value {
        serde_json::from_slice(&self.upstream.received().last().unwrap().body).unwrap()
    }

    /// What the gateway has written into the ledger, oldest first.
    pub(crate) fn entries(&self) -> Vec<Kept> {
        let query = audit::Query {
            action: Some("gateway.".to_owned()),
            order: audit::Order::OldestFirst,
            size: PageSize::new(50).unwrap(),
            ..audit::Query::default()
        };
        block_in_place(|| {
            let listed = audit::entries(&self.tester.db, &self.tester.again(&self.auditor), &query).unwrap();
            listed.items.into_iter().map(|entry| self.kept(&entry)).collect()
        })
    }

    fn kept(&self, entry: &audit::EntryView) -> Kept {
        let read = audit::entry(&self.tester.db, &self.tester.again(&self.auditor), entry.seq).unwrap();
        let leaf: Value = serde_json::from_slice(&entry.leaf).unwrap();
        Kept {
            seq: entry.seq,
            what: format!("{} {}", entry.action, entry.outcome),
            policy: leaf.get("policy").cloned().unwrap_or_default(),
            payload: serde_json::from_slice(&read.payload.unwrap().bytes).unwrap(),
        }
    }

    pub(crate) fn approve(&self, who: &Caller, id: &ReviewId) -> Result<(), ::approvals::DecideError> {
        let (followers, yes) =
            (Followers::new(), Decision { request: id.clone(), verdict: Vote::Approve, comment: None });
        let (who, moment) = (self.tester.again(who), self.tester.moment());
        block_in_place(|| ::approvals::decide(&self.tester.db, &who, yes, &followers, &moment)).map(|_| ())
    }
}

/// An agent with one published version, and that version's digest.
fn published(t: &Tester) -> (AgentId, String) {
    let (alice, bob) = (t.user(ACME, "alice", [Role::AgentDesigner]), t.user(ACME, "bob", [Role::Admin]));
    let definition = json!({
        "model": "gpt-4o-mini", "tools": ["search", "send_email"], "data_class": "confidential",
        "parameters": { "max_tokens": 200 },
    });
    let new = NewAgent {
        name: Text::new("Customer Support").unwrap(),
        description: Prose::default(),
        category: None,
        tags: Tags::default(),
    };
    let agent = catalog::create_agent(&t.db, &t.again(&alice), new, &t.moment()).unwrap().id;
    let new = NewVersion {
        number: "1.2.0".parse().unwrap(),
        definition: Definition::new(&definition).unwrap(),
        changelog: Prose::default(),
    };
    let version = catalog::create_version(&t.db, &t.again(&alice), &agent, new, &t.moment()).unwrap();
    let version = catalog::submit(&t.db, &t.again(&alice), &version.id, &t.moment()).unwrap();
    let yes = Decision { request: version.review.unwrap(), verdict: Vote::Approve, comment: None };
    let followers = Followers::new().on(RequestType::AgentPublish, catalog::follow_decision);
    ::approvals::decide(&t.db, &t.again(&bob), yes, &followers, &t.moment()).unwrap();
    let version = catalog::publish(&t.db, &t.again(&alice), &version.id, &t.moment()).unwrap();
    (agent, version.digest)
}

/// The same person, over whom `guard` watches.
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
pub(crate) fn watched(caller: &Caller, guard: &Arc<Says>) -> Caller {
    let guard: Arc<dyn Guard> = Arc::<Says>::clone(guard);
    let standing = Standing { guard: Some(guard), ..caller.standing().clone() };
    Caller::authenticated(standing, caller.request().clone())
}

/// The same person, with a credential that `maker` made.
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
pub(crate) fn issued_by(caller: &Caller, maker: &Caller) -> Caller {
    let standing =
        Standing { issued_by: caller.standing().issued_by.and(&maker.actor().id), ..caller.standing().clone() };
    Caller::authenticated(standing, caller.request().clone())
}

/// The same person, acting by a key without roles' permissions beyond `scopes`.
#[expect(clippy::disallowed_methods, reason = "stands in for the identity crate")]
pub(crate) fn narrowed(caller: &Caller, scopes: Permissions) -> Caller {
    let actor = Actor { via: None, ..caller.actor().clone() };
    Caller::authenticated(Standing { actor, ..caller.standing().clone() }.narrowed(scopes), caller.request().clone())
}

type Rule = Box<dyn Fn(&Question<'_>) -> Verdict + Send + Sync>;

/// Policies in a function. They govern running agents and calling tools, and remember what they were asked.
pub(crate) struct Says {
    rule: Rule,
    governs: Permissions,
    shadow: Option<Verdict>,
    asked: Mutex<Vec<String>>,
}

impl fmt::Debug for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Says")
    }
}

impl Says {
    pub(crate) fn by(rule: impl Fn(&Question<'_>) -> Verdict + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self::to(rule))
    }

    fn to(rule: impl Fn(&Question<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        let governs = Permissions::NONE.with(Permission::AgentExecute).with(Permission::ToolExecute);
        Self { rule: Box::new(rule), governs, shadow: None, asked: Mutex::default() }
    }

    /// The same word to every call of an agent; tools are not spoken of.
    pub(crate) fn of_calls(verdict: Verdict) -> Arc<Self> {
        let governs = Permissions::NONE.with(Permission::AgentExecute);
        Arc::new(Self { governs, ..Self::to(move |_| verdict.clone()) })
    }

    /// Every call of an agent is allowed, and each tool as `rule` says of its name and arguments.
    pub(crate) fn of_tools(rule: impl Fn(&str, &str) -> Verdict + Send + Sync + 'static) -> Arc<Self> {
        Self::by(move |question| match (question.facts.tool, question.facts.arguments) {
            (Some(tool), Some(arguments)) => rule(tool, arguments),
            (Some(_), None) | (None, _) => allow(),
        })
    }

    /// Calls are allowed, and a version that is only tried would have said `shadow`.
    pub(crate) fn with_shadow(shadow: Verdict) -> Arc<Self> {
        Arc::new(Self { shadow: Some(shadow), ..Self::to(|_| allow()) })
    }

    /// What was asked: permission, resource and facts, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Guard for Says {
    fn judge(&self, question: &Question<'_>) -> Judgment {
        let Question { caller: _, permission, resource, at: _, facts } = question;
        self.asked.lock().unwrap().push(format!("{permission} {} {facts:?}", resource.unwrap_or_default()));
        let basis = |rule: &str| Some(Basis { version: 3, digest: "d".repeat(64), rule: rule.to_owned() });
        let governed = self.governs.contains(*permission);
        Judgment {
            verdict: if governed { (self.rule)(question) } else { allow() },
            reason: "it says so".to_owned(),
            basis: if governed { basis("the-rule") } else { None },
            shadow: self
                .shadow
                .clone()
                .map(|verdict| Box::new(authz::Shadow { verdict, basis: basis("the-tried-rule") })),
        }
    }

    fn governs(&self, permission: Permission) -> bool {
        self.governs.contains(permission)
    }
}

pub(crate) fn allow() -> Verdict {
    Verdict::Allow(Vec::new())
}

/// How the ledger names the rule of [`Says`].
pub(crate) fn the_rule() -> Value {
    json!({ "id": "policy", "version": 3, "rule": "the-rule", "digest": "d".repeat(64) })
}
