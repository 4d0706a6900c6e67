//! What raw SQL, sent as the application would, cannot do either.

use std::error::Error;

use catalog::PublishError;
use store::StoreError;
use testkit::{Tester, on_both_engines};

use crate::given::{ACME, agent, approved, draft, people, publish, running, submitted};

/// The schema itself refused it, by a constraint, a trigger, or a right that the application does not have.
fn refused(t: &Tester, statement: &str) {
    let error = t.raw(ACME, statement).expect_err(statement);
    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let refused = matches!(error, StoreError::Conflict(_)) || reason.contains("permission denied for table");
    assert!(refused, "{}: {statement}: {reason}", t.engine);
}

#[test]
fn the_schema_refuses_a_second_published_version() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let one = approved(t, &who, &agent.id, "1.0.0");
        let two = approved(t, &who, &agent.id, "2.0.0");
        publish(t, &who.alice, &one.id).unwrap();
        refused(t, &format!("UPDATE versions SET status = 'published' WHERE version_id = '{}'", two.id));
        assert_eq!(running(t, &who.vera).unwrap().len(), 1);
    });
}

#[test]
fn the_schema_refuses_to_change_what_was_submitted() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        submitted(t, &who.alice, &agent.id, "1.0.0");
        for change in
            ["definition = '{}'", "digest = 'x'", "number = '9.9.9'", "author_ids = 'usr_x'", "changelog = ''"]
        {
            refused(t, &format!("UPDATE versions SET {change}"));
        }
        refused(t, "UPDATE versions SET status = 'running'");
        draft(t, &who.alice, &agent.id, "2.0.0");
        refused(t, "UPDATE versions SET number = '1.0.0' WHERE number = '2.0.0'");
        refused(t, &format!("DELETE FROM agents WHERE agent_id = '{}'", agent.id));
    });
}

#[test]
fn what_was_altered_in_the_database_after_its_approval_does_not_run() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = approved(t, &who, &agent.id, "1.0.0");
        // Somebody with the rights of the application writes around the triggers, by way of a draft.
        let alter = |content: &str, status: &str| {
            t.raw(ACME, "UPDATE versions SET status = 'draft'").unwrap();
            t.raw(ACME, &format!("UPDATE versions SET {content}")).unwrap();
            t.raw(ACME, &format!("UPDATE versions SET status = '{status}'")).unwrap();
        };
        let evil = crate::given::with_tools(&["delete_everything"]);
        let (definition, digest) = (evil.canonical(), evil.digest());
        alter(&format!("definition = '{definition}'"), "approved");
        let error = publish(t, &who.alice, &version.id).unwrap_err();
        assert!(matches!(error, PublishError::Database(_)), "{error}");
        alter(&format!("definition = '{definition}', digest = '{digest}'"), "approved");
        let error = publish(t, &who.alice, &version.id).unwrap_err();
        assert!(matches!(error, PublishError::NotApproved), "{error}");
        alter(&format!("digest = '{}'", version.digest), "published");
        let error = running(t, &who.vera).unwrap_err();
        assert_eq!(error.to_string(), "a stored value is not the definition that its digest names");
    });
}
