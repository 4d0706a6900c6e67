//! Every state that a request can come to, searched to the end.

use std::collections::{BTreeSet, HashSet};

use authz::Role;
use kernel::{FixedMoment, ReviewId};

use super::*;
use crate::{Authors, RequestType};

const CREATED: Timestamp = Timestamp::from_micros(1_000);
const EXPIRES: Timestamp = Timestamp::from_micros(2_000);
const BEFORE: Timestamp = Timestamp::from_micros(1_500);

/// A request, the time, and which of the three approvers still has the role.
#[derive(Clone)]
struct World {
    request: Request,
    now: Timestamp,
    demoted: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Decide(&'static str, Verdict),
    Cancel,
    LetTimePass,
    Demote(&'static str),
    Restore(&'static str),
}

const PEOPLE: [&str; 8] = ["requester", "author", "editor", "a", "b", "c", "outsider", "service"];
const APPROVERS: [&str; 3] = ["a", "b", "c"];

fn request(required: u32) -> Request {
    let id: ReviewId = FixedMoment::new(1).moment().id();
    Request {
        id,
        kind: RequestType::AgentPublish,
        resource_kind: "version".to_owned(),
        resource_id: "ver_1".to_owned(),
        about: "agt_1".to_owned(),
        digest: "digest".to_owned(),
        title: "Publish".to_owned(),
        description: String::new(),
        requester: "requester".to_owned(),
        authors: Authors::of("author").and("editor").unwrap(),
        workflow: None,
        workflow_revision: 0,
        quorum: Quorum::new(required, [Role::Admin].into()).unwrap(),
        status: Status::Pending,
        created_at: CREATED,
        expires_at: EXPIRES,
        decided_at: None,
        revision: 1,
        decisions: Vec::new(),
    }
}

impl World {
    fn person(&self, id: &'static str) -> Person {
        let kind = if id == "service" { ActorKind::Service } else { ActorKind::User };
        let role = if id == "outsider" || self.demoted.contains(id) { Role::Viewer } else { Role::Admin };
        Person {
            id: id.to_owned(),
            kind,
            active: true,
            roles: [role].into(),
            allowed: role.permissions(),
            hands: BTreeSet::new(),
        }
    }

    fn people(&self) -> Vec<Person> {
        PEOPLE.into_iter().map(|id| self.person(id)).collect()
    }

    /// The world after `act`; `None` if the rules refuse it.
    fn after(&self, act: Act) -> Option<Self> {
        let mut world = self.clone();
        match act {
            Act::Decide(id, verdict) => {
                may_decide(&self.request, &self.person(id), self.now).ok()?;
                let decided = Decided { user: id.to_owned(), verdict, comment: String::new(), at: self.now };
                world.request = decide(self.request.clone(), decided);
            }
            Act::Cancel if status_at(self.request.status, EXPIRES, self.now) == Status::Pending => {
                world.request = end(self.request.clone(), Status::Cancelled, self.now);
            }
            Act::Cancel => return None,
            Act::LetTimePass => world.now = EXPIRES,
            Act::Demote(id) => drop(world.demoted.insert(id)),
            Act::Restore(id) => drop(world.demoted.remove(id)),
        }
        Some(world)
    }

    fn key(&self) -> String {
        let mut decisions: Vec<(&str, Verdict)> =
            self.request.decisions.iter().map(|decided| (decided.user.as_str(), decided.verdict)).collect();
        decisions.sort_unstable_by_key(|(user, _)| *user);
        format!("{:?} {decisions:?} {:?} {:?}", self.request.status, self.now, self.demoted)
    }
}

fn acts() -> Vec<Act> {
    let decisions = PEOPLE.iter().flat_map(|id| [Verdict::Approve, Verdict::Reject].map(|v| Act::Decide(id, v)));
    let roles = APPROVERS.iter().flat_map(|id| [Act::Demote(id), Act::Restore(id)]);
    decisions.chain(roles).chain([Act::Cancel, Act::LetTimePass]).collect()
}

fn check(from: &World, act: Act, to: &World, required: usize) {
    let story = format!("{} -- {act:?} --> {}", from.key(), to.key());
    let decided: Vec<&str> = to.request.decisions.iter().map(|decided| decided.user.as_str()).collect();
    assert!(decided.iter().all(|user| APPROVERS.contains(user)), "somebody decided who may not: {story}");
    assert_eq!(decided.iter().collect::<HashSet<_>>().len(), decided.len(), "somebody decided twice: {story}");
    let ended = from.request.status != Status::Pending;
    assert!(!ended || to.request.status == from.request.status, "it was decided again: {story}");
    let late = from.now >= EXPIRES && to.request.decisions.len() > from.request.decisions.len();
    assert!(!late, "it was decided after it expired: {story}");
    if to.request.status == Status::Approved {
        assert!(to.request.approvals() >= required, "too few approved: {story}");
    }
    if let Some(approval) = standing(&to.request, &to.people()) {
        let able = approval.approvers().iter().filter(|id| !to.demoted.contains(id.as_str())).count();
        assert!(to.request.status == Status::Approved && able >= required, "an approval without approvers: {story}");
        assert!(to.request.decisions.iter().all(|decided| decided.verdict == Verdict::Approve), "disputed: {story}");
    }
}

#[test]
fn no_sequence_of_acts_reaches_a_bad_state() {
    for required in 1..=3 {
        let start = World { request: request(required), now: BEFORE, demoted: BTreeSet::new() };
        let mut seen = HashSet::from([start.key()]);
        let mut open = vec![start];
        let mut ends = HashSet::new();
        while let Some(world) = open.pop() {
            ends.insert(status_at(world.request.status, EXPIRES, world.now));
            for act in acts() {
                if let Some(next) = world.after(act) {
                    check(&world, act, &next, usize::try_from(required).unwrap());
                    if seen.insert(next.key()) {
                        open.push(next);
                    }
                }
            }
        }
        assert_eq!(ends.len(), 5, "every status is reached with {required} of 3");
        assert!(seen.len() > 100, "the search found {} states only", seen.len());
    }
}

#[test]
fn each_refusal_says_why() {
    let world = World { request: request(1), now: BEFORE, demoted: BTreeSet::new() };
    let refusal = |id| may_decide(&world.request, &world.person(id), BEFORE).unwrap_err().to_string();
    assert_eq!(
        refusal("requester"),
        "nobody decides on their own request, or with a credential that its requester made"
    );
    assert_eq!(refusal("author"), "nobody decides on their own work, or with a credential that its author made");
    assert_eq!(refusal("editor"), "nobody decides on their own work, or with a credential that its author made");
    assert_eq!(refusal("outsider"), "deciding needs one of the roles `admin`");
    assert_eq!(refusal("service"), "only a person may decide on a request");
    let gone = Person { active: false, ..world.person("a") };
    assert_eq!(may_decide(&world.request, &gone, BEFORE), Err(Refusal::NotActive));
    assert_eq!(may_decide(&world.request, &world.person("a"), EXPIRES), Err(Refusal::Expired(EXPIRES)));
}

#[test]
fn who_had_an_approvers_credential_may_be_the_approver() {
    let world = World { request: request(2), now: BEFORE, demoted: BTreeSet::new() };
    let decided = world.clone().after(Act::Decide("b", Verdict::Approve)).unwrap();
    for (hand, expected) in [
        ("requester", Err(Refusal::OwnRequest)),
        ("author", Err(Refusal::OwnWork)),
        ("b", Err(Refusal::AlreadyDecided)),
        ("bootstrap", Ok(())),
    ] {
        let person = Person { hands: [hand.to_owned()].into(), ..world.person("a") };
        assert_eq!(may_decide(&decided.request, &person, BEFORE), expected, "{hand}");
    }
}

#[test]
fn an_approval_falls_when_an_approver_leaves() {
    let approved = World { request: request(2), now: BEFORE, demoted: BTreeSet::new() }
        .after(Act::Decide("a", Verdict::Approve))
        .and_then(|world| world.after(Act::Decide("b", Verdict::Approve)))
        .unwrap();
    let mut people = approved.people();
    assert_eq!(standing(&approved.request, &people).unwrap().approvers(), ["a", "b"]);
    people.iter_mut().filter(|person| person.id == "b").for_each(|person| person.active = false);
    assert_eq!(standing(&approved.request, &people), None);
    people.retain(|person| person.id != "b");
    assert_eq!(standing(&approved.request, &people), None);
}
