//! What is known of a call when it begins, and what its records say of it.

use kernel::{AgentId, CallId, UserId, VersionId};
use usage::Price;

/// What the records of a call say of it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) agent: AgentId,
    pub(crate) version: VersionId,
    pub(crate) digest: String,
    pub(crate) view: u64,
    pub(crate) user: UserId,
    pub(crate) price: Price,
    pub(crate) upstream: String,
    pub(crate) stream: bool,
    pub(crate) wants_usage: bool,
    pub(crate) input_bound: u64,
    pub(crate) output_bound: u64,
}

impl From<&Call> for usage::Call {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id.clone(),
            agent: call.agent.clone(),
            version: call.version.clone(),
            user: call.user.clone(),
            model: call.price.model.clone(),
            price_id: call.price.id.clone(),
        }
    }
}
