//! A call on its way, which ends once: settled and recorded, whatever happens.

use std::sync::Arc;

use authz::{Basis, Cause, Forbidden};
use tokio_util::sync::WaitForCancellationFutureOwned;
use usage::{Charge, Measure, Reservation, Tokens};

use crate::Gateway;
use crate::entries::{self, Bill};
use crate::facts::Call;
use crate::pass::Pass;
use crate::recorder::{Change, Durable, NotRecorded};
use crate::tools::Gate;
use crate::transcript::Transcript;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The upstream answered; what it reported, if it did.
    Completed(Option<Tokens>),
    /// The upstream took no call: nothing is charged.
    Refused(&'static str),
    /// The answer broke off: it is charged as far as it came.
    BrokenOff(&'static str),
    /// A policy refuses a tool that the answer asked for; what the upstream reported, if it did.
    Denied(Option<Tokens>, Box<Denial>),
    /// The client went away.
    Aborted,
}

/// The refusal of a tool.
#[derive(Debug)]
pub(crate) struct Denial {
    pub(crate) refusal: Forbidden,
    said: String,
}

impl From<Forbidden> for Denial {
    fn from(refusal: Forbidden) -> Self {
        let said = refusal.to_string();
        Self { refusal, said }
    }
}

impl Ending {
    /// The policy's rule that ended the call, if one did.
    fn basis(&self) -> Option<&Basis> {
        match self {
            Self::Denied(_, denial) => match &denial.refusal.cause {
                Cause::Policy { basis, .. } | Cause::NeedsApproval { basis, .. } => basis.as_ref(),
                Cause::Missing { .. } | Cause::NotFresh => None,
            },
            Self::Completed(_) | Self::Refused(_) | Self::BrokenOff(_) | Self::Aborted => None,
        }
    }
}

/// Why a call that still ran ended when the server did.
pub(crate) const STOPPED: &str = "the server stopped";

/// A call on its way. It ends once: by [`Flight::end`], or, when it is dropped, as aborted.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) pass: Pass,
    pub(crate) call: Arc<Call>,
    pub(crate) reservation: Option<Reservation>,
    pub(crate) answer: Transcript,
    pub(crate) gate: Option<Box<Gate>>,
}

impl Flight {
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// Resolves when the server ends what still runs.
    pub(crate) fn stopped(&self) -> WaitForCancellationFutureOwned {
        self.gateway.stop().clone().cancelled_owned()
    }

    pub(crate) async fn record(mut self, ending: Ending) -> Result<u64, NotRecorded> {
        self.end(&ending).await.unwrap_or(Err(NotRecorded::Unavailable))
    }

    /// Settles the call and hands in its end. Called once; a second call finds nothing to end.
    pub(crate) fn end(&mut self, ending: &Ending) -> Durable {
        let Some(reservation) = self.reservation.take() else {
            return tokio::sync::oneshot::channel().1;
        };
        let (action, reason, charge, measure) = self.weigh(ending);
        let settled = reservation.settle(charge);
        let tokens = settled.charge().tokens();
        let bill = Bill {
            tokens: &tokens,
            cost: settled.cost(),
            estimated: measure != Measure::Reported,
            reason,
            basis: ending.basis().or_else(|| self.pass.basis()),
            tools: self.gate.as_deref().map(Gate::decisions).unwrap_or_default(),
        };
        let entry = self.pass.sign(entries::ended(action, &self.call, &bill, &self.answer));
        let usage = usage::Usage { call: usage::Call::from(&*self.call), measure, settled };
        self.gateway.recorder().submit(self.pass.tenant().clone(), entry, Change::Ended(Box::new(usage)))
    }

    /// What the ending is called and what it costs: never less than what is known to have been used, never more than
    /// what was held unless the upstream reports more.
    fn weigh<'e>(&self, ending: &'e Ending) -> (&'static str, Option<&'e str>, Charge, Measure) {
        let price = &self.call.price;
        match ending {
            Ending::Completed(Some(tokens)) => (entries::COMPLETED, None, price.charge(tokens), Measure::Reported),
            Ending::Completed(None) => {
                let reason = Some("the upstream reported no usage");
                (entries::COMPLETED, reason, self.estimate(), Measure::Estimated)
            }
            Ending::Denied(Some(tokens), denial) => {
                (entries::REFUSED, Some(&denial.said), price.charge(tokens), Measure::Reported)
            }
            Ending::Denied(None, denial) => (entries::REFUSED, Some(&denial.said), self.estimate(), Measure::Estimated),
            Ending::Refused(reason) => (entries::FAILED, Some(reason), Charge::nothing(price), Measure::Reported),
            Ending::BrokenOff(reason) => (entries::FAILED, Some(reason), self.estimate(), Measure::Estimated),
            Ending::Aborted => {
                let reason = Some("the client went away");
                (entries::ABORTED, reason, self.estimate(), Measure::Estimated)
            }
        }
    }

    /// Counts every byte that passed as a token; of a whole answer nothing passed, so it counts as the longest that it
    /// may be. Never more than what was held.
    fn estimate(&self) -> Charge {
        let bound = self.call.output_bound;
        let output = if self.call.stream { self.answer.length().min(bound) } else { bound };
        self.call.price.charge(&Tokens { input: self.call.input_bound, cached: 0, output })
    }
}

impl Drop for Flight {
    /// The client went away, or the server stops: the call's end is handed in, and nobody waits for it.
    fn drop(&mut self) {
        if self.reservation.is_some() {
            let stopped = self.gateway.stop().is_cancelled();
            drop(self.end(if stopped { &Ending::BrokenOff(STOPPED) } else { &Ending::Aborted }));
        }
    }
}
