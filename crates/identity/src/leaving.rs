//! What ends with a user.

use std::fmt;
use std::sync::Arc;

use kernel::{Moment, UserId};
use store::{StoreError, WriteTx};

use crate::store as rows;

/// Ends something of a user who leaves, in the transaction that the user leaves by, and says of how many.
type Leaver = dyn Fn(&mut WriteTx<'_>, &UserId, &Moment<'_>) -> Result<u64, StoreError> + Send + Sync;

/// What ends with a user besides sessions and keys: what other domains keep for them.
#[derive(Clone, Default)]
pub struct Leavers(Vec<(&'static str, Arc<Leaver>)>);

impl Leavers {
    /// Nothing else ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and `leaver`, which ends `what`. If it fails, the user stays.
    #[must_use]
    pub fn with<F>(mut self, what: &'static str, leaver: F) -> Self
    where
        F: Fn(&mut WriteTx<'_>, &UserId, &Moment<'_>) -> Result<u64, StoreError> + Send + Sync + 'static,
    {
        self.0.push((what, Arc::new(leaver)));
        self
    }
}

impl fmt::Debug for Leavers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(what, _)| what)).finish()
    }
}

/// How much ended with a user.
#[derive(Debug, Default)]
pub(crate) struct Ended(pub(crate) Vec<(&'static str, u64)>);

/// Ends everything that a user has here.
pub(crate) fn leave(
    tx: &mut WriteTx<'_>,
    user: &UserId,
    leavers: &Leavers,
    at: &Moment<'_>,
) -> Result<Ended, StoreError> {
    let mut ended = vec![
        ("sessions", rows::users::end_sessions_of(tx, user, at.now())?),
        ("keys", rows::keys::revoke_keys_of(tx, user, at.now())?),
    ];
    for (what, leaver) in &leavers.0 {
        ended.push((*what, leaver(tx, user, at)?));
    }
    Ok(Ended(ended))
}
