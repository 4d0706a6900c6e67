//! What refused requests leave.

use audit::{Query, Refusal, Refusals};
use authz::{Caller, Request, Role};
use kernel::TenantId;
use store::{Outcome, Resource};
use testkit::{Tester, on_both_engines};

use crate::given::adam;

fn refusal() -> Refusal {
    let resource = Some(Resource::new("version", "ver_1"));
    Refusal { action: "catalog.version.publish".to_owned(), resource, problem: "forbidden" }
}

fn refused(t: &Tester, reader: &Caller) -> Vec<audit::EntryView> {
    let query = Query {
        action: Some("request.refused".to_owned()),
        size: kernel::PageSize::new(1_000).unwrap(),
        ..Query::default()
    };
    audit::entries(&t.db, &t.again(reader), &query).unwrap().items
}

#[test]
fn a_refused_request_leaves_one_entry_that_says_what_was_tried() {
    on_both_engines(|t| {
        let (adam, vera) = (adam(t), t.user("acme-corp", "vera", [Role::Viewer]));
        audit::refused(&t.db, &Refusals::default(), &vera, &refusal(), &t.moment()).unwrap();
        let entries = refused(t, &adam);
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].actor.as_str(), entries[0].resource.as_str()), ("usr_vera", "ver_1"));
        assert_eq!(entries[0].outcome, Outcome::Refused.as_str());
        assert_eq!(vera.request().recorded(), Some(entries[0].seq));
        let payload = audit::entry(&t.db, &t.again(&adam), entries[0].seq).unwrap().payload.unwrap();
        assert_eq!(payload.bytes, br#"{"action":"catalog.version.publish","problem":"forbidden"}"#);
    });
}

#[test]
fn a_flood_of_refusals_leaves_a_hundred_entries_and_one_sum() {
    on_both_engines(|t| {
        let (adam, vera, refusals) = (adam(t), t.user("acme-corp", "vera", [Role::Viewer]), Refusals::default());
        for _ in 0..130 {
            audit::refused(&t.db, &refusals, &t.again(&vera), &refusal(), &t.moment()).unwrap();
        }
        assert_eq!(refused(t, &adam).len(), 100);
        audit::flush_refusals(&t.db, &refusals, &t.moment()).unwrap();
        assert_eq!(refused(t, &adam).len(), 100);
        t.clock.advance_micros(60_000_000);
        audit::flush_refusals(&t.db, &refusals, &t.moment()).unwrap();
        audit::flush_refusals(&t.db, &refusals, &t.moment()).unwrap();
        let entries = refused(t, &adam);
        assert_eq!(entries.len(), 101);
        let payload = audit::entry(&t.db, &t.again(&adam), entries[0].seq).unwrap().payload.unwrap();
        assert_eq!(payload.bytes, br#"{"suppressed":30}"#);
    });
}

#[test]
fn what_was_counted_in_the_last_minute_is_not_lost_at_the_end() {
    on_both_engines(|t| {
        let (adam, vera, refusals) = (adam(t), t.user("acme-corp", "vera", [Role::Viewer]), Refusals::default());
        for _ in 0..130 {
            audit::refused(&t.db, &refusals, &t.again(&vera), &refusal(), &t.moment()).unwrap();
        }
        audit::finish_refusals(&t.db, &refusals, &t.moment()).unwrap();
        audit::finish_refusals(&t.db, &refusals, &t.moment()).unwrap();
        let entries = refused(t, &adam);
        assert_eq!(entries.len(), 101);
        let payload = audit::entry(&t.db, &t.again(&adam), entries[0].seq).unwrap().payload.unwrap();
        assert_eq!(payload.bytes, br#"{"suppressed":30}"#);
    });
}

#[test]
fn who_is_not_known_is_recorded_in_the_systems_log() {
    on_both_engines(|t| {
        let adam = adam(t);
        let request = Request::made(&t.moment());
        let refusal = Refusal { action: "GET /api/v1/agents".to_owned(), resource: None, problem: "unauthenticated" };
        audit::refused_anonymous(&t.db, &Refusals::default(), &request, &refusal, &t.moment()).unwrap();
        assert!(refused(t, &adam).is_empty());
        let report = audit::check(&t.db, &TenantId::system(), None).unwrap();
        assert!(report.ok(), "{:?}", report.findings);
        assert_eq!(request.recorded(), Some(report.size - 1));
    });
}
