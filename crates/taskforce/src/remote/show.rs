//! What a server answered, for people.

use serde_json::Value;

use crate::output::{Output, Table};

/// A title, and where in the answer the value stands (RFC 6901).
pub(crate) type Column = (&'static str, &'static str);

/// Prints one page of a list, and how to go on.
pub(crate) fn table(output: &mut Output, page: &Value, columns: &[Column], empty: &str) {
    output.json_or(page, |output| {
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return output.line(empty);
        }
        let row = |item: &Value| columns.iter().map(|(_, pointer)| text(item.pointer(pointer))).collect();
        let head = columns.iter().map(|(title, _)| *title).collect();
        output.table(&Table { head, rows: items.iter().map(row).collect() });
        if let Some(next) = page.get("next").and_then(Value::as_str) {
            output.blank();
            output.line(format_args!("There are more: go on with --after {next}"));
        }
    });
}

/// Prints what is known of one thing; what it does not have is left out.
pub(crate) fn facts(output: &mut Output, thing: &Value, columns: &[Column]) {
    output.json_or(thing, |output| {
        let known: Vec<(&str, String)> = columns
            .iter()
            .map(|(title, pointer)| (*title, text(thing.pointer(pointer))))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let shown: Vec<(&str, &dyn std::fmt::Display)> =
            known.iter().map(|(title, text)| (*title, text as &dyn std::fmt::Display)).collect();
        output.facts(&shown);
    });
}

/// A value as people read it: a list as its items, nothing for what is absent.
pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| text(Some(item))).collect();
            items.join(", ")
        }
        Some(Value::Object(fields)) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", text(Some(value)))).collect();
            fields.join(" ")
        }
        Some(other @ (Value::Bool(_) | Value::Number(_))) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(text(Some(&json!(["admin", "viewer"]))), "admin, viewer");
        assert_eq!(text(Some(&json!({ "level": 3, "team": "a" }))), "level=3 team=a");
        assert_eq!(text(Some(&Value::Null)), "");
        assert_eq!(text(Some(&json!(true))), "true");
    }
}
