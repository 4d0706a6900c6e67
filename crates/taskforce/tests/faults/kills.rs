//! `kill -9` at random moments under load.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::installation::{Engine, Installation, turn};
use crate::ledger::{Ledger, all, verify};
use crate::load::{Asked, Dice, Load, Mix, Note, asked_for, create_agent};
use crate::upstream::Upstream;
use crate::world::{World, budget, nanos, publish, text};

/// With every change; `TASKFORCE_FAULTS_KILLS` asks for more.
const KILLS: u32 = 50;
const CLIENTS: usize = 16;
/// So often the package is exported and verified, besides at the end.
const EXPORT: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_on_sqlite_lose_nothing_that_was_acknowledged() {
    kill_again_and_again(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_on_postgres_lose_nothing_that_was_acknowledged() {
    let Some(engine) = Engine::postgres() else { return };
    kill_again_and_again(engine).await;
}

async fn kill_again_and_again(engine: Engine) {
    let _turn = turn();
    let mut dice = Dice::thrown("kills");
    let upstream = Upstream::start().await;
    let installation = Installation::set_up(engine, upstream.address);
    let mut server = installation.serve();
    let world = World::create(server.address, &installation.platform).await;
    let mut bob = Client::new(server.address, &world.bob);
    let tight = publish(&mut bob, server.address, &world).await;
    let scope = json!({"type": "agent", "id": tight});
    let trial = budget(&mut bob, &scope, "0.003").await;
    let mut told = Told::default();
    let mut ledger = Ledger::new();
    let kills = asked_for("TASKFORCE_FAULTS_KILLS").unwrap_or(KILLS);
    for round in 1..=kills {
        let load = Load::start(server.address, &world, CLIENTS, &Mix::of(&[&world.agent, &tight]));
        // The random moment is what this is about.
        tokio::time::sleep(Duration::from_millis(dice.between(30, 300))).await;
        server.kill();
        let notes = load.ended().await;
        if round % 3 == 0 {
            // It may die while it closes what its death before left open.
            installation.start_and_kill(Duration::from_millis(dice.between(5, 80))).await;
        }
        server = installation.serve();
        told.recovered += server.recovered;
        let mut alice = Client::new(server.address, &world.alice);
        for note in &notes {
            told.take(note);
        }
        told.ask_again(&mut alice).await;
        let mut adam = Client::new(server.address, &world.adam);
        ledger.catch_up(&mut adam).await;
        told.compare(&ledger);
        let standing = Client::new(server.address, &world.bob).get(&format!("/api/v1/admin/budgets/{trial}")).await;
        let standing = standing.expect(200);
        let (limit, used) = (nanos(&standing, "/limit/amount"), nanos(&standing, "/spent/amount"));
        assert!(used + nanos(&standing, "/held/amount") <= limit, "round {round}: {standing:#}");
        if round % EXPORT == 0 {
            verify(&installation, &mut adam).await;
        }
    }
    told.compare_rows(&mut Client::new(server.address, &world.bob), &ledger, (&tight, &trial)).await;
    println!("{kills} kills: {told}");
    assert!(told.agents.len() > 50 && told.completed > 50 && told.cut > 0 && told.recovered > 0, "{told}");
}

/// Everything that clients were told, over all lives of the server.
#[derive(Debug, Default)]
struct Told {
    /// Agents that exist, by name, with the place of their entry where the answer named it.
    agents: HashMap<String, (String, Option<u64>)>,
    /// Names that were asked for and not answered, since the last look.
    unanswered: Vec<String>,
    /// Calls of which a byte was heard.
    begun: HashSet<String>,
    /// Calls of which all was heard, since the last look.
    whole: HashSet<String>,
    /// How many whole answers, answers cut short, refusals for want of money, calls closed by a start, and repeated
    /// requests whose first had been done already.
    completed: usize,
    cut: usize,
    exhausted: usize,
    recovered: u64,
    replayed: usize,
}

impl Told {
    fn take(&mut self, Note { asked, heard }: &Note) {
        match (asked, heard.status, heard.complete) {
            (Asked::Agent(name), Some(201), true) => {
                let id = text(&heard.json(), "/id");
                assert!(heard.entry().is_some(), "{heard}");
                self.agents.insert(name.clone(), (id, heard.entry()));
            }
            (Asked::Agent(name), None | Some(201), false) => self.unanswered.push(name.clone()),
            (Asked::Call, Some(200), _) => {
                let call = heard.call().expect("an answer names its call");
                self.begun.insert(call.clone());
                if heard.is_whole_answer() {
                    self.completed += 1;
                    self.whole.insert(call);
                } else {
                    self.cut += 1;
                }
            }
            (Asked::Call, Some(429), _) => self.exhausted += 1,
            (Asked::Call, None, false) => {}
            _ => panic!("{asked:?} was answered with {heard}"),
        }
    }

    /// Asks again for what was not answered: with the same key, it is there once.
    async fn ask_again(&mut self, alice: &mut Client) {
        for name in std::mem::take(&mut self.unanswered) {
            let again = create_agent(alice, &name).await;
            let agent = text(&again.expect(201), "/id");
            self.replayed += usize::from(again.header("idempotency-replayed").is_some());
            self.agents.insert(name, (agent, again.entry()));
        }
    }

    /// What clients were told is in the ledger.
    fn compare(&mut self, ledger: &Ledger) {
        for (name, (agent, entry)) in &self.agents {
            let Some(seq) = entry else { continue };
            let Some(entry) = usize::try_from(*seq).ok().and_then(|seq| ledger.entries.get(seq)) else {
                // Younger than the signed head that was read.
                continue;
            };
            assert_eq!((&*entry.action, &entry.resource), ("catalog.agent.created", agent), "{name}, entry {seq}");
        }
        let calls = ledger.calls();
        for call in &self.begun {
            assert_eq!(calls.get(&**call).map(|call| call.requested), Some(1), "{call} was answered, not recorded");
        }
        for call in &self.whole {
            assert_eq!(calls.get(&**call).map(|call| &*call.ends), Some(&["completed".to_owned()][..]), "{call}");
        }
        for (id, call) in &calls {
            assert_eq!((call.requested, call.ends.len()), (1, 1), "{id}: {call:?}");
        }
    }

    /// What clients were told is in the tables, too, and every call is charged once.
    async fn compare_rows(&self, bob: &mut Client, ledger: &Ledger, (tight, trial): (&str, &str)) {
        let listed = all(bob, "/api/v1/agents").await;
        let mut listed: Vec<(String, String)> =
            listed.iter().map(|agent| (text(agent, "/name"), text(agent, "/id"))).collect();
        listed.retain(|(name, _)| name != "Support");
        let mut told: Vec<(String, String)> =
            self.agents.iter().map(|(name, (id, _))| (name.clone(), id.clone())).collect();
        listed.sort();
        told.sort();
        assert_eq!(listed, told);

        let records = all(bob, "/api/v1/usage/records").await;
        let charged: HashSet<String> = records.iter().map(|record| text(record, "/call_id")).collect();
        let recorded: HashSet<String> = ledger.calls().into_keys().map(str::to_owned).collect();
        assert_eq!(charged.len(), records.len(), "a call is charged twice");
        assert_eq!(charged, recorded);
        let of_tight = records.iter().filter(|record| text(record, "/agent_id") == tight);
        let spent: i64 = of_tight.map(|record| nanos(record, "/cost/amount")).sum();
        let standing = bob.get(&format!("/api/v1/admin/budgets/{trial}")).await.expect(200);
        assert_eq!(nanos(&standing, "/spent/amount"), spent, "{standing:#}");
        assert!(spent <= nanos(&standing, "/limit/amount"), "{standing:#}");
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { agents, begun, completed, cut, exhausted, recovered, replayed, .. } = self;
        let (agents, begun) = (agents.len(), begun.len());
        write!(
            f,
            "{agents} agents ({replayed} of them done, not answered, and answered when asked again), {begun} calls \
             begun, {completed} heard whole, {cut} cut short, {exhausted} past the budget, {recovered} closed as unknown"
        )
    }
}
