//! A model call as a list of steps, each of which needs the proof made by the step before:
//! [`Pass`] → `Reservation` → [`Flight`] (the request's entry is on its way) → answer → settled → recorded → reply.

use std::sync::Arc;

use authz::{Caller, Evidence, Facts, Forbidden, Grant, Permission, Question};
use bytes::Bytes;
use catalog::Published;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use kernel::{AgentId, ReviewId};
use usage::{BudgetExhausted, LeaseError, Price, Reservation};

use crate::entries::{self, Begun};
use crate::facts::Call;
use crate::flight::{Denial, Ending, Flight};
use crate::pass::{Invoke, Pass};
use crate::recorder::{Change, Durable, NotRecorded};
use crate::request::{ChatRequest, Governed, Limits, RequestError};
use crate::stream::{Body, Relay};
use crate::tools::{Gate, Stop};
use crate::transcript::Transcript;
use crate::upstream::{SendError, Upstream};
use crate::view::{Runnable, View};
use crate::{Gateway, wire};

/// What a client asks of the gateway.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The agent that a header or the key names; the body's `model` goes before it.
    pub agent: Option<AgentId>,
    /// The body, as sent.
    pub body: &'a [u8],
}

/// Why a call was not made, or its answer not given.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The caller may not run agents.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A policy wants the call approved; the request for that is open.
    #[error("{refusal}: the request `{approval}` waits for an approval, with which the same call passes once")]
    ApprovalRequired {
        /// The request for approval.
        approval: ReviewId,
        /// What the policy said.
        refusal: Box<Forbidden>,
    },
    /// The body cannot be forwarded.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Neither the body, nor a header, nor the key says which agent this is for.
    #[error(
        "no agent is named: put its id into `model`, send it as `taskforce-agent`, or use a key that is bound to it"
    )]
    AgentNotNamed,
    /// No such agent here, or none of its versions is published.
    #[error("there is no published agent `{0}`")]
    AgentNotFound(AgentId),
    /// The published version does not say which model it uses.
    #[error("version {number} of the agent names no `model`: publish one that does")]
    NoModel {
        /// The version's number.
        number: String,
    },
    /// The model has no price, so its cost could not be kept within a budget.
    #[error("the model `{0}` has no price: an administrator sets one with `POST /api/v1/admin/prices`")]
    NoPrice(String),
    /// No upstream serves the model.
    #[error("no configured upstream serves the model `{0}`")]
    NoUpstream(String),
    /// A budget does not cover the call.
    #[error(transparent)]
    Budget(#[from] BudgetExhausted),
    /// What must be recorded cannot be.
    #[error("the call cannot be recorded, so it is refused")]
    NotRecorded(#[from] NotRecorded),
    /// The database did not answer.
    #[error("the database is unavailable")]
    Database(#[source] store::StoreError),
    /// The upstream gave no usable answer.
    #[error(transparent)]
    Upstream(#[from] SendError),
    /// The upstream refused Taskforce's own credentials, or failed.
    #[error("the upstream `{name}` answered with status {status}")]
    UpstreamStatus {
        /// Its name.
        name: String,
        /// What it answered.
        status: u16,
    },
    /// The answer broke off, or is none.
    #[error("the answer of the upstream `{name}` cannot be passed on: {reason}")]
    BrokenOff {
        /// Its name.
        name: String,
        /// What happened.
        reason: &'static str,
    },
}

impl Gateway {
    /// Makes a call and begins its answer.
    pub async fn chat(self: Arc<Self>, asked: Asked<'_>) -> Result<Response<Body>, ChatError> {
        asked.caller.precheck::<Invoke>()?;
        let request = ChatRequest::parse(asked.body)?;
        let agent = request.agent().or(asked.agent).ok_or(ChatError::AgentNotNamed)?;
        let view = self.views().of(asked.caller.tenant()).ok_or_else(|| ChatError::AgentNotFound(agent.clone()))?;
        let agent = view.agents.get(&agent).ok_or_else(|| ChatError::AgentNotFound(agent.clone()))?;
        let (price, upstream) = self.route(&view, &agent.version)?;
        let plan = Plan { caller: asked.caller, request: &request, view: &view, agent, price, upstream };
        let governed = plan.governed(Limits::default())?;
        if self.recorder().is_failing() {
            return Err(NotRecorded::Unavailable.into());
        }
        let (decided, decision) = plan.decide(&governed);
        let (mut flight, opened, body) = match decided {
            Ok(grant) => self.begin(&plan, Pass::Granted(grant), decision, governed).await?,
            Err(refusal) => Box::pin(self.plead(&plan, refusal, decision, governed)).await?,
        };
        let recorded = async { opened.await.unwrap_or(Err(NotRecorded::Unavailable)) };
        let sent = async { Ok(self.upstreams().send(upstream, body, request.stream).await) };
        // A beginning that cannot be recorded ends the call at once, however long the upstream would take.
        let (seq, answer) = match tokio::try_join!(recorded, sent) {
            Ok(both) => both,
            Err(error) => {
                drop(flight.end(&Ending::BrokenOff("its beginning could not be recorded, so its answer was dropped")));
                return Err(error.into());
            }
        };
        asked.caller.request().record(seq);
        flight.answered(answer).await
    }

    fn route<'v>(&self, view: &'v View, version: &Published) -> Result<(&'v Price, &Upstream), ChatError> {
        let no_model = || ChatError::NoModel { number: version.number.to_string() };
        let model = version.definition.model().ok_or_else(no_model)?;
        let now = self.db().moment().now();
        let price = view.prices.price(model, now).ok_or_else(|| ChatError::NoPrice(model.to_owned()))?;
        let upstream = self.upstreams().serving(model).ok_or_else(|| ChatError::NoUpstream(model.to_owned()))?;
        Ok((price, upstream))
    }

    pub(crate) fn call(&self, plan: &Plan<'_>, governed: &Governed) -> Result<Arc<Call>, ChatError> {
        let Plan { caller, request, view, agent, price, upstream } = *plan;
        let version = &agent.version;
        let not_a_user = || ChatError::Database(store::StoreError::Decode("a caller that is a user"));
        Ok(Arc::new(Call {
            id: self.db().moment().id(),
            agent: version.agent_id.clone(),
            version: version.version_id.clone(),
            digest: version.digest.clone(),
            view: view.version,
            user: caller.actor().id.parse().map_err(|_| not_a_user())?,
            price: price.clone(),
            upstream: upstream.name().to_owned(),
            stream: request.stream,
            wants_usage: request.wants_usage(),
            input_bound: governed.input_bound,
            output_bound: output_bound(price, governed),
        }))
    }

    /// Begins a call that is granted, within what it must keep to.
    async fn begin(
        self: &Arc<Self>,
        plan: &Plan<'_>,
        pass: Pass,
        decision: Vec<u8>,
        mut governed: Governed,
    ) -> Result<(Flight, Durable, Bytes), ChatError> {
        let limits = pass.limits();
        if limits != Limits::default() {
            governed = plan.governed(limits)?;
        }
        let call = self.call(plan, &governed)?;
        let reservation = self.reserve(plan, &call).await?;
        let gate = Gate::of(&pass, plan.agent, &plan.price.model);
        let (flight, opened) = self.open((pass, gate), call, reservation, (decision, &governed.body));
        Ok((flight, opened, Bytes::from(governed.body)))
    }

    /// Sets the most that the call can cost aside; only when this node's lease does not cover it, the database is asked.
    pub(crate) async fn reserve(self: &Arc<Self>, plan: &Plan<'_>, call: &Call) -> Result<Reservation, ChatError> {
        let amount = call.price.worst_case(call.input_bound, call.output_bound);
        let limits: Vec<_> =
            plan.view.limits.iter().filter(|limit| limit.applies(&call.agent, &call.user)).cloned().collect();
        let short = match self.purse().reserve(plan.caller.tenant(), &limits, amount, self.db().moment().now()) {
            Ok(reservation) => return Ok(reservation),
            Err(short) => short,
        };
        let gateway = Arc::clone(self);
        let leased = tokio::task::spawn_blocking(move || gateway.purse().lease(gateway.db(), short)).await;
        match leased.map_err(|error| ChatError::Database(store::StoreError::Unavailable(Box::new(error))))? {
            Ok(reservation) => Ok(reservation),
            Err(LeaseError::Exhausted(exhausted)) => Err(exhausted.into()),
            Err(LeaseError::Database(error)) => Err(ChatError::Database(error)),
        }
    }

    /// Hands in the request's entry. From here on the call has an end, whatever happens.
    fn open(
        self: &Arc<Self>,
        (pass, gate): (Pass, Option<Box<Gate>>),
        call: Arc<Call>,
        mut reservation: Reservation,
        (decision, body): (Vec<u8>, &[u8]),
    ) -> (Flight, Durable) {
        let row = reservation.open(usage::Call::from(&*call));
        let begun = Begun { held: reservation.amount(), basis: pass.basis(), approval: None };
        let entry = pass.sign(entries::requested(&call, &begun, decision, body));
        let opened = self.recorder().submit(pass.tenant().clone(), entry, Change::Opened(row));
        let (gateway, reservation, answer) = (Arc::clone(self), Some(reservation), Transcript::new());
        (Flight { gateway, pass, call, reservation, answer, gate }, opened)
    }
}

/// What is to be called, before anybody has said that it may be.
pub(crate) struct Plan<'a> {
    pub(crate) caller: &'a Caller,
    request: &'a ChatRequest<'a>,
    view: &'a View,
    pub(crate) agent: &'a Runnable,
    pub(crate) price: &'a Price,
    upstream: &'a Upstream,
}

impl Plan<'_> {
    pub(crate) fn governed(&self, limits: Limits) -> Result<Governed, RequestError> {
        self.request.governed(&self.agent.version, &self.price.model, limits)
    }

    /// Asks roles and policies, and says what the ledger keeps of that. Costs what they read are those of the call as
    /// it was asked for: what they then oblige it to makes it no dearer.
    fn decide(&self, governed: &Governed) -> (Result<Grant<Invoke>, Forbidden>, Vec<u8>) {
        let agent = self.agent.version.agent_id.as_str();
        let facts = Facts {
            agent: Some(agent),
            version: Some(&self.agent.number),
            model: Some(&self.price.model),
            tools: &governed.tools,
            cost_nanos: Some(self.price.worst_case(governed.input_bound, output_bound(self.price, governed)).nanos()),
            data_class: self.agent.version.definition.data_class(),
            ..Facts::default()
        };
        let caller = self.caller;
        let (permission, at) = (Permission::AgentExecute, caller.request().at);
        let question = Question { caller, permission, resource: Some(agent), at, facts: &facts };
        let decided = caller.authorize_with::<Invoke>(agent, &facts);
        let decision = entries::decision(&Evidence::new(&question, decided.as_ref()), governed.body.len());
        (decided, decision)
    }
}

/// The most output tokens that all answers to the call can have together.
fn output_bound(price: &Price, governed: &Governed) -> u64 {
    let each = governed.max_output.map_or(price.max_output_tokens, |limit| limit.min(price.max_output_tokens));
    each.saturating_mul(governed.choices)
}

impl Flight {
    /// The upstream's answer has begun, or there is none.
    async fn answered(self, answer: Result<Response<Incoming>, SendError>) -> Result<Response<Body>, ChatError> {
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                let reason = "the upstream gave no answer";
                let ending = if error.was_sent() { Ending::BrokenOff(reason) } else { Ending::Refused(reason) };
                self.record(ending).await?;
                return Err(error.into());
            }
        };
        if !response.status().is_success() {
            return self.refused(response).await;
        }
        let kind = response.headers().get(http::header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
        let events = kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"));
        if self.call.stream && events {
            let mut reply = wire::reply(&response, &self.call.id);
            *reply.body_mut() = Body::Relay(Box::new(Relay::new(self, response.into_body())));
            return Ok(reply);
        }
        self.whole(response).await
    }

    /// An answer in one piece: it leaves when its own record is durable.
    async fn whole(mut self, response: Response<Incoming>) -> Result<Response<Body>, ChatError> {
        let mut reply = wire::reply(&response, &self.call.id);
        let Ok(body) = wire::collect(response.into_body()).await else {
            let (name, reason) = (self.call.upstream.clone(), "it was not received whole");
            self.record(Ending::BrokenOff(reason)).await?;
            return Err(ChatError::BrokenOff { name, reason });
        };
        self.answer.push(&body);
        let Ok(tokens) = wire::reported(&body) else {
            let (name, reason) = (self.call.upstream.clone(), "it is not JSON");
            self.record(Ending::BrokenOff(reason)).await?;
            return Err(ChatError::BrokenOff { name, reason });
        };
        match self.gate.as_deref_mut().map_or(Ok(()), |gate| gate.whole(&body)) {
            Ok(()) => {}
            Err(Stop::Denied(refusal)) => {
                let denial = Box::new(Denial::from(Forbidden::clone(&refusal)));
                self.record(Ending::Denied(tokens, denial)).await?;
                return Err((*refusal).into());
            }
            Err(Stop::Unreadable(reason)) => {
                let name = self.call.upstream.clone();
                self.record(Ending::BrokenOff(reason)).await?;
                return Err(ChatError::BrokenOff { name, reason });
            }
        }
        self.record(Ending::Completed(tokens)).await?;
        *reply.body_mut() = Body::whole(body);
        Ok(reply)
    }

    /// The upstream refused the call. What the client may mend is passed on; what it may not know is not, and a body
    /// with our own key in it is kept nowhere.
    async fn refused(mut self, response: Response<Incoming>) -> Result<Response<Body>, ChatError> {
        let status = response.status();
        let name = self.call.upstream.clone();
        let mut reply = wire::reply(&response, &self.call.id);
        let body = wire::collect(response.into_body()).await.unwrap_or_default();
        let leaks = self.gateway.upstreams().leaks_a_key(&body);
        if !leaks {
            self.answer.push(&body);
        }
        self.record(Ending::Refused("the upstream refused the call")).await?;
        let ours = leaks || matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        if !status.is_client_error() || ours {
            return Err(ChatError::UpstreamStatus { name, status: status.as_u16() });
        }
        *reply.status_mut() = status;
        *reply.body_mut() = Body::whole(body);
        Ok(reply)
    }
}
