//! The tools that an answer asks for, put to the tenant's policies before the client hears of them.
//!
//! **Invariant:** where a gate stands, no part of a tool call leaves before the whole call is allowed. What cannot be
//! read is refused: a client might read it.

use authz::{Caller, Evidence, Facts, Forbidden, Permission, Question};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pass::{self, Pass, UseTool};
use crate::view::Runnable;

/// How many bytes of tool calls are held back.
const MAX_HELD: usize = 4 * 1024 * 1024;

/// Where the tool calls of one answer are asked for. Only where something may be refused is there one.
#[derive(Debug)]
pub(crate) struct Gate {
    caller: Caller,
    agent: String,
    version: String,
    model: String,
    data_class: Option<String>,
    /// Why no tool at all may be called, if so.
    none: Option<Forbidden>,
    decisions: Vec<Box<RawValue>>,
    calls: Vec<Called>,
    /// The choices whose calls are whole.
    finished: Vec<u64>,
    /// The calls that have left, by choice and place: nothing may be added to them.
    left: Vec<(u64, Place)>,
    held: BytesMut,
}

/// Why an answer is not passed on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A policy refuses a tool call.
    Denied(Box<Forbidden>),
    /// What it asks for cannot be told.
    Unreadable(&'static str),
}

/// Where a call stands in its choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Tool(u64),
    /// The older form, of which there is one.
    Function,
}

/// A tool call, as far as it has come.
#[derive(Debug)]
struct Called {
    choice: u64,
    place: Place,
    id: String,
    name: String,
    arguments: String,
}

#[derive(Deserialize)]
struct Answer {
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u64>,
    message: Option<Said>,
    delta: Option<Said>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    tool_calls: Option<Vec<Call>>,
    function_call: Option<Function>,
}

#[derive(Deserialize)]
struct Call {
    index: Option<u64>,
    id: Option<String>,
    function: Option<Function>,
    custom: Option<Custom>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Custom {
    name: Option<String>,
    input: Option<String>,
}

impl Gate {
    /// A gate, where the caller's policies may refuse a tool, or have the model offered none.
    pub(crate) fn of(pass: &Pass, agent: &Runnable, model: &str) -> Option<Box<Self>> {
        let guard = pass.caller().standing().guard.as_ref()?;
        let none = pass.limits().without_tools.then(|| pass::not_offered(pass.basis()));
        if none.is_none() && !guard.governs(Permission::ToolExecute) {
            return None;
        }
        Some(Box::new(Self {
            caller: pass.caller().clone(),
            agent: agent.version.agent_id.to_string(),
            version: agent.number.clone(),
            model: model.to_owned(),
            data_class: agent.version.definition.data_class().map(str::to_owned),
            none,
            decisions: Vec::new(),
            calls: Vec::new(),
            finished: Vec::new(),
            left: Vec::new(),
            held: BytesMut::new(),
        }))
    }

    /// What was decided so far, as the ledger keeps it.
    pub(crate) fn decisions(&self) -> &[Box<RawValue>] {
        &self.decisions
    }

    /// Asks for the tool calls of an answer in one piece.
    pub(crate) fn whole(&mut self, body: &[u8]) -> Result<(), Stop> {
        self.read(body)?;
        self.judge()
    }

    /// Takes an event of a stream with its data, and says what may leave now.
    pub(crate) fn event(&mut self, event: Bytes, data: &[u8]) -> Result<Bytes, Stop> {
        if data.is_empty() {
            return if is_quiet(&event) { Ok(event) } else { Err(Stop::Unreadable(UNREADABLE)) };
        }
        let Heard { calls, finished } = self.read(data)?;
        if !calls && (!finished || self.calls.is_empty()) {
            return Ok(event);
        }
        if self.held.len() + event.len() > MAX_HELD {
            return Err(Stop::Unreadable("its tool calls are too long"));
        }
        self.held.extend_from_slice(&event);
        let whole = self.calls.iter().all(|call| self.finished.contains(&call.choice));
        if whole { self.end() } else { Ok(Bytes::new()) }
    }

    /// Nothing more comes: what was held back may leave, if it may.
    pub(crate) fn end(&mut self) -> Result<Bytes, Stop> {
        self.judge()?;
        Ok(self.held.split().freeze())
    }

    fn read(&mut self, json: &[u8]) -> Result<Heard, Stop> {
        let answer: Answer = serde_json::from_slice(json).map_err(|_| Stop::Unreadable(UNREADABLE))?;
        let mut heard = Heard { calls: false, finished: false };
        for (position, choice) in (0..).zip(answer.choices.unwrap_or_default()) {
            let number = choice.index.unwrap_or(position);
            for said in [choice.message, choice.delta].into_iter().flatten() {
                heard.calls |= self.hear(number, said)?;
            }
            if choice.finish_reason.is_some_and(|reason| !reason.is_empty()) {
                heard.finished = true;
                self.finished.push(number);
            }
        }
        Ok(heard)
    }

    /// Notes the calls, or pieces of calls, in what a choice says; and whether there are any.
    fn hear(&mut self, choice: u64, said: Said) -> Result<bool, Stop> {
        let Said { tool_calls, function_call } = said;
        let mut any = false;
        for (position, call) in (0..).zip(tool_calls.unwrap_or_default()) {
            let Call { index, id, function, custom } = call;
            if function.is_some() && custom.is_some() {
                return Err(Stop::Unreadable("a tool call of it is of two kinds"));
            }
            let place = Place::Tool(index.unwrap_or(position));
            let function = function.or_else(|| custom.map(Function::from)).unwrap_or(Function::NOTHING);
            self.add(choice, place, id.unwrap_or_default(), function)?;
            any = true;
        }
        if let Some(function) = function_call {
            self.add(choice, Place::Function, String::new(), function)?;
            any = true;
        }
        Ok(any)
    }

    fn add(&mut self, choice: u64, place: Place, id: String, function: Function) -> Result<(), Stop> {
        if self.left.contains(&(choice, place)) {
            return Err(Stop::Unreadable("a tool call of it goes on after its end"));
        }
        let Function { name, arguments } = function;
        let (name, arguments) = (name.unwrap_or_default(), arguments.unwrap_or_default());
        let begun = self.calls.iter_mut().rev().find(|call| call.choice == choice && call.place == place);
        // Some upstreams give every call the same place, and tell them apart by id.
        let same = begun.filter(|call| id.is_empty() || call.id.is_empty() || call.id == id);
        let Some(call) = same else {
            self.calls.push(Called { choice, place, id, name, arguments });
            return Ok(());
        };
        if !name.is_empty() && !call.name.is_empty() && call.name != name {
            return Err(Stop::Unreadable("a tool call of it has two names"));
        }
        if call.name.is_empty() {
            call.name = name;
        }
        if call.id.is_empty() {
            call.id = id;
        }
        call.arguments.push_str(&arguments);
        if call.arguments.len() > MAX_HELD { Err(Stop::Unreadable("its tool calls are too long")) } else { Ok(()) }
    }

    /// Asks for every call that is whole now. They may leave if all may.
    fn judge(&mut self) -> Result<(), Stop> {
        for call in std::mem::take(&mut self.calls) {
            let Called { choice, place, id: _, name, arguments } = call;
            if name.is_empty() {
                return Err(Stop::Unreadable("a tool call of it has no name"));
            }
            if let Some(refusal) = &self.none {
                return Err(Stop::Denied(Box::new(refusal.clone())));
            }
            self.ask(&name, if arguments.is_empty() { "{}" } else { &arguments })?;
            self.left.push((choice, place));
        }
        Ok(())
    }

    fn ask(&mut self, tool: &str, arguments: &str) -> Result<(), Stop> {
        let facts = Facts {
            agent: Some(&self.agent),
            version: Some(&self.version),
            model: Some(&self.model),
            tool: Some(tool),
            arguments: Some(arguments),
            data_class: self.data_class.as_deref(),
            ..Facts::default()
        };
        let (caller, permission, at) = (&self.caller, Permission::ToolExecute, self.caller.request().at);
        let question = Question { caller, permission, resource: Some(tool), at, facts: &facts };
        let decided = caller.authorize_with::<UseTool>(tool, &facts);
        let mut kept = Vec::new();
        Evidence::new(&question, decided.as_ref()).write(&mut kept);
        let kept = String::from_utf8(kept).ok().and_then(|kept| RawValue::from_string(kept).ok());
        self.decisions.extend(kept);
        let allowed = decided.and_then(|grant| pass::without_obligations(&grant));
        allowed.map_err(|refusal| Stop::Denied(Box::new(refusal)))
    }
}

const UNREADABLE: &str = "the tools that it asks for cannot be told";

/// Whether an event without data is one that its reader takes for one without data too.
fn is_quiet(event: &[u8]) -> bool {
    let known = |line: &[u8]| [&b":"[..], b"event", b"id", b"retry", b"data"].iter().any(|name| line.starts_with(name));
    event.split(|byte| matches!(byte, b'\n' | b'\r')).all(|line| line.is_empty() || known(line))
}

/// What an event, or a whole answer, speaks of.
struct Heard {
    calls: bool,
    finished: bool,
}

impl Function {
    const NOTHING: Self = Self { name: None, arguments: None };
}

/// The input of such a tool is a text of its own form: policies read it as one JSON text.
impl From<Custom> for Function {
    fn from(custom: Custom) -> Self {
        let Custom { name, input } = custom;
        Self { name, arguments: input.map(|input| Value::from(input).to_string()) }
    }
}
