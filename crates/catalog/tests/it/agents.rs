use authz::Role;
use catalog::{AgentListing, AgentPatch, CreateAgentError, NewAgent, Prose, Tags, UpdateAgentError};
use kernel::{PageSize, Text};
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, agent, new_agent, people, recorded};

fn described(name: &str, description: &str, category: &str, tags: &[&str]) -> NewAgent {
    NewAgent {
        name: Text::new(name).unwrap(),
        description: Prose::new(description).unwrap(),
        category: Some(Text::new(category).unwrap()),
        tags: Tags::new(tags.iter().copied()).unwrap(),
    }
}

fn found(t: &Tester, caller: &authz::Caller, listing: &AgentListing) -> Vec<String> {
    let page = catalog::agents(&t.db, caller, listing).unwrap();
    page.items.into_iter().map(|agent| agent.name).collect()
}

fn settings(t: &Tester, settings: &str) {
    t.raw(ACME, &format!("UPDATE tenants SET settings = '{settings}' WHERE tenant_id = '{ACME}'")).unwrap();
}

#[test]
fn an_agent_is_created_shown_and_changed() {
    on_both_engines(|t| {
        let who = people(t);
        let created = agent(t, &who.alice);
        assert_eq!((created.owner.as_str(), created.revision, &created.current), ("usr_alice", 1, &None));
        assert_eq!(catalog::agent(&t.db, &who.vera, &created.id).unwrap(), created);

        let patch = |expected_revision| AgentPatch {
            expected_revision,
            name: Some(Text::new("Helpdesk").unwrap()),
            tags: Some(Tags::default()),
            ..AgentPatch::default()
        };
        let change = |patch| catalog::update_agent(&t.db, &t.again(&who.bob), &created.id, patch, &t.moment());
        t.clock.advance_micros(1_000);
        let changed = change(patch(Some(1))).unwrap();
        assert_eq!((changed.name.as_str(), changed.category.as_str(), changed.revision), ("Helpdesk", "support", 2));
        assert_eq!((changed.created_at, changed.updated_at), (created.created_at, t.moment().now()));
        assert!(matches!(change(patch(Some(1))), Err(UpdateAgentError::Stale(2))));
        assert_eq!(catalog::agent(&t.db, &who.vera, &created.id).unwrap(), changed);
        assert_eq!(
            found(t, &who.vera, &AgentListing { query: Some("help".into()), ..AgentListing::default() }),
            ["Helpdesk"]
        );
        assert_eq!(recorded(t, &who.bob), ["catalog.agent.created", "catalog.agent.updated"]);
        assert!(recorded(t, &who.bob).iter().all(|action| catalog::ACTIONS.contains(&action.as_str())));
    });
}

#[test]
fn agents_are_found_by_category_tag_and_words_alike_on_both_engines() {
    on_both_engines(|t| {
        let who = people(t);
        for new in [
            described("Größen-Berater", "Findet 100 % passende Schuhe", "sales", &["nlp", "de"]),
            described("Refund_Bot", "Pays back", "support", &["nlp_fast", "production"]),
            described("Refundabot", "Pays back, too", "support", &["production"]),
        ] {
            t.clock.advance_micros(2_000);
            catalog::create_agent(&t.db, &t.again(&who.alice), new, &t.moment()).unwrap();
        }
        let by = |category: &str, tag: &str, query: &str| {
            let some = |text: &str| if text.is_empty() { None } else { Some(text.to_owned()) };
            let listing = AgentListing {
                category: some(category),
                tag: some(tag),
                query: some(query),
                ..AgentListing::default()
            };
            found(t, &who.vera, &listing)
        };
        assert_eq!(by("", "", "").len(), 3);
        assert_eq!(by("support", "", ""), ["Refund_Bot", "Refundabot"]);
        assert_eq!(by("Support", "", ""), [""; 0]);
        assert_eq!(by("", "nlp", ""), ["Größen-Berater"]);
        assert_eq!(by("", "nlp_fast", ""), ["Refund_Bot"]);
        assert_eq!(by("", "n%", ""), [""; 0]);
        assert_eq!(by("support", "production", "too"), ["Refundabot"]);
        assert_eq!(by("", "", "GRÖSSEN"), [""; 0]);
        assert_eq!(by("", "", "GRÖßEN"), ["Größen-Berater"]);
        assert_eq!(by("", "", "refund_b"), ["Refund_Bot"]);
        assert_eq!(by("", "", "100 %"), ["Größen-Berater"]);
        assert_eq!(by("", "", "%"), ["Größen-Berater"]);
        assert_eq!(by("", "", "!"), [""; 0]);
        assert_eq!(by("", "", "' OR 1 = 1 --"), [""; 0]);
        assert_eq!(by("", "", "production"), ["Refund_Bot", "Refundabot"]);
    });
}

#[test]
fn agents_come_in_pages() {
    on_both_engines(|t| {
        let who = people(t);
        for number in 1..=5 {
            t.clock.advance_micros(2_000);
            let new = new_agent(&format!("Agent {number}"));
            catalog::create_agent(&t.db, &t.again(&who.alice), new, &t.moment()).unwrap();
        }
        let mut listing = AgentListing { size: PageSize::new(3).unwrap(), ..AgentListing::default() };
        let page = catalog::agents(&t.db, &who.vera, &listing).unwrap();
        assert_eq!(page.items.len(), 3);
        listing.after = page.next;
        let page = catalog::agents(&t.db, &who.vera, &listing).unwrap();
        assert_eq!((page.items.len(), page.next), (2, None));
    });
}

#[test]
fn a_tenant_has_no_more_agents_than_its_setting_allows() {
    on_both_engines(|t| {
        let who = people(t);
        let eve = t.user("globex", "eve", [Role::Admin]);
        settings(t, r#"{"max_agents": 2, "features": []}"#);
        agent(t, &who.alice);
        agent(t, &who.alice);
        let third = || catalog::create_agent(&t.db, &t.again(&who.alice), new_agent("Third"), &t.moment());
        assert!(matches!(third(), Err(CreateAgentError::Quota { limit: 2 })));
        for _ in 0..3 {
            agent(t, &eve);
        }
        settings(t, r#"{"max_agents": "many"}"#);
        assert!(matches!(third(), Err(CreateAgentError::Database(_))), "an error never means allowed");
        settings(t, r#"{"max_agents": null}"#);
        third().unwrap();
    });
}

#[test]
fn the_quota_holds_when_many_create_at_once() {
    on_both_engines(|t| {
        let who = people(t);
        settings(t, r#"{"max_agents": 5}"#);
        let created = std::thread::scope(|scope| {
            let create = || catalog::create_agent(&t.db, &t.again(&who.alice), new_agent("One of many"), &t.moment());
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(create)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).count()
        });
        assert_eq!(created, 5);
    });
}
