//! The ledger as an auditor sees it over the years: read once, never read differently again.

use std::collections::HashMap;

use serde_json::{Value, json};
use tlog::Frontier;

use crate::client::Client;
use crate::installation::Installation;
use crate::world::text;

/// How many entries a page may hold.
const PAGE: usize = 1_000;

/// One entry, as far as these tests look at it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) action: String,
    pub(crate) resource: String,
}

/// Every entry that the auditor has seen, in order, and the tree that their bytes make.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    tree: Frontier,
}

/// The entries of one model call.
#[derive(Debug, Default, Clone)]
pub(crate) struct Call {
    pub(crate) requested: usize,
    /// How it ended: `completed`, `failed`, `aborted` or `unknown`.
    pub(crate) ends: Vec<String>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), tree: Frontier::empty() }
    }

    /// Reads what is new: no place is left out, the bytes have the hashes that are stored, and together with all that
    /// was read before they have the root that is signed.
    pub(crate) async fn catch_up(&mut self, auditor: &mut Client) {
        let note = auditor.get("/api/v1/audit/checkpoint").await;
        assert_eq!(note.status, Some(200), "{note}");
        let note = note.text();
        let mut lines = note.lines().skip(1);
        let (size, root) = (lines.next().unwrap().parse().unwrap(), lines.next().unwrap());
        while self.entries.len() < size {
            let path = format!("/api/v1/audit/entries?order=oldest_first&limit={PAGE}&from_seq={}", self.entries.len());
            let page = auditor.get(&path).await.expect(200);
            let items = page["items"].as_array().unwrap();
            assert!(!items.is_empty(), "the ledger ends at {} of {size} entries", self.entries.len());
            for item in items.iter().take(size - self.entries.len()) {
                self.append(item);
            }
        }
        assert_eq!(self.tree.root().to_base64(), root, "these {size} entries are not the ones that were signed");
    }

    fn append(&mut self, item: &Value) {
        let seq = self.entries.len();
        assert_eq!(item["seq"], json!(seq), "the ledger has a gap");
        let hash = tlog::leaf_hash(text(item, "/leaf").as_bytes());
        assert_eq!(text(item, "/hash"), hash.to_base64(), "entry {seq}");
        self.tree.append(hash);
        self.entries.push(Entry { action: text(item, "/action"), resource: text(item, "/resource_id") });
    }

    /// The model calls, by id. None has two beginnings or two ends, or an end before its beginning.
    pub(crate) fn calls(&self) -> HashMap<&str, Call> {
        let mut calls: HashMap<&str, Call> = HashMap::new();
        for entry in &self.entries {
            let Some(step) = entry.action.strip_prefix("gateway.call.") else { continue };
            let call = calls.entry(&entry.resource).or_default();
            if step == "requested" {
                call.requested += 1;
            } else {
                call.ends.push(step.to_owned());
            }
            assert!(call.requested <= 1 && call.ends.len() <= 1, "{}: {call:?}", entry.resource);
            assert!(step != "requested" || call.ends.is_empty(), "{}: {call:?}", entry.resource);
        }
        calls
    }

    /// How a call ended; `None` while it is open, or when there is no such call.
    pub(crate) fn end_of(&self, call: &str) -> Option<String> {
        self.calls().get(call)?.ends.first().cloned()
    }

    /// How many entries there are of an action.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.entries.iter().filter(|entry| entry.action == action).count()
    }
}

/// Exports the log and verifies the package without the server.
pub(crate) async fn verify(installation: &Installation, auditor: &mut Client) -> Value {
    let package = auditor.post("/api/v1/audit/exports", &json!({})).await;
    assert_eq!((package.status, package.complete), (Some(200), true), "{package}");
    let report = installation.verify(&package.body);
    assert_eq!(report["verified"], true, "{report:#}");
    report
}

/// Every item of a list.
pub(crate) async fn all(client: &mut Client, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    let join = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = client.get(&format!("{path}{join}limit={PAGE}{cursor}")).await.expect(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}
