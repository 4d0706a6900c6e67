//! Decisions of the past, decided again.

use authz::{DecisionInput, Facts, Known};
use serde::Deserialize;
use serde_json::Value;

use crate::asked::{Asked, Principal, Who};
use crate::rules::{Rules, Word};

impl Rules {
    /// Decides on `input` again. Roles come first.
    pub fn replay(&self, input: &DecisionInput) -> Word {
        if !input.permissions.contains(input.permission) {
            return Word::unpermitted(input.permission);
        }
        let asked = asked(input);
        match Principal::new(&asked.who, self.needs()) {
            Ok(principal) => self.decide(&asked, &principal),
            Err(error) => Word::unasked(error.as_ref()),
        }
    }
}

fn asked(input: &DecisionInput) -> Asked<'_> {
    let Known { agent, version, model, tool, arguments, tools, cost_nanos, data_class } = &input.facts;
    Asked {
        who: Who { id: &input.id, kind: input.kind, roles: &input.roles, attributes: &input.attributes },
        permission: input.permission,
        resource: input.resource.as_deref(),
        at: input.at,
        facts: Facts {
            agent: agent.as_deref(),
            version: version.as_deref(),
            model: model.as_deref(),
            tool: tool.as_deref(),
            arguments: arguments.as_deref(),
            tools,
            cost_nanos: *cost_nanos,
            data_class: data_class.as_deref(),
        },
    }
}

/// What the ledger kept of a decision: [`authz::Evidence`].
#[derive(Debug, Deserialize)]
pub(crate) struct Kept {
    pub(crate) verdict: String,
    #[serde(default)]
    pub(crate) input: Option<Value>,
}
