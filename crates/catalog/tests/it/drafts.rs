//! Creating, changing and comparing versions.

use approvals::Authors;
use catalog::{CreateVersionError, Definition, Prose, Status, UpdateVersionError, VersionListing, VersionPatch};
use kernel::PageSize;
use serde_json::json;
use testkit::on_both_engines;

use crate::given::{ACME, agent, approved, detail, draft, new_version, people, publish, recorded, with_tools};

#[test]
fn a_number_comes_after_every_number_before_it() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        for number in ["0.1.0", "1.0.0-rc.1", "1.0.0", "1.9.0", "1.10.0"] {
            draft(t, &who.alice, &agent.id, number);
        }
        for number in ["1.10.0", "1.9.9", "1.10.0-rc.1", "0.0.1", "1.10.0+build"] {
            let new = new_version(number, &[]);
            let refused = catalog::create_version(&t.db, &t.again(&who.alice), &agent.id, new, &t.moment());
            let Err(CreateVersionError::NotGreater(latest)) = refused else { panic!("{number}: {refused:?}") };
            assert_eq!(latest.to_string(), "1.10.0");
        }
        let other = crate::given::agent(t, &who.alice);
        draft(t, &who.alice, &other.id, "0.1.0");
    });
}

#[test]
fn versions_come_in_pages() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        for number in 1..=5 {
            t.clock.advance_micros(2_000);
            draft(t, &who.alice, &agent.id, &format!("1.{number}.0"));
        }
        let mut listing = VersionListing { size: PageSize::new(2).unwrap(), ..VersionListing::default() };
        let mut numbers = Vec::new();
        loop {
            let page = catalog::versions(&t.db, &who.vera, &agent.id, &listing, &t.moment()).unwrap();
            numbers.extend(page.items.into_iter().map(|version| version.number.to_string()));
            let Some(next) = page.next else { break };
            listing.after = Some(next);
        }
        assert_eq!(numbers, ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"]);
    });
}

#[test]
fn a_draft_is_changed_from_what_it_was() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = draft(t, &who.alice, &agent.id, "1.0.0");
        let patch = |expected_revision, tools: &[&str]| VersionPatch {
            expected_revision,
            definition: Some(with_tools(tools)),
            changelog: Some(Prose::new("Fewer tools").unwrap()),
        };
        let change = |patch| catalog::update_version(&t.db, &t.again(&who.bob), &version.id, patch, &t.moment());
        let changed = change(patch(Some(1), &["semantic_search"])).unwrap();
        assert_eq!((changed.revision, changed.changelog.as_str()), (2, "Fewer tools"));
        assert_eq!(changed.digest, with_tools(&["semantic_search"]).digest());
        assert_eq!(changed.authors, Authors::of("usr_alice").and("usr_bob").unwrap());
        assert!(matches!(change(patch(Some(1), &[])), Err(UpdateVersionError::Stale(2))));
        let shown = detail(t, &who.vera, &version.id);
        assert_eq!((shown.version, shown.definition), (changed, with_tools(&["semantic_search"])));
        let kept = change(VersionPatch::default()).unwrap();
        assert_eq!((kept.changelog.as_str(), kept.revision), ("Fewer tools", 3));
        assert_eq!(recorded(t, &who.bob)[2..], ["catalog.version.updated", "catalog.version.updated"]);
    });
}

#[test]
fn a_version_has_no_more_authors_than_the_database_can_refuse() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let version = draft(t, &who.alice, &agent.id, "1.0.0");
        let authors: Vec<String> = (0..Authors::MAX).map(|n| format!("usr_{n:032x}")).collect();
        t.raw(ACME, &format!("UPDATE versions SET author_ids = '{}'", authors.join(","))).unwrap();
        let edited =
            catalog::update_version(&t.db, &t.again(&who.bob), &version.id, VersionPatch::default(), &t.moment());
        assert!(matches!(edited, Err(UpdateVersionError::TooManyAuthors)), "{edited:?}");
        let submitted = crate::given::submit(t, &who.alice, &version.id).unwrap();
        crate::given::approve(t, &who.bob, &submitted).unwrap();
        assert_eq!(detail(t, &who.vera, &version.id).version.status, Status::Approved);
    });
}

#[test]
fn a_version_is_shown_with_what_it_changes() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let one = approved(t, &who, &agent.id, "1.0.0");
        let first = detail(t, &who.vera, &one.id);
        assert_eq!((first.compared_with, first.diff.tools_added.len()), (None, 2));

        // While nothing runs, the version before by number; then, whatever runs.
        let create = |number, tools: &[&str]| {
            let new = new_version(number, tools);
            catalog::create_version(&t.db, &t.again(&who.alice), &agent.id, new, &t.moment()).unwrap()
        };
        let two = create("1.1.0", &["semantic_search", "send_email", "create_ticket"]);
        let three = create("1.2.0", &["semantic_search"]);
        let against = |id| detail(t, &who.vera, id).compared_with.unwrap().to_string();
        assert_eq!((against(&two.id), against(&three.id)), ("1.0.0".to_owned(), "1.1.0".to_owned()));
        publish(t, &who.alice, &one.id).unwrap();
        assert_eq!(against(&three.id), "1.0.0");

        let two = detail(t, &who.vera, &two.id);
        assert_eq!(two.diff.tools_added, ["create_ticket"]);
        assert!(two.diff.widens());
        let three = detail(t, &who.vera, &three.id);
        assert_eq!(three.diff.tools_removed, ["send_email"]);
        assert!(!three.diff.widens());
    });
}

#[test]
fn a_definition_of_the_largest_size_is_kept_and_runs() {
    on_both_engines(|t| {
        let who = people(t);
        let agent = agent(t, &who.alice);
        let prompt = "ä".repeat((catalog::MAX_DEFINITION - 20) / 2);
        let definition = Definition::new(&json!({ "system_prompt": prompt })).unwrap();
        assert!(definition.canonical().len() > catalog::MAX_DEFINITION - 4);
        let new = catalog::NewVersion { definition: definition.clone(), ..new_version("1.0.0", &[]) };
        let version = catalog::create_version(&t.db, &who.alice, &agent.id, new, &t.moment()).unwrap();
        let version = crate::given::submit(t, &who.alice, &version.id).unwrap();
        crate::given::approve(t, &who.bob, &version).unwrap();
        publish(t, &who.alice, &version.id).unwrap();
        let runs = crate::given::running(t, &who.vera).unwrap();
        assert_eq!(runs[0].definition, definition);
        assert_eq!(runs[0].definition.system_prompt(), Some(prompt.as_str()));
    });
}
