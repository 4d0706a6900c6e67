//! What a policy says beside its condition: its name, its reason, the third outcome, and obligations.

use authz::{Obligation, Permission, Permissions};
use cedar_policy::{Effect, Policy};
use kernel::Text;

/// What is read from a policy's annotations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Annotations {
    /// What the caller is told.
    pub(crate) reason: Option<String>,
    /// Whether what the policy permits needs somebody's approval first.
    pub(crate) approval: bool,
    /// What must be done along with what it permits.
    pub(crate) obligations: Vec<Obligation>,
}

/// Rule names that decisions use where no policy decided.
pub(crate) const DEFAULT: &str = "default";
pub(crate) const ROLES: &str = "roles";

/// What can wait for an approval: what an agent does.
const WAITS: Permissions = Permissions::NONE.with(Permission::AgentExecute).with(Permission::ToolExecute);

/// Where obligations can be met: where a model is called.
const OBLIGES: Permissions = Permissions::NONE.with(Permission::AgentExecute);

/// The policy's name.
pub(crate) fn id(policy: &Policy) -> Result<String, String> {
    let Some(id) = policy.annotation("id") else {
        return Err("a policy needs a name: write `@id(\"...\")` before it".to_owned());
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
        return Err(format!("`@id(\"{}\")` must have 1 to 64 letters, digits, `.`, `_` and `-`", id.escape_debug()));
    }
    if matches!(id, DEFAULT | ROLES) {
        return Err(format!("`{id}` is what decisions without a policy are named by: choose another `@id`"));
    }
    Ok(id.to_owned())
}

/// Everything but the name. `governs` is what the policy's scope includes.
pub(crate) fn read(policy: &Policy, governs: Permissions) -> Result<Annotations, String> {
    let mut annotations = Annotations::default();
    for (key, value) in policy.annotations() {
        match key {
            "id" => {}
            "reason" => {
                let reason = Text::<300>::new(value).map_err(|error| format!("`@reason` {error}"))?;
                annotations.reason = Some(reason.as_str().to_owned());
            }
            "outcome" => {
                if value != "require_approval" {
                    return Err("`@outcome` is `\"require_approval\"`, or left out".to_owned());
                }
                permitting(policy, governs, key, WAITS)?;
                annotations.approval = true;
            }
            "obligation" => {
                permitting(policy, governs, key, OBLIGES)?;
                annotations.obligations = obligations(value)?;
            }
            _ => {
                return Err(format!(
                    "`@{key}` means nothing here: there are `@id`, `@reason`, `@outcome` and `@obligation`"
                ));
            }
        }
    }
    Ok(annotations)
}

/// Whether the policy is a permit for nothing but `allowed`.
fn permitting(policy: &Policy, governs: Permissions, key: &str, allowed: Permissions) -> Result<(), String> {
    if policy.effect() == Effect::Forbid {
        return Err(format!("`@{key}` belongs to a permit: what is forbidden is not done in any way"));
    }
    if governs.is_empty() || !governs.without(allowed).is_empty() {
        let names: Vec<String> = allowed.iter().map(|permission| format!("Action::\"{permission}\"")).collect();
        return Err(format!("`@{key}` needs a scope that includes no action but {}", names.join(" and ")));
    }
    Ok(())
}

/// Reads obligations, separated by commas.
fn obligations(text: &str) -> Result<Vec<Obligation>, String> {
    let each = text.split(',').map(|one| one.trim().parse::<Obligation>());
    let all = each.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Ok(together(all.iter()))
}

/// All of them together: of several limits, the lowest.
pub(crate) fn together<'a>(all: impl Iterator<Item = &'a Obligation>) -> Vec<Obligation> {
    let mut limit = None;
    let mut without_tools = false;
    for one in all {
        match one {
            Obligation::MaxOutputTokens(tokens) => {
                limit = Some(limit.map_or(*tokens, |limit: u64| limit.min(*tokens)));
            }
            Obligation::WithoutTools => without_tools = true,
        }
    }
    let limit = limit.map(Obligation::MaxOutputTokens);
    limit.into_iter().chain(without_tools.then_some(Obligation::WithoutTools)).collect()
}
