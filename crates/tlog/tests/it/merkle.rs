//! The 518 proofs of transparency-dev/merkle, good and bad, decided by our verifiers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::{Hash, VerifyError, leaf_hash, subtree, verify_consistency, verify_inclusion};

use crate::shared;

#[derive(Deserialize)]
struct Cases {
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
    subtreeinclusion: Vec<SubtreeInclusion>,
    subtreeconsistency: Vec<SubtreeConsistency>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: Bytes,
    leaf_hash: Bytes,
    proof: Option<Vec<Bytes>>,
    path: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: Bytes,
    root2: Bytes,
    proof: Option<Vec<Bytes>>,
    path: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubtreeInclusion {
    leaf_idx: u64,
    start: u64,
    end: u64,
    root: Bytes,
    leaf_hash: Bytes,
    proof: Option<Vec<Bytes>>,
    path: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubtreeConsistency {
    start: u64,
    end: u64,
    size: u64,
    root1: Bytes,
    root2: Bytes,
    proof: Option<Vec<Bytes>>,
    path: String,
    want_err: bool,
}

/// What stands for a hash in the vectors, in base64.
#[derive(Deserialize)]
struct Bytes(String);

impl Bytes {
    /// The hash, if it is one: what is not 32 bytes long never reaches a verifier. A few cases that are to be accepted
    /// nevertheless hold some 12 bytes as an arbitrary root; the leaf hash of these takes their place.
    fn hash(&self, want_err: bool) -> Option<Hash> {
        let bytes = STANDARD.decode(&self.0).unwrap();
        let stand_in = (!want_err).then(|| leaf_hash(&bytes));
        Hash::try_from(bytes.as_slice()).ok().or(stand_in)
    }
}

fn hashes(proof: Option<&Vec<Bytes>>, want_err: bool) -> Option<Vec<Hash>> {
    proof.into_iter().flatten().map(|bytes| bytes.hash(want_err)).collect()
}

/// Why the case is not accepted: not even made of hashes, or refused by the verifier.
type Decision = Option<Result<(), VerifyError>>;

impl Inclusion {
    fn decide(&self) -> Decision {
        let proof = hashes(self.proof.as_ref(), self.want_err)?;
        let (leaf, root) = (self.leaf_hash.hash(self.want_err)?, self.root.hash(self.want_err)?);
        Some(verify_inclusion(&leaf, self.leaf_idx, self.tree_size, &proof, &root))
    }
}

impl Consistency {
    fn decide(&self) -> Decision {
        let proof = hashes(self.proof.as_ref(), self.want_err)?;
        let (old, new) = (self.root1.hash(self.want_err)?, self.root2.hash(self.want_err)?);
        Some(verify_consistency(self.size1, self.size2, &proof, &old, &new))
    }
}

impl SubtreeInclusion {
    fn decide(&self) -> Decision {
        let proof = hashes(self.proof.as_ref(), self.want_err)?;
        let (leaf, root) = (self.leaf_hash.hash(self.want_err)?, self.root.hash(self.want_err)?);
        Some(subtree::verify_inclusion(&leaf, self.leaf_idx, self.start..self.end, &proof, &root))
    }
}

impl SubtreeConsistency {
    fn decide(&self) -> Decision {
        let proof = hashes(self.proof.as_ref(), self.want_err)?;
        let (small, root) = (self.root1.hash(self.want_err)?, self.root2.hash(self.want_err)?);
        Some(subtree::verify_consistency(self.start..self.end, self.size, &proof, &small, &root))
    }
}

#[test]
fn every_published_proof_is_decided_right() {
    let Some(cases) = shared::json::<Cases>("merkle", "vectors/merkle/cases.json") else { return };
    let inclusion = cases.inclusion.iter().map(|case| (&case.path, case.want_err, case.decide()));
    let consistency = cases.consistency.iter().map(|case| (&case.path, case.want_err, case.decide()));
    let of_subtrees = cases.subtreeinclusion.iter().map(|case| (&case.path, case.want_err, case.decide()));
    let with_subtrees = cases.subtreeconsistency.iter().map(|case| (&case.path, case.want_err, case.decide()));
    let (mut decided, mut not_hashes) = (0, 0);
    for (path, want_err, decision) in inclusion.chain(consistency).chain(of_subtrees).chain(with_subtrees) {
        assert_eq!(decision != Some(Ok(())), want_err, "{path}: {decision:?}");
        decided += 1;
        not_hashes += usize::from(decision.is_none());
    }
    println!("merkle: {decided} cases decided, {not_hashes} of them because a hash was not one");
    assert_eq!(decided, 518);
}
