//! Signatures that were found good before: a public-key signature costs fifty times what its digest does, and a client
//! sends the same token again and again.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

/// How many signatures are remembered: one for each place that a digest can have.
const PLACES: usize = 4_096;
/// How many locks share the places, so that requests seldom wait for each other.
const SHARDS: usize = 16;

/// A digest of everything that was signed, and of the signature.
type Fingerprint = [u8; 32];

/// The last signatures that the keys of one set verified. It ends with the set: where a key is gone, so is its set.
pub(crate) struct Memo([Mutex<Vec<Fingerprint>>; SHARDS]);

impl Default for Memo {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

impl Memo {
    /// Whether `signature` is good for `signed`, by memory or else by `check`. What is not good is never remembered.
    pub(crate) fn verified(&self, signed: &[u8], signature: &[u8], check: impl FnOnce() -> bool) -> bool {
        let fingerprint = fingerprint(signed, signature);
        if self.knows(&fingerprint) {
            return true;
        }
        let good = check();
        if good {
            self.learn(fingerprint);
        }
        good
    }

    fn knows(&self, fingerprint: &Fingerprint) -> bool {
        let (shard, place) = self.place(fingerprint);
        shard.is_some_and(|shard| {
            let known = shard.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(place) == Some(fingerprint)
        })
    }

    fn learn(&self, fingerprint: Fingerprint) {
        let (shard, place) = self.place(&fingerprint);
        let Some(shard) = shard else { return };
        let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            known.resize(PLACES / SHARDS, [0; 32]);
        }
        if let Some(place) = known.get_mut(place) {
            *place = fingerprint;
        }
    }

    fn place(&self, fingerprint: &Fingerprint) -> (Option<&Mutex<Vec<Fingerprint>>>, usize) {
        let [first, second, ..] = fingerprint;
        (self.0.get(usize::from(*first) % SHARDS), usize::from(*second) % (PLACES / SHARDS))
    }
}

fn fingerprint(signed: &[u8], signature: &[u8]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    // The length of what was signed keeps its end apart from the signature's beginning.
    context.update(&signed.len().to_be_bytes());
    context.update(signed);
    context.update(signature);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_signature_is_checked_once_and_a_bad_one_each_time() {
        let memo = Memo::default();
        assert!(memo.verified(b"header.payload", b"good", || true));
        assert!(memo.verified(b"header.payload", b"good", || panic!("it is known")));
        let mut asked = 0;
        for _ in 0..2 {
            assert!(!memo.verified(b"header.payload", b"bad", || {
                asked += 1;
                false
            }));
        }
        assert_eq!(asked, 2);
    }

    #[test]
    fn a_byte_that_moves_from_the_text_to_the_signature_makes_another() {
        let memo = Memo::default();
        assert!(memo.verified(b"ab", b"cd", || true));
        assert!(!memo.verified(b"abc", b"d", || false));
        assert!(!memo.verified(b"a", b"bcd", || false));
    }

    #[test]
    fn it_holds_so_many_and_no_more() {
        let memo = Memo::default();
        for number in 0..20_000_u32 {
            assert!(memo.verified(&number.to_be_bytes(), b"s", || true));
        }
        let held: usize = memo.0.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(held, PLACES);
    }
}
