//! Calls that a policy does not simply allow: refused, or approved by somebody else, once. Off the request's task: this
//! is where calls wait for the database.

use std::sync::Arc;

use approvals::{Approval, Authors, NewRequest, OpenError, RequestType};
use authz::{Basis, Caller, Cause, Forbidden};
use bytes::Bytes;
use kernel::{Money, ReviewId, hex};
use store::{Attributed, Job, StoreError, WriteTx};
use tokio::sync::oneshot;
use usage::Reservation;

use crate::Gateway;
use crate::call::{ChatError, Plan};
use crate::entries::{self, Begun};
use crate::facts::Call;
use crate::flight::{Ending, Flight};
use crate::pass::{Pass, Plead};
use crate::recorder::{Change, Durable, NotRecorded};
use crate::request::{Governed, Limits};
use crate::tools::Gate;
use crate::transcript::Transcript;

/// A call that a policy refuses, or wants approved.
#[derive(Clone)]
struct Case {
    caller: Caller,
    call: Arc<Call>,
    refusal: Forbidden,
    /// What the payload says of the decision.
    decision: Vec<u8>,
    body: Bytes,
    /// What an approval is an approval of.
    digest: String,
    title: String,
    description: String,
}

impl Gateway {
    /// Goes on with a call that was not granted: only with an approval of exactly this call, which is used up by it.
    pub(crate) async fn plead(
        self: &Arc<Self>,
        plan: &Plan<'_>,
        refusal: Forbidden,
        decision: Vec<u8>,
        governed: Governed,
    ) -> Result<(Flight, Durable, Bytes), ChatError> {
        // What is approved, and forwarded then, is the call within what the policies oblige it to.
        let limits = limits(&refusal);
        let governed = if limits == Limits::default() { governed } else { plan.governed(limits)? };
        let call = self.call(plan, &governed)?;
        let case = Case::new(plan, call, refusal, decision, governed);
        if !matches!(case.refusal.cause, Cause::NeedsApproval { .. }) {
            return Err(self.refuse(case).await);
        }
        let asked = case.clone();
        if self.off_task(move |gateway| gateway.is_approved(&asked)).await? {
            let reservation = self.reserve(plan, &case.call).await?;
            let pass = Pass::approved(&case)?;
            let gate = Gate::of(&pass, plan.agent, &plan.price.model);
            let asked = case.clone();
            let begun = self.off_task(move |gateway| gateway.begin_approved(&asked, (pass, gate), reservation)).await?;
            if let Some((flight, opened)) = begun {
                return Ok((flight, opened, case.body));
            }
        }
        let asked = case.clone();
        let approval = self.off_task(move |gateway| gateway.ask(&asked)).await?;
        Err(ChatError::ApprovalRequired { approval, refusal: Box::new(case.refusal) })
    }

    /// Records the refusal. One that cannot be recorded is not told.
    async fn refuse(self: &Arc<Self>, case: Case) -> ChatError {
        let Case { caller, call, refusal, decision, body, .. } = case;
        let grant = match caller.authorize::<Plead>() {
            Ok(grant) => grant,
            Err(error) => return error.into(),
        };
        let entry = entries::refused(&call, basis(&refusal), decision, None, &entries::digest(&body));
        let entry = Attributed::new(&grant, entry);
        let recorded = self.recorder().submit(grant.tenant().clone(), entry, Change::Refused);
        match recorded.await.unwrap_or(Err(NotRecorded::Unavailable)) {
            Ok(seq) => {
                caller.request().record(seq);
                refusal.into()
            }
            Err(error) => error.into(),
        }
    }

    async fn off_task<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, ChatError> + Send + 'static,
    ) -> Result<T, ChatError> {
        let gateway = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&gateway)).await;
        done.map_err(|error| ChatError::Database(StoreError::Unavailable(Box::new(error))))?
    }

    fn is_approved(&self, case: &Case) -> Result<bool, ChatError> {
        let (grant, now) = (case.caller.authorize::<Plead>()?, self.db().moment().now());
        let found = self.db().read(&grant, |tx| approvals::usable(tx, &case.digest, &case.digest, now));
        Ok(found.map_err(ChatError::Database)?.is_some())
    }

    /// Uses the approval up and begins the call, in one transaction; `None` if somebody else was faster.
    fn begin_approved(
        self: &Arc<Self>,
        case: &Case,
        (pass, gate): (Pass, Option<Box<Gate>>),
        mut reservation: Reservation,
    ) -> Result<Option<(Flight, Durable)>, ChatError> {
        let (held, now) = (reservation.amount(), self.db().moment().now());
        let (mut row, tenant) = (None, pass.tenant().clone());
        let job: Job<'_> = Box::new(|tx: &mut WriteTx<'_>| {
            let Some(approval) = approvals::consume(tx, &case.digest, &case.digest, now)? else {
                return Ok(Vec::new());
            };
            let opened = row.insert(reservation.open(usage::Call::from(&*case.call)));
            usage::open_calls(tx, &[opened])?;
            Ok(vec![pass.sign(case.requested(held, &approval))])
        });
        let written = self.db().write_shares(vec![(tenant, job)]).pop();
        if row.is_none() {
            // Nothing was begun: what was set aside goes back when the reservation is dropped.
            return written.map_or(Ok(None), |end| end.map(|_| None)).map_err(ChatError::Database);
        }
        let (gateway, call, answer) = (Arc::clone(self), Arc::clone(&case.call), Transcript::new());
        let mut flight = Flight { gateway, pass, call, reservation: Some(reservation), answer, gate };
        let seq = match written {
            Some(Ok(places)) => places.first().map(|place| place.seq),
            Some(Err(_)) | None => None,
        };
        let Some(seq) = seq else {
            drop(flight.end(&Ending::Refused("its beginning could not be recorded, so it was not forwarded")));
            return Err(NotRecorded::Unavailable.into());
        };
        let (done, opened) = oneshot::channel();
        let _waits = done.send(Ok(seq));
        Ok(Some((flight, opened)))
    }

    /// Opens a request for the approval of the call, unless one is pending, and records that the call is refused.
    fn ask(&self, case: &Case) -> Result<ReviewId, ChatError> {
        let grant = case.caller.authorize::<Plead>()?;
        let new = case.request().map_err(ChatError::Database)?;
        let asked = self.db().write_data(grant, |tx| {
            let (approval, body) = match approvals::open(tx, new, &self.db().moment()) {
                Ok(request) => (request.id, Some(&*case.body)),
                Err(OpenError::Pending(pending)) => (pending, None),
                Err(OpenError::Database(error)) => return Err(error),
            };
            let Case { call, refusal, decision, body: forwarded, .. } = case;
            let digest = entries::digest(forwarded);
            let entry = entries::refused(call, basis(refusal), decision.clone(), Some((&approval, body)), &digest);
            Ok((entry, approval))
        });
        asked.map_err(ChatError::Database)
    }
}

impl Case {
    fn new(plan: &Plan<'_>, call: Arc<Call>, refusal: Forbidden, decision: Vec<u8>, governed: Governed) -> Self {
        let digest = digest(&call, &governed.body);
        let most = call.price.worst_case(call.input_bound, call.output_bound);
        let (name, number) = (&plan.agent.version.agent_name, &plan.agent.number);
        let tools = if governed.tools.is_empty() { "none".to_owned() } else { governed.tools.join(", ") };
        Self {
            title: format!("Call {name} {number}, for at most {most} {}", Money::CURRENCY),
            description: format!(
                "{refusal}. Model: {}. Tools: {tools}. The request itself is in the entry `{}` of the call `{}`.",
                call.price.model,
                entries::REFUSED,
                call.id
            ),
            caller: plan.caller.clone(),
            call,
            refusal,
            decision,
            body: Bytes::from(governed.body),
            digest,
        }
    }

    fn requested(&self, held: Money, approval: &Approval) -> store::Entry {
        let begun = Begun { held, basis: basis(&self.refusal), approval: Some(approval.request()) };
        entries::requested(&self.call, &begun, self.decision.clone(), &self.body)
    }

    /// Nobody who has a part in the call may approve it: neither who calls, nor who acts for them, nor who made their
    /// credential.
    fn request(&self) -> Result<NewRequest, StoreError> {
        let standing = self.caller.standing();
        let acting = standing.actor.act.iter().map(|acting| acting.id.as_str());
        let authors = acting
            .chain(standing.issued_by.iter())
            .try_fold(Authors::of(&standing.actor.id), |authors, id| authors.and(id))
            .ok_or(StoreError::Decode("a caller for whom few act"))?;
        Ok(NewRequest {
            kind: RequestType::AgentCall,
            resource_kind: "call",
            resource_id: self.digest.clone(),
            about: self.call.agent.to_string(),
            digest: self.digest.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            requester: standing.actor.id.clone(),
            authors,
        })
    }
}

impl Pass {
    fn approved(case: &Case) -> Result<Self, Forbidden> {
        let (grant, basis) = (case.caller.authorize::<Plead>()?, basis(&case.refusal).cloned());
        Ok(Self::Approved { grant, basis, limits: limits(&case.refusal) })
    }
}

/// What makes two calls the same: agent, version, caller, and what is forwarded.
fn digest(call: &Call, body: &[u8]) -> String {
    let mut text = format!("taskforce/call/1\0{}\0{}\0{}\0", call.agent, call.version, call.user).into_bytes();
    text.extend_from_slice(body);
    hex(tlog::sha256(&text).as_bytes())
}

/// What the call must keep within once it is approved.
fn limits(refusal: &Forbidden) -> Limits {
    match &refusal.cause {
        Cause::NeedsApproval { obligations, .. } => Limits::of(obligations),
        Cause::Policy { .. } | Cause::Missing { .. } | Cause::NotFresh => Limits::default(),
    }
}

fn basis(refusal: &Forbidden) -> Option<&Basis> {
    match &refusal.cause {
        Cause::Policy { basis, .. } | Cause::NeedsApproval { basis, .. } => basis.as_ref(),
        Cause::Missing { .. } | Cause::NotFresh => None,
    }
}
