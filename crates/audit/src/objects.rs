//! The objects of a package: definitions verbatim, and requests for approval with what was decided on them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::leaf::{from_hex, to_hex};
use crate::named::{Decided, Named};

/// Where a package keeps versions.
pub(crate) const VERSIONS: &str = "objects/versions/";
/// Where a package keeps requests for approval.
pub(crate) const APPROVALS: &str = "objects/approvals/";

/// A request for approval, as `objects/approvals/<id>.json` holds it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    pub(crate) id: String,
    pub(crate) request_type: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) digest: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) requester: String,
    pub(crate) authors: Vec<String>,
    pub(crate) workflow: Option<String>,
    pub(crate) workflow_revision: u64,
    pub(crate) required_approvers: u64,
    pub(crate) approver_roles: String,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
    pub(crate) decisions: Vec<Said>,
}

/// What one person said.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    pub(crate) user: String,
    pub(crate) verdict: String,
    pub(crate) comment: String,
    pub(crate) at: String,
}

/// The name of the file that holds the definition with this digest.
pub(crate) fn version_name(digest: &str) -> String {
    format!("{VERSIONS}{digest}.json")
}

/// The name of the file that holds this request for approval.
pub(crate) fn approval_name(id: &str) -> String {
    format!("{APPROVALS}{id}.json")
}

/// What is wrong with an object, if anything is.
pub(crate) fn fault(name: &str, content: &[u8], named: &Named) -> Option<String> {
    let version = name.strip_prefix(VERSIONS).and_then(|name| name.strip_suffix(".json"));
    let approval = name.strip_prefix(APPROVALS).and_then(|name| name.strip_suffix(".json"));
    match (version, approval) {
        (Some(digest), _) => version_fault(digest, content, named),
        (None, Some(id)) => approval_fault(id, content, named.approvals.get(id)),
        (None, None) => Some("is no kind of object that a package holds".to_owned()),
    }
}

fn version_fault(digest: &str, content: &[u8], named: &Named) -> Option<String> {
    let Some(expected) = from_hex(digest) else {
        return Some("is not named by a digest".to_owned());
    };
    if tlog::sha256(content).as_bytes() != &expected {
        return Some(format!("has the digest {}", to_hex(tlog::sha256(content).as_bytes())));
    }
    (!named.versions.contains(&expected)).then(|| "is named by no entry".to_owned())
}

fn approval_fault(id: &str, content: &[u8], decided: Option<&Decided>) -> Option<String> {
    let Ok(approval) = serde_json::from_slice::<Approval>(content) else {
        return Some("is not a request for approval".to_owned());
    };
    let Some(decided) = decided else {
        return Some("is named by no entry".to_owned());
    };
    if approval.id != id {
        return Some(format!("is the request `{}`", approval.id));
    }
    if from_hex(&approval.digest).is_none_or(|digest| decided.digests.iter().any(|named| *named != digest)) {
        return Some("is about another digest than its entries".to_owned());
    }
    let mut users = BTreeSet::new();
    for Said { user, .. } in &approval.decisions {
        if !decided.actors.contains(user) {
            return Some(format!("says that `{user}` decided, and no entry does"));
        }
        if *user == approval.requester || approval.authors.contains(user) {
            return Some(format!("says that `{user}` decided on their own work"));
        }
        if !users.insert(user) {
            return Some(format!("says that `{user}` decided twice"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn approval() -> Approval {
        Approval {
            id: "apr_1".to_owned(),
            request_type: "agent_publish".to_owned(),
            resource_type: "version".to_owned(),
            resource_id: "ver_1".to_owned(),
            digest: DIGEST.to_owned(),
            title: String::new(),
            description: String::new(),
            requester: "usr_alice".to_owned(),
            authors: vec!["usr_alice".to_owned(), "usr_dan".to_owned()],
            workflow: None,
            workflow_revision: 0,
            required_approvers: 1,
            approver_roles: "admin".to_owned(),
            created_at: String::new(),
            expires_at: String::new(),
            decisions: vec![decision("usr_bob")],
        }
    }

    fn decision(user: &str) -> Said {
        Said { user: user.to_owned(), verdict: "approve".to_owned(), comment: String::new(), at: String::new() }
    }

    fn named() -> Named {
        let digests = [from_hex(DIGEST).unwrap()];
        let actors = ["usr_bob", "usr_dan", "usr_alice"].map(str::to_owned).into();
        let decided = Decided { digests: digests.into(), actors };
        Named { versions: digests.into(), approvals: [("apr_1".to_owned(), decided)].into() }
    }

    fn approval_says(change: impl FnOnce(&mut Approval)) -> Option<String> {
        let mut approval = approval();
        change(&mut approval);
        fault("objects/approvals/apr_1.json", &serde_json::to_vec(&approval).unwrap(), &named())
    }

    #[test]
    fn an_approval_is_what_its_entries_say() {
        assert_eq!(approval_says(|_| ()), None);
        let fault = |change: fn(&mut Approval)| approval_says(change).unwrap();
        assert!(fault(|approval| approval.id = "apr_2".to_owned()).contains("is the request"));
        assert!(fault(|approval| approval.digest = "0".repeat(64)).contains("another digest"));
        assert!(fault(|approval| approval.decisions.push(decision("usr_mallory"))).contains("no entry does"));
        assert!(fault(|approval| approval.decisions.push(decision("usr_bob"))).contains("twice"));
        assert!(fault(|approval| approval.decisions.push(decision("usr_alice"))).contains("their own work"));
        assert!(fault(|approval| approval.decisions.push(decision("usr_dan"))).contains("their own work"));
    }

    #[test]
    fn a_definition_is_what_its_name_and_an_entry_say() {
        assert_eq!(fault(&version_name(DIGEST), b"{}", &named()), None);
        assert!(fault(&version_name(DIGEST), b"{ }", &named()).unwrap().starts_with("has the digest"));
        assert!(fault(&version_name(DIGEST), b"{}", &Named::default()).unwrap().contains("no entry"));
        assert!(fault("objects/versions/x.json", b"{}", &named()).unwrap().contains("digest"));
        assert!(fault("objects/approvals/apr_1.json", b"{}", &named()).unwrap().contains("not a request"));
        assert!(fault("objects/other", b"", &named()).unwrap().contains("no kind"));
    }
}
