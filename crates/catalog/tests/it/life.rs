//! From draft to archive.

use approvals::{DecideError, Decision, Refusal, Verdict};
use authz::{Caller, Role};
use catalog::{PublishError, RetireError, Status, SubmitError, UpdateVersionError, VersionPatch};
use kernel::{Text, VersionId};
use serde_json::json;
use testkit::on_both_engines;

use crate::given::{
    ACME, agent, approve, approved, decide, detail, draft, hours, leaves, payload, people, publish, recorded, required,
    running, status, submit, submitted,
};

#[test]
fn a_version_lives_from_draft_to_archive_and_each_step_leaves_one_entry() {
    on_both_engines(|t| {
        let who = people(t);
        required(t, &who.bob, 2);
        let agent = agent(t, &who.alice);
        let first = draft(t, &who.alice, &agent.id, "1.1.0");
        assert_eq!(first.status, Status::Draft);
        let first = submit(t, &who.alice, &first.id).unwrap();
        assert_eq!(first.status, Status::PendingApproval);
        approve(t, &who.bob, &first).unwrap();
        assert_eq!(status(t, &who.vera, &first.id), Status::PendingApproval);
        approve(t, &who.carol, &first).unwrap();
        assert_eq!(status(t, &who.vera, &first.id), Status::Approved);
        assert!(running(t, &who.vera).unwrap().is_empty());
        let first = publish(t, &who.alice, &first.id).unwrap();
        assert_eq!((first.status, first.published_at), (Status::Published, Some(t.moment().now())));

        let shown = catalog::agent(&t.db, &who.vera, &agent.id).unwrap();
        assert_eq!(shown.current.unwrap().number.to_string(), "1.1.0");
        let runs = running(t, &who.vera).unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!((&runs[0].agent_id, &runs[0].version_id), (&agent.id, &first.id));
        assert_eq!(
            (runs[0].digest.as_str(), runs[0].definition.digest()),
            (first.digest.as_str(), first.digest.as_str())
        );
        assert_eq!(runs[0].agent_name, "Customer Support Agent");

        let retired = catalog::deprecate(&t.db, &t.again(&who.alice), &first.id, &t.moment()).unwrap();
        assert_eq!(retired.status, Status::Deprecated);
        assert!(running(t, &who.vera).unwrap().is_empty());
        let archived = catalog::archive(&t.db, &t.again(&who.alice), &first.id, &t.moment()).unwrap();
        assert_eq!(archived.status, Status::Archived);

        let expected = [
            "approvals.workflow.set",
            "catalog.agent.created",
            "catalog.version.created",
            "catalog.version.submitted",
            "approvals.request.decided",
            "approvals.request.approved",
            "catalog.version.published",
            "catalog.version.deprecated",
            "catalog.version.archived",
        ];
        assert_eq!(recorded(t, &who.bob), expected);
        for leaf in &leaves(t, &who.bob)[2..] {
            assert!(leaf.contains(&first.digest), "no digest in {leaf}");
            assert!(!leaf.contains("Customer") && !leaf.contains("ticket"), "clear text in {leaf}");
        }
    });
}

#[test]
fn the_ledger_keeps_sealed_what_an_auditor_will_ask_for() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let one = approved(t, &who, &agent.id, "1.0.0");
        publish(t, &who.alice, &one.id).unwrap();
        let new = crate::given::new_version("1.1.0", &["semantic_search", "send_email", "create_ticket"]);
        let two = catalog::create_version(&t.db, &t.again(&who.alice), &agent.id, new, &t.moment()).unwrap();
        let two = submit(t, &who.alice, &two.id).unwrap();
        let review = two.review.clone().unwrap();
        let decision = Decision {
            request: review.clone(),
            verdict: Verdict::Approve,
            comment: Some(Text::new("Approved after review").unwrap()),
        };
        let followers = crate::given::followers();
        approvals::decide(&t.db, &t.again(&who.bob), decision, &followers, &t.moment()).unwrap();
        publish(t, &who.alice, &two.id).unwrap();

        let submitted = payload(t, &who.bob, "catalog.version.submitted");
        assert_eq!(submitted["changelog"], "Added ticket creation capability");
        assert_eq!(submitted["diff"]["tools_added"], json!(["create_ticket"]));
        assert_eq!((&submitted["diff"]["widens"], &submitted["approval"]), (&json!(true), &json!(review.as_str())));
        let decided = payload(t, &who.bob, "approvals.request.approved");
        assert_eq!(decided["resource"], json!({ "type": "version", "id": two.id.as_str() }));
        assert_eq!(decided["decisions"][0]["user"], "usr_bob");
        assert_eq!(decided["decisions"][0]["comment"], "Approved after review");
        let published = payload(t, &who.bob, "catalog.version.published");
        assert_eq!(published["approvers"], json!(["usr_bob"]));
        assert_eq!(published["previous"], json!({ "id": one.id.as_str(), "digest": one.digest }));
    });
}

#[test]
fn publishing_replaces_what_runs_and_publishing_again_rolls_back() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let one = approved(t, &who, &agent.id, "1.0.0");
        let two = approved(t, &who, &agent.id, "2.0.0");
        publish(t, &who.alice, &one.id).unwrap();
        publish(t, &who.alice, &two.id).unwrap();
        assert_eq!(
            (status(t, &who.vera, &one.id), status(t, &who.vera, &two.id)),
            (Status::Deprecated, Status::Published)
        );
        publish(t, &who.alice, &one.id).unwrap();
        assert_eq!(
            (status(t, &who.vera, &one.id), status(t, &who.vera, &two.id)),
            (Status::Published, Status::Deprecated)
        );
        assert!(matches!(publish(t, &who.alice, &one.id), Err(PublishError::WrongStatus(_))));
        catalog::archive(&t.db, &t.again(&who.alice), &two.id, &t.moment()).unwrap();
        assert!(matches!(publish(t, &who.alice, &two.id), Err(PublishError::WrongStatus(_))));
        assert_eq!(running(t, &who.vera).unwrap().len(), 1);
    });
}

#[test]
fn neither_author_nor_editor_nor_submitter_approves() {
    on_both_engines(|t| {
        let who = people(t);
        let erin = t.user(ACME, "erin", [Role::Admin]);
        let agent = agent(t, &who.alice);
        let version = draft(t, &who.alice, &agent.id, "1.0.0");
        // Bob changes it, carol changes it after him, erin submits it.
        for editor in [&who.bob, &who.carol] {
            catalog::update_version(&t.db, &t.again(editor), &version.id, VersionPatch::default(), &t.moment())
                .unwrap();
        }
        let version = submit(t, &erin, &version.id).unwrap();
        assert_eq!(version.authors.iter().collect::<Vec<_>>(), ["usr_alice", "usr_bob", "usr_carol"]);
        let refusal = |caller: &Caller| {
            let error = approve(t, caller, &version).unwrap_err();
            let DecideError::Refused(refusal) = error else { panic!("{error}") };
            refusal
        };
        for author in [&who.alice, &who.bob, &who.carol] {
            assert_eq!(refusal(author), Refusal::OwnWork);
        }
        assert_eq!(refusal(&erin), Refusal::OwnRequest);
        assert_eq!(status(t, &who.vera, &version.id), Status::PendingApproval);
        let dave = t.user(ACME, "dave", [Role::AgentDesigner]);
        approve(t, &dave, &version).unwrap();
        assert_eq!(status(t, &who.vera, &version.id), Status::Approved);
    });
}

#[test]
fn what_was_submitted_is_never_edited() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = submitted(t, &who.alice, &agent.id, "1.0.0");
        let refused = |expected| {
            let edited =
                catalog::update_version(&t.db, &t.again(&who.alice), &version.id, VersionPatch::default(), &t.moment());
            let Err(UpdateVersionError::WrongStatus(wrong)) = edited else { panic!("{edited:?}") };
            assert_eq!(wrong.status, expected);
        };
        refused(Status::PendingApproval);
        approve(t, &who.bob, &version).unwrap();
        refused(Status::Approved);
        publish(t, &who.alice, &version.id).unwrap();
        refused(Status::Published);
        assert_eq!(detail(t, &who.vera, &version.id).definition.digest(), version.digest);
    });
}

#[test]
fn a_rejected_or_cancelled_version_is_a_draft_again() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = submitted(t, &who.alice, &agent.id, "1.0.0");
        decide(t, &who.bob, version.review.as_ref().unwrap(), Verdict::Reject).unwrap();
        assert_eq!(status(t, &who.vera, &version.id), Status::Draft);
        assert!(matches!(publish(t, &who.alice, &version.id), Err(PublishError::WrongStatus(_))));

        let version = submit(t, &who.alice, &version.id).unwrap();
        let review = version.review.unwrap();
        approvals::cancel(&t.db, &t.again(&who.alice), &review, &crate::given::followers(), &t.moment()).unwrap();
        assert_eq!(status(t, &who.vera, &version.id), Status::Draft);

        let version = submit(t, &who.alice, &version.id).unwrap();
        approve(t, &who.bob, &version).unwrap();
        publish(t, &who.alice, &version.id).unwrap();
    });
}

#[test]
fn a_version_whose_request_expired_is_a_draft_again_by_itself() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = submitted(t, &who.alice, &agent.id, "1.0.0");
        hours(t, 49);
        assert_eq!(status(t, &who.vera, &version.id), Status::Draft);
        let listed =
            catalog::versions(&t.db, &who.vera, &agent.id, &catalog::VersionListing::default(), &t.moment()).unwrap();
        assert_eq!(listed.items[0].status, Status::Draft);
        let late = approve(t, &who.bob, &version).unwrap_err();
        assert!(matches!(late, DecideError::Refused(Refusal::Expired(_))), "{late}");
        assert!(matches!(publish(t, &who.alice, &version.id), Err(PublishError::WrongStatus(_))));
        let edited =
            catalog::update_version(&t.db, &t.again(&who.alice), &version.id, VersionPatch::default(), &t.moment());
        assert_eq!(edited.unwrap().status, Status::Draft);

        // The same without anybody touching the request before.
        let version = submit(t, &who.alice, &version.id).unwrap();
        hours(t, 49);
        let edited =
            catalog::update_version(&t.db, &t.again(&who.alice), &version.id, VersionPatch::default(), &t.moment());
        assert_eq!(edited.unwrap().status, Status::Draft);
        let version = submit(t, &who.alice, &version.id).unwrap();
        hours(t, 49);
        let version = submit(t, &who.alice, &version.id).unwrap();
        approve(t, &who.bob, &version).unwrap();
        publish(t, &who.alice, &version.id).unwrap();
    });
}

#[test]
fn a_version_runs_only_while_those_who_approved_it_may_approve() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = approved(t, &who, &agent.id, "1.0.0");
        assert!(matches!(submit(t, &who.alice, &version.id), Err(SubmitError::WrongStatus(_))));
        t.raw(ACME, "UPDATE users SET roles = 'viewer' WHERE user_id = 'usr_bob'").unwrap();
        assert!(matches!(publish(t, &who.alice, &version.id), Err(PublishError::NotApproved)));
        assert_eq!(status(t, &who.vera, &version.id), Status::Approved);

        let version = submit(t, &who.alice, &version.id).unwrap();
        assert_eq!(version.status, Status::PendingApproval);
        // Bob's role comes back; his approval was for the request before, and counts for that alone.
        t.raw(ACME, "UPDATE users SET roles = 'admin' WHERE user_id = 'usr_bob'").unwrap();
        assert!(matches!(publish(t, &who.alice, &version.id), Err(PublishError::WrongStatus(_))));
        t.raw(ACME, "UPDATE versions SET status = 'approved'").unwrap();
        assert!(matches!(publish(t, &who.alice, &version.id), Err(PublishError::NotApproved)));
        t.raw(ACME, "UPDATE versions SET status = 'pending_approval'").unwrap();
        approve(t, &who.carol, &version).unwrap();
        publish(t, &who.alice, &version.id).unwrap();
    });
}

#[test]
fn an_approval_of_one_version_is_none_of_another() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let one = approved(t, &who, &agent.id, "1.0.0");
        let two = submitted(t, &who.alice, &agent.id, "2.0.0");
        assert_eq!(one.digest, two.digest, "both say the same");
        assert!(matches!(publish(t, &who.alice, &two.id), Err(PublishError::WrongStatus(_))));
        // Even if somebody says in the database that it is approved, and by whom.
        let review = one.review.as_ref().unwrap();
        let forged = format!("UPDATE versions SET status = 'approved', review_id = '{review}' WHERE number = '2.0.0'");
        t.raw(ACME, &forged).unwrap();
        assert!(matches!(publish(t, &who.alice, &two.id), Err(PublishError::NotApproved)));
    });
}

#[test]
fn every_step_needs_its_permission() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = draft(t, &who.alice, &agent.id, "1.0.0");
        let (vera, at) = (&who.vera, &t.moment());
        let new = crate::given::new_agent("X");
        assert!(matches!(catalog::create_agent(&t.db, vera, new, at), Err(catalog::CreateAgentError::Forbidden(_))));
        let patch = catalog::AgentPatch::default();
        let update = catalog::update_agent(&t.db, vera, &agent.id, patch, at);
        assert!(matches!(update, Err(catalog::UpdateAgentError::Forbidden(_))));
        let new = crate::given::new_version("2.0.0", &[]);
        let create = catalog::create_version(&t.db, vera, &agent.id, new, at);
        assert!(matches!(create, Err(catalog::CreateVersionError::Forbidden(_))));
        let update = catalog::update_version(&t.db, vera, &version.id, VersionPatch::default(), at);
        assert!(matches!(update, Err(UpdateVersionError::Forbidden(_))));
        assert!(matches!(submit(t, vera, &version.id), Err(SubmitError::Forbidden(_))));
        assert!(matches!(publish(t, vera, &version.id), Err(PublishError::Forbidden(_))));
        assert!(matches!(catalog::deprecate(&t.db, vera, &version.id, at), Err(RetireError::Forbidden(_))));
        assert!(matches!(catalog::archive(&t.db, vera, &version.id, at), Err(RetireError::Forbidden(_))));
        let adam = t.user(ACME, "adam", [Role::Auditor]);
        let read = catalog::version(&t.db, &adam, &version.id, at);
        assert!(matches!(read, Err(catalog::ReadError::Forbidden(_))));
        let listed = catalog::agents(&t.db, &adam, &catalog::AgentListing::default());
        assert!(matches!(listed, Err(catalog::ReadError::Forbidden(_))));
    });
}

#[test]
fn another_tenant_finds_nothing() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = approved(t, &who, &agent.id, "1.0.0");
        let (eve, at) = (&t.user("globex", "eve", [Role::Admin]), &t.moment());
        assert!(matches!(catalog::agent(&t.db, eve, &agent.id), Err(catalog::ReadError::NotFound { .. })));
        assert!(matches!(catalog::version(&t.db, eve, &version.id, at), Err(catalog::ReadError::NotFound { .. })));
        let listing = catalog::VersionListing::default();
        let listed = catalog::versions(&t.db, eve, &agent.id, &listing, at);
        assert!(matches!(listed, Err(catalog::ReadError::NotFound { .. })));
        assert!(catalog::agents(&t.db, eve, &catalog::AgentListing::default()).unwrap().items.is_empty());
        let patch = catalog::AgentPatch::default();
        let update = catalog::update_agent(&t.db, eve, &agent.id, patch, at);
        assert!(matches!(update, Err(catalog::UpdateAgentError::NotFound(_))));
        let new = crate::given::new_version("2.0.0", &[]);
        let create = catalog::create_version(&t.db, eve, &agent.id, new, at);
        assert!(matches!(create, Err(catalog::CreateVersionError::AgentNotFound(_))));
        let update = catalog::update_version(&t.db, eve, &version.id, VersionPatch::default(), at);
        assert!(matches!(update, Err(UpdateVersionError::NotFound(_))));
        assert!(matches!(submit(t, eve, &version.id), Err(SubmitError::NotFound(_))));
        assert!(matches!(publish(t, eve, &version.id), Err(PublishError::NotFound(_))));
        let unknown: VersionId = t.moment().id();
        assert!(matches!(catalog::deprecate(&t.db, eve, &unknown, at), Err(RetireError::NotFound(_))));
        assert!(matches!(catalog::archive(&t.db, eve, &version.id, at), Err(RetireError::NotFound(_))));
        assert!(running(t, eve).unwrap().is_empty());
        assert_eq!(recorded(t, eve), [""; 0]);
    });
}
