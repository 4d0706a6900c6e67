//! What becomes of the requests of somebody who leaves.

use ::store::{StoreError, WriteTx};
use kernel::Timestamp;

use crate::{Followers, Status, finish, store};

/// Ends every pending request that `user` made, inside the transaction by which they leave, and says how many were taken
/// back. Its entry records it.
pub fn withdraw_all(
    tx: &mut WriteTx<'_>,
    user: &str,
    followers: &Followers,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut withdrawn = 0;
    for id in store::pending_of(tx, user)? {
        let Some(request) = store::request(tx, &id, now)? else {
            continue;
        };
        // Whose time is over has expired, whether or not anybody has looked since.
        let end = if request.status == Status::Expired { Status::Expired } else { Status::Cancelled };
        let request = finish(tx, request, end, now)?;
        followers.follow(tx, &request)?;
        withdrawn += u64::from(end == Status::Cancelled);
    }
    Ok(withdrawn)
}
