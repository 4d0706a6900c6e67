//! What one definition changes about another, in terms of what the agent may do. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Definition;

/// What changes from one definition to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// Another model.
    pub model: Option<Change>,
    /// Another system prompt.
    pub system_prompt: Option<Change>,
    /// Tools that the agent may call from now on: a wider permission.
    pub tools_added: Vec<String>,
    /// Tools that it may no longer call.
    pub tools_removed: Vec<String>,
    /// Tools that are described differently.
    pub tools_changed: Vec<String>,
    /// Parameters with another value, by name.
    pub parameters: BTreeMap<String, Change>,
    /// Other fields that differ, by name.
    pub other: Vec<String>,
}

/// A value before and after; `None` where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Before.
    pub old: Option<Value>,
    /// After.
    pub new: Option<Value>,
}

impl Diff {
    /// Whether the agent may do more than before.
    pub fn widens(&self) -> bool {
        !self.tools_added.is_empty()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `new` changes about `old`, or about an agent that could do nothing.
pub fn diff(old: Option<&Definition>, new: &Definition) -> Diff {
    let field = |definition: Option<&Definition>, name: &str| definition.and_then(|d| d.fields().get(name)).cloned();
    let changed = |name: &str| change(field(old, name), field(Some(new), name));
    let before = tools(old);
    let after = tools(Some(new));
    let names: BTreeSet<&String> =
        old.iter().flat_map(|definition| definition.fields().keys()).chain(new.fields().keys()).collect();
    let recognised = ["model", "system_prompt", "tools", "parameters"];
    Diff {
        model: changed("model"),
        system_prompt: changed("system_prompt"),
        tools_added: only_in(&after, &before),
        tools_removed: only_in(&before, &after),
        tools_changed: after
            .iter()
            .filter(|(name, object)| before.get(*name).is_some_and(|same| same != *object))
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        parameters: parameters(old, new),
        other: names
            .into_iter()
            .filter(|name| !recognised.contains(&name.as_str()) && changed(name).is_some())
            .cloned()
            .collect(),
    }
}

fn tools(definition: Option<&Definition>) -> BTreeMap<&str, Option<&Value>> {
    let tools = definition.into_iter().flat_map(Definition::tools);
    tools.map(|tool| (tool.name(), tool.object())).collect()
}

fn only_in(here: &BTreeMap<&str, Option<&Value>>, there: &BTreeMap<&str, Option<&Value>>) -> Vec<String> {
    here.keys().filter(|name| !there.contains_key(*name)).map(|name| (*name).to_owned()).collect()
}

fn parameters(old: Option<&Definition>, new: &Definition) -> BTreeMap<String, Change> {
    let before: BTreeMap<&str, &Value> = old.into_iter().flat_map(Definition::parameters).collect();
    let after: BTreeMap<&str, &Value> = new.parameters().collect();
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    names
        .into_iter()
        .filter_map(|name| {
            let change = change(before.get(name).copied().cloned(), after.get(name).copied().cloned());
            change.map(|change| (name.to_owned(), change))
        })
        .collect()
}

fn change(old: Option<Value>, new: Option<Value>) -> Option<Change> {
    if old == new { None } else { Some(Change { old, new }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn define(value: &Value) -> Definition {
        Definition::new(value).unwrap()
    }

    #[test]
    fn a_tool_more_widens_what_the_agent_may_do() {
        let old = define(&json!({ "tools": ["semantic_search", "send_email"] }));
        let new = define(&json!({ "tools": ["create_ticket", "semantic_search", "send_email"] }));
        let diff_forward = diff(Some(&old), &new);
        assert_eq!(diff_forward.tools_added, ["create_ticket"]);
        assert!(diff_forward.widens());
        let back = diff(Some(&new), &old);
        assert_eq!(back.tools_removed, ["create_ticket"]);
        assert!(!back.widens());
    }

    #[test]
    fn a_first_version_widens_by_all_its_tools() {
        let first = diff(None, &define(&json!({ "model": "gpt-4o", "tools": ["a", "b"] })));
        assert_eq!(first.tools_added, ["a", "b"]);
        assert_eq!(first.model, Some(Change { old: None, new: Some(json!("gpt-4o")) }));
    }

    #[test]
    fn every_kind_of_change_is_named() {
        let tool = |text: &str| json!({ "type": "function", "function": { "name": "a", "description": text } });
        let old = define(&json!({
            "model": "m1", "system_prompt": "p", "tools": [tool("one")], "team": "x", "kept": [1],
            "parameters": { "temperature": 0, "top_p": 1 },
        }));
        let new = define(&json!({
            "model": "m1", "system_prompt": "q", "tools": [tool("two")], "team": "y", "kept": [1],
            "parameters": { "temperature": 1, "seed": 7 },
        }));
        let diff = diff(Some(&old), &new);
        assert_eq!(diff.model, None);
        assert_eq!(diff.system_prompt, Some(Change { old: Some(json!("p")), new: Some(json!("q")) }));
        assert_eq!(diff.tools_changed, ["a"]);
        assert_eq!(diff.parameters.keys().collect::<Vec<_>>(), ["seed", "temperature", "top_p"]);
        assert_eq!(diff.other, ["team"]);
        assert!(!diff.widens());
    }

    #[test]
    fn nothing_changes_between_the_same() {
        let same = define(&json!({ "tools": ["a"], "parameters": { "n": 1 }, "x": null }));
        assert!(diff(Some(&same), &same).is_empty());
    }
}
