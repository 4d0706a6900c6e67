//! RFC 6962, section 2.1, written down as it is defined: recursive, over all leaves, without any cleverness.

use tlog::{Hash, node_hash, sha256};

fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    let mut middle = 1;
    while middle * 2 < leaves.len() {
        middle *= 2;
    }
    leaves.split_at(middle)
}

/// `MTH(D)`.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH(m, D)`.
pub(crate) fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut path, sibling) = if index < left.len() {
        (path(index, left), root(right))
    } else {
        (path(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}

/// `SUBPROOF(m, D, b)`; `PROOF(m, D)` is the one with `b` true.
pub(crate) fn subproof(old: usize, leaves: &[Hash], complete: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if complete { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    let (mut proof, sibling) = if old <= left.len() {
        (subproof(old, left, complete), root(right))
    } else {
        (subproof(old - left.len(), right, false), root(left))
    };
    proof.push(sibling);
    proof
}
