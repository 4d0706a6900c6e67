//! Signing heads. **Invariant:** a [`Signer`] never signs two heads of which one does not begin with the other.

use std::collections::HashMap;

use ::store::{Database, Job, Reason, StoreError, SystemTx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::{Entropy, Moment, Secret, TenantId};
use parking_lot::Mutex;
use tlog::note::VerifierKey;
use tlog::{Checkpoint, Hash, Tiles, consistency_proof, verify_consistency};

use crate::model::{Head, SignedHead};
use crate::store;

/// Signs the heads of every log of one installation, and remembers what it signed.
#[derive(Debug)]
pub struct Signer {
    key: tlog::note::Signer,
    // INVARIANT: the lock is held from before a head is read until it is signed. Otherwise a head could be read, a
    // later one be signed meanwhile, and the log seem to have been set back.
    signed: Mutex<Signed>,
}

/// What was signed last, by tenant.
type Signed = HashMap<TenantId, Head>;

/// Why a signing key is refused.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// Not 32 bytes in base64.
    #[error("not a signing key: expected 32 random bytes as base64; make one with `openssl rand -base64 32`")]
    NotAKey,
    /// The installation's name cannot name a key.
    #[error("the installation's name cannot name its signing key")]
    Name(#[source] tlog::note::KeyError),
}

impl Signer {
    /// Reads the signing key of the installation `instance` ([`Database::instance`]): 32 bytes in base64, white space
    /// around it ignored.
    pub fn parse(instance: &str, key: &Secret<String>) -> Result<Self, SigningKeyError> {
        let bytes = STANDARD.decode(key.expose().trim_ascii()).map_err(|_| SigningKeyError::NotAKey)?;
        let bytes = Secret::new(bytes);
        let seed = bytes.expose().as_slice().try_into().map_err(|_| SigningKeyError::NotAKey)?;
        let key = tlog::note::Signer::from_seed(instance, seed).map_err(SigningKeyError::Name)?;
        Ok(Self { key, signed: Mutex::default() })
    }

    /// A new signing key as text, to be kept in a file of its own.
    pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Secret::new(STANDARD.encode(Secret::new(seed).expose()))
    }

    /// The public half, which auditors pin. Its text form (`to_string`) is a C2SP vkey.
    pub const fn verifier_key(&self) -> &VerifierKey {
        self.key.verifier()
    }

    /// Signs a text that is no checkpoint.
    pub(crate) fn sign_text(&self, text: &str) -> String {
        self.key.sign(text)
    }

    /// A signer whose key everybody knows.
    #[cfg(any(test, feature = "synthetic"))]
    pub(crate) fn of_tests(seed: u8) -> Self {
        let key = tlog::note::Signer::from_seed("tf", [seed; 32]);
        #[expect(clippy::expect_used, reason = "the name is a name, and any 32 bytes are a key")]
        let key = key.expect("a key");
        Self { key, signed: Mutex::default() }
    }

    /// Signs whatever head it is given: for the logs of tests, and for attackers.
    #[cfg(any(test, feature = "synthetic"))]
    pub(crate) fn sign_unchecked(&self, head: &Checkpoint) -> String {
        self.key.sign(&head.to_text())
    }

    /// Signs `head` of the log `origin`, if it is the log that was signed before, grown.
    ///
    /// `stored` is the head in the database that was signed last, asked for when this signer remembers none; `prove`
    /// gives the consistency proof from a smaller size.
    fn sign(
        &self,
        signed: &mut Signed,
        (tenant, origin, head): (&TenantId, &str, Head),
        stored: impl FnOnce() -> Result<Option<SignedHead>, StoreError>,
        prove: impl FnOnce(u64) -> Result<Vec<Hash>, StoreError>,
    ) -> Result<Option<SignedHead>, CheckpointError> {
        let before = match signed.get(tenant) {
            Some(known) => Some(*known),
            None => stored()?.map(|stored| self.reopen(origin, &stored)).transpose()?,
        };
        if let Some(before) = before {
            signed.insert(tenant.clone(), before);
            if before == head {
                return Ok(None);
            }
            if head.size < before.size {
                return Err(HeadError::Smaller { signed: before.size, found: head.size }.into());
            }
            let proof = match before.size {
                0 => Vec::new(),
                size => prove(size)?,
            };
            if before.size > 0 && verify_consistency(before.size, head.size, &proof, &before.root, &head.root).is_err()
            {
                return Err(HeadError::Inconsistent { signed: before.size, found: head.size }.into());
            }
        }
        let Head { size, root } = head;
        let note = self.key.sign(&Checkpoint { origin: origin.to_owned(), size, root }.to_text());
        signed.insert(tenant.clone(), head);
        Ok(Some(SignedHead { head, note }))
    }

    /// What the database says was signed counts only if this key signed it.
    fn reopen(&self, origin: &str, stored: &SignedHead) -> Result<Head, HeadError> {
        let keys = std::slice::from_ref(self.verifier_key());
        let Checkpoint { origin: _, size, root } =
            Checkpoint::open(&stored.note, keys, origin).map_err(|_| HeadError::Foreign(stored.head.size))?;
        Ok(Head { size, root })
    }
}

/// Why a head is not signed. Each means that the database was restored from an older copy or altered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// The log has fewer entries than a head that was signed.
    #[error("the log has `{found}` entries, but a head of `{signed}` was signed: the database was set back")]
    Smaller {
        /// The size that was signed.
        signed: u64,
        /// The size that was found.
        found: u64,
    },
    /// The log does not begin with the log that was signed.
    #[error("the log of `{found}` entries does not begin with the `{signed}` that were signed: entries were altered")]
    Inconsistent {
        /// The size that was signed.
        signed: u64,
        /// The size that was found.
        found: u64,
    },
    /// The stored checkpoint was signed by another key.
    #[error("the checkpoint of `{0}` entries was not signed by this key: restore the signing key that belongs to it")]
    Foreign(u64),
}

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The signer refused.
    #[error("the head is not signed")]
    Refused(#[from] HeadError),
    /// There is no such tenant.
    #[error("there is no tenant `{0}`")]
    NotFound(TenantId),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// What a round of signing did.
#[derive(Debug, Default)]
pub struct Integrated {
    /// How many heads were signed.
    pub signed: usize,
    /// The logs whose heads were refused: an alarm for the operator.
    pub refused: Vec<(TenantId, HeadError)>,
}

/// Signs the head of every log that has changed. To be called each second.
pub fn integrate(db: &Database, signer: &Signer, at: &Moment<'_>) -> Result<Integrated, StoreError> {
    let mut integrated = Integrated::default();
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
    let sizes = across(db, |tx| tx.log_sizes())?;
    for (tenant, size) in sizes {
        if size == 0 || signer.signed.lock().get(&tenant).is_some_and(|signed| signed.size == size) {
            continue;
        }
        match sign_one(db, signer, &tenant, at) {
            Ok((_, signed)) => integrated.signed += usize::from(signed),
            Err(CheckpointError::Refused(refused)) => integrated.refused.push((tenant, refused)),
            Err(CheckpointError::NotFound(_)) => {}
            Err(CheckpointError::Database(error)) => return Err(error),
        }
    }
    Ok(integrated)
}

/// Signs the head of one log as it stands, or returns the checkpoint that says so already.
pub fn checkpoint(
    db: &Database,
    signer: &Signer,
    tenant: &TenantId,
    at: &Moment<'_>,
) -> Result<SignedHead, CheckpointError> {
    sign_one(db, signer, tenant, at).map(|(signed, _new)| signed)
}

/// The checkpoint of the log as it stands, and whether it is new.
fn sign_one(
    db: &Database,
    signer: &Signer,
    tenant: &TenantId,
    at: &Moment<'_>,
) -> Result<(SignedHead, bool), CheckpointError> {
    let origin = store::origin(db, tenant);
    let mut known = signer.signed.lock();
    let (signed, new) = across(db, |tx| {
        tx.within(tenant, |tx| {
            let Some(head) = store::head(tx)? else {
                return Ok(Err(CheckpointError::NotFound(tenant.clone())));
            };
            let reader = std::cell::RefCell::new(tx);
            let stored = || store::last_signed(&mut reader.borrow_mut());
            let prove = |old| {
                let mut tiles = Tiles::new(head.size, |coord| store::tile(&mut reader.borrow_mut(), coord));
                Ok(store::proved(consistency_proof(&mut tiles, old, head.size))?.unwrap_or_default())
            };
            let signed = match signer.sign(&mut known, (tenant, &origin, head), stored, prove) {
                Ok(Some(signed)) => (signed, true),
                // The row may have been lost by a failed write: the signature is the same each time.
                Ok(None) => match store::signed_at(&mut reader.borrow_mut(), head.size)? {
                    Some(signed) => (signed, false),
                    None => (signer.sign_again(&origin, head), true),
                },
                Err(error) => return Ok(Err(error)),
            };
            Ok(Ok(signed))
        })
    })??;
    drop(known);
    if new {
        save(db, tenant, &signed, at)?;
    }
    Ok((signed, new))
}

impl Signer {
    /// The checkpoint of a head that was signed before.
    fn sign_again(&self, origin: &str, head: Head) -> SignedHead {
        let Head { size, root } = head;
        SignedHead { head, note: self.key.sign(&Checkpoint { origin: origin.to_owned(), size, root }.to_text()) }
    }
}

/// A checkpoint is no change of the tenant's: it has no entry.
fn save(db: &Database, tenant: &TenantId, signed: &SignedHead, at: &Moment<'_>) -> Result<(), StoreError> {
    let now = at.now();
    let share: Job<'_> = Box::new(move |tx| store::save_signed(tx, signed, now).map(|()| Vec::new()));
    db.write_shares(vec![(tenant.clone(), share)]).into_iter().try_for_each(|written| written.map(|_| ()))
}

#[expect(clippy::disallowed_methods, reason = "checkpoints are made for every tenant, by nobody's request")]
fn across<T>(db: &Database, read: impl FnOnce(&mut SystemTx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
    db.system(Reason::Checkpoints, read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::FixedMoment;
    use tlog::{Frontier, leaf_hash};

    const ORIGIN: &str = "tf/taskforce/t/acme-corp";

    /// The head of a log with these entries, and its consistency proof from a smaller size.
    fn log(entries: &[u32]) -> (Head, impl Fn(u64) -> Result<Vec<Hash>, StoreError>) {
        let mut frontier = Frontier::empty();
        let mut tile = Vec::new();
        for entry in entries {
            let leaf = leaf_hash(&entry.to_be_bytes());
            frontier.append(leaf);
            tile.extend_from_slice(leaf.as_bytes());
        }
        let head = Head { size: frontier.size(), root: frontier.root() };
        let prove = move |old| {
            let mut tiles = Tiles::new(head.size, |_coord| Ok::<_, std::convert::Infallible>(&tile));
            Ok(consistency_proof(&mut tiles, old, head.size).unwrap())
        };
        (head, prove)
    }

    fn sign(signer: &Signer, entries: &[u32], stored: Option<SignedHead>) -> Result<Option<SignedHead>, HeadError> {
        let (head, prove) = log(entries);
        let tenant = "acme-corp".parse().unwrap();
        let mut known = signer.signed.lock();
        signer.sign(&mut known, (&tenant, ORIGIN, head), || Ok(stored), prove).map_err(|error| match error {
            CheckpointError::Refused(refused) => refused,
            CheckpointError::NotFound(_) | CheckpointError::Database(_) => unreachable!("{error}"),
        })
    }

    #[test]
    fn a_growing_log_is_signed_once_at_each_size() {
        let signer = Signer::of_tests(1);
        let keys = [signer.verifier_key().clone()];
        for size in 1..40 {
            let entries: Vec<u32> = (0..size).collect();
            let signed = sign(&signer, &entries, None).unwrap().unwrap();
            let opened = Checkpoint::open(&signed.note, &keys, ORIGIN).unwrap();
            assert_eq!((opened.size, opened.root), (signed.head.size, log(&entries).0.root));
            assert_eq!(sign(&signer, &entries, None), Ok(None));
        }
    }

    #[test]
    fn a_database_set_back_under_a_running_signer_is_refused() {
        let signer = Signer::of_tests(1);
        sign(&signer, &[0, 1, 2, 3, 4], None).unwrap();
        assert_eq!(sign(&signer, &[0, 1, 2], None), Err(HeadError::Smaller { signed: 5, found: 3 }));
        let regrown = [0, 1, 2, 7, 8, 9];
        assert_eq!(sign(&signer, &regrown, None), Err(HeadError::Inconsistent { signed: 5, found: 6 }));
        let rewritten = [0, 1, 2, 3, 7];
        assert_eq!(sign(&signer, &rewritten, None), Err(HeadError::Inconsistent { signed: 5, found: 5 }));
        assert!(sign(&signer, &[0, 1, 2, 3, 4, 5], None).unwrap().is_some());
    }

    #[test]
    fn after_a_restart_the_stored_checkpoint_binds() {
        let before = sign(&Signer::of_tests(1), &[0, 1, 2], None).unwrap();
        let restarted = Signer::of_tests(1);
        assert_eq!(sign(&restarted, &[0, 1], before.clone()), Err(HeadError::Smaller { signed: 3, found: 2 }));
        let restarted = Signer::of_tests(1);
        assert!(sign(&restarted, &[0, 1, 2, 3], before.clone()).unwrap().is_some());
        // A row that was altered, or that another key has signed, is not taken for what was signed.
        let mut altered = before.clone().unwrap();
        altered.note = altered.note.replacen("\n3\n", "\n2\n", 1);
        assert_eq!(sign(&Signer::of_tests(1), &[0, 1, 2], Some(altered)), Err(HeadError::Foreign(3)));
        assert_eq!(sign(&Signer::of_tests(2), &[0, 1, 2, 3], before), Err(HeadError::Foreign(3)));
    }

    #[test]
    fn a_signing_key_is_32_bytes_in_base64() {
        let made = Signer::generate(&FixedMoment::new(0));
        assert!(Signer::parse("tf.example", &made).is_ok());
        for wrong in ["", "hunter2", "AAAA", &"A".repeat(88)] {
            let wrong = Signer::parse("tf.example", &Secret::new(wrong.to_owned()));
            assert!(matches!(wrong, Err(SigningKeyError::NotAKey)));
        }
        assert!(matches!(Signer::parse("two words", &made), Err(SigningKeyError::Name(_))));
    }
}
