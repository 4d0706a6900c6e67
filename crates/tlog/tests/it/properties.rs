//! Random trees: equal to the definition, every proof verifies, every altered one is refused.

use proptest::prelude::*;
use proptest::sample::Index;
use tlog::{Hash, leaf_hash, subtree, verify_consistency, verify_inclusion};

use crate::log::Log;
use crate::reference;

/// Sizes around the boundaries of tiles, and a log of that size whose leaves are random bytes.
fn a_log() -> impl Strategy<Value = Log> {
    let size = prop_oneof![4 => 1_usize..40, 2 => 250_usize..262, 1 => 500_usize..800];
    (size, any::<u64>())
        .prop_map(|(size, salt)| Log::of((0..size).map(|leaf| format!("{salt} {leaf}").repeat(leaf % 7))))
}

/// What a forger may do to a proof.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Drop(Index),
    Repeat(Index),
    Swap(Index, Index),
    Insert(Index, [u8; 32]),
}

fn a_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Change::Flip(at, bit)),
        any::<Index>().prop_map(Change::Drop),
        any::<Index>().prop_map(Change::Repeat),
        (any::<Index>(), any::<Index>()).prop_map(|(one, other)| Change::Swap(one, other)),
        (any::<Index>(), any::<[u8; 32]>()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

/// The hash with one of its 256 bits flipped.
fn flipped(hash: &Hash, bit: u8) -> Hash {
    let mut bytes = *hash.as_bytes();
    bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
    Hash::from_bytes(bytes)
}

fn altered(proof: &[Hash], change: &Change) -> Vec<Hash> {
    let mut proof = proof.to_vec();
    match change {
        Change::Insert(at, bytes) => proof.insert(at.index(proof.len() + 1), Hash::from_bytes(*bytes)),
        _ if proof.is_empty() => {}
        Change::Flip(at, bit) => {
            let at = at.index(proof.len());
            proof[at] = flipped(&proof[at], *bit);
        }
        Change::Drop(at) => drop(proof.remove(at.index(proof.len()))),
        Change::Repeat(at) => proof.insert(at.index(proof.len()), proof[at.index(proof.len())]),
        Change::Swap(one, other) => {
            let (one, other) = (one.index(proof.len()), other.index(proof.len()));
            proof.swap(one, other);
        }
    }
    proof
}

proptest! {
    #[test]
    fn a_tree_is_the_one_that_the_rfc_defines(log in a_log(), index: Index, old: Index) {
        let size = log.leaves.len();
        let (index, old) = (index.index(size), 1 + old.index(size));
        let (size64, index64, old64) = (log.frontier.size(), index as u64, old as u64);
        prop_assert_eq!(log.frontier.root(), reference::root(&log.leaves));
        prop_assert_eq!(log.root(size64), log.frontier.root());
        prop_assert_eq!(log.root(old64), reference::root(&log.leaves[..old]));
        prop_assert_eq!(log.inclusion(index64, size64), reference::path(index, &log.leaves));
        prop_assert_eq!(log.consistency(old64, size64), reference::subproof(old, &log.leaves, true));
    }

    #[test]
    fn every_inclusion_proof_verifies_and_every_altered_one_is_refused(
        log in a_log(), index: Index, other: Index, bit: u8, changes in prop::collection::vec(a_change(), 8),
    ) {
        let (size, root) = (log.frontier.size(), log.frontier.root());
        let (index, other) = (index.index(log.leaves.len()), other.index(log.leaves.len()));
        let (leaf, proof) = (log.leaves[index], log.inclusion(index as u64, size));
        let index = index as u64;
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
        for change in &changes {
            let forged = altered(&proof, change);
            let verified = verify_inclusion(&leaf, index, size, &forged, &root).is_ok();
            prop_assert_eq!(verified, forged == proof, "{:?}", change);
        }
        prop_assert!(verify_inclusion(&flipped(&leaf, bit), index, size, &proof, &root).is_err());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &flipped(&root, bit)).is_err());
        let elsewhere = verify_inclusion(&leaf, other as u64, size, &proof, &root).is_ok();
        prop_assert_eq!(elsewhere, other as u64 == index);
        prop_assert!(verify_inclusion(&leaf, size, size, &proof, &root).is_err());
    }

    #[test]
    fn every_consistency_proof_verifies_and_every_altered_one_is_refused(
        log in a_log(), old: Index, bit: u8, changes in prop::collection::vec(a_change(), 8),
    ) {
        let (new, new_root) = (log.frontier.size(), log.frontier.root());
        let old = 1 + old.index(log.leaves.len()) as u64;
        let (old_root, proof) = (log.root(old), log.consistency(old, new));
        prop_assert_eq!(verify_consistency(old, new, &proof, &old_root, &new_root), Ok(()));
        for change in &changes {
            let forged = altered(&proof, change);
            let verified = verify_consistency(old, new, &forged, &old_root, &new_root).is_ok();
            prop_assert_eq!(verified, forged == proof, "{:?}", change);
        }
        prop_assert!(verify_consistency(old, new, &proof, &flipped(&old_root, bit), &new_root).is_err());
        prop_assert!(verify_consistency(old, new, &proof, &old_root, &flipped(&new_root, bit)).is_err());
        prop_assert!(verify_consistency(0, new, &proof, &old_root, &new_root).is_err());
    }

    #[test]
    fn a_rewritten_history_has_no_consistency_proof(log in a_log(), rewritten: Index) {
        // The fork changes one leaf that both trees hold; the honest proof of the fork must not fit the old root.
        let new = log.frontier.size();
        prop_assume!(new > 1);
        let rewritten = rewritten.index(log.leaves.len() - 1);
        let old = rewritten as u64 + 1;
        let fork = Log::of((0..new).map(|leaf| format!("fork {leaf}")));
        let old_root = log.root(old);
        let verified = verify_consistency(old, new, &fork.consistency(old, new), &old_root, &fork.frontier.root());
        prop_assert!(verified.is_err());
    }

    #[test]
    fn a_subtree_that_the_tree_contains_verifies(level in 0_u32..7, place: Index, cut: Index, changes in prop::collection::vec(a_change(), 8)) {
        let log = Log::counting(100);
        let width = 1_usize << level;
        let start = place.index(100_usize.div_ceil(width)) * width;
        let shortest = (width / 2 + 1).min(width);
        let end = (start + shortest + cut.index(width - shortest + 1)).min(100);
        prop_assume!(end - start >= shortest);
        let (range, small) = (start as u64..end as u64, reference::root(&log.leaves[start..end]));
        let leaf = start + cut.index(end - start);
        let path = reference::path(leaf - start, &log.leaves[start..end]);
        prop_assert_eq!(subtree::verify_inclusion(&log.leaves[leaf], leaf as u64, range.clone(), &path, &small), Ok(()));
        let proof = subtree_subproof(start, end, &log.leaves, true);
        let root = log.frontier.root();
        prop_assert_eq!(subtree::verify_consistency(range.clone(), 100, &proof, &small, &root), Ok(()));
        for change in &changes {
            let forged = altered(&proof, change);
            let verified = subtree::verify_consistency(range.clone(), 100, &forged, &small, &root).is_ok();
            prop_assert_eq!(verified, forged == proof, "{:?}", change);
        }
    }
}

/// The draft's `SUBTREE_SUBPROOF` by its definition: the proof that `leaves` contain the subtree from `start` to `end`.
fn subtree_subproof(start: usize, end: usize, leaves: &[Hash], complete: bool) -> Vec<Hash> {
    let size = leaves.len();
    if (start, end) == (0, size) {
        return if complete { Vec::new() } else { vec![reference::root(leaves)] };
    }
    let middle = size.next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if end <= middle {
        (subtree_subproof(start, end, left, complete), reference::root(right))
    } else if middle <= start {
        (subtree_subproof(start - middle, end - middle, right, complete), reference::root(left))
    } else {
        (subtree_subproof(0, end - middle, right, false), reference::root(left))
    };
    proof.push(sibling);
    proof
}

#[test]
fn every_proof_of_every_small_tree_is_decided_right() {
    let log = Log::counting(66);
    let mut decided = 0;
    for size in 1..=66 {
        let root = log.root(size);
        for index in 0..size {
            let proof = log.inclusion(index, size);
            let leaf = log.leaves[usize::try_from(index).unwrap()];
            for guess in 0..size {
                let verified = verify_inclusion(&leaf, guess, size, &proof, &root).is_ok();
                assert_eq!(verified, guess == index, "{index} as {guess} of {size}");
                decided += 1;
            }
            let proof = log.consistency(index + 1, size);
            assert_eq!(verify_consistency(index + 1, size, &proof, &log.root(index + 1), &root), Ok(()));
        }
    }
    println!("small trees: {decided} inclusion proofs decided");
}

#[test]
fn a_node_cannot_be_passed_off_as_a_leaf() {
    let log = Log::counting(4);
    let (left, right) = (log.leaves[0], log.leaves[1]);
    let forged = [left.as_bytes().as_slice(), right.as_bytes()].concat();
    let proof = [log.inclusion(0, 4)[1]];
    // As a tree of two leaves, the inner node would be leaf 0; the size of the signed head and the prefix forbid it.
    assert!(verify_inclusion(&leaf_hash(&forged), 0, 2, &proof, &log.root(4)).is_err());
    assert!(verify_inclusion(&leaf_hash(&[&[1], forged.as_slice()].concat()), 0, 2, &proof, &log.root(4)).is_err());
}
