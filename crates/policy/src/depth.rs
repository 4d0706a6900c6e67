//! How deep policies may nest. Parser, validator and destructors descend into them, and a stack that ends takes the
//! whole server with it: so depth is bounded before anything descends, by counting what makes it. So is what a pattern
//! costs: matching takes the pattern's length for each character of a text.

use serde_json::Value;

/// How deep brackets may nest.
const MAX_NESTING: usize = 32;

/// How many operators one policy may have: each may make it one level deeper.
const MAX_OPERATORS: usize = 500;

/// How long the pattern after `like` may be, in bytes, its quotes included.
const MAX_PATTERN: usize = 130;

/// How many levels of a policy's tree any stack has room for. The tree is JSON, in which each operator is two.
const SHALLOW: usize = 24;

/// The stack for what is deeper: for the deepest that [`too_deep`] lets in. Only what is used of it is taken.
const STACK: usize = 256 * 1024 * 1024;

/// Runs `work` where the deepest policies have room.
pub(crate) fn on_deep_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::grow(STACK, work)
}

/// Whether evaluating a policy, given as a tree, needs such a stack.
pub(crate) fn is_deep(tree: &Value) -> bool {
    levels(tree) > SHALLOW
}

fn levels(tree: &Value) -> usize {
    match tree {
        Value::Object(fields) => 1 + fields.values().map(levels).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Where policies are too deep, and what is wrong there.
pub(crate) fn too_deep(source: &str) -> Option<(usize, String)> {
    let (mut nesting, mut operators, mut pattern) = (0_usize, 0_usize, false);
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = token(rest, first);
        let (word, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let offset = source.len() - rest.len();
        match word {
            "(" | "[" | "{" => nesting += 1,
            ")" | "]" | "}" => nesting = nesting.saturating_sub(1),
            ";" => operators = 0,
            "in" | "has" | "like" | "is" | "if" => operators += 1,
            _ if operator(first) && !word.starts_with("//") => operators += 1,
            _ => {}
        }
        if pattern && length > MAX_PATTERN {
            return Some((offset, format!("a pattern has at most {} bytes", MAX_PATTERN - 2)));
        }
        if !first.is_whitespace() && !word.starts_with("//") {
            pattern = word == "like";
        }
        if nesting > MAX_NESTING {
            return Some((offset, format!("brackets nest at most {MAX_NESTING} deep")));
        }
        if operators > MAX_OPERATORS {
            let message = format!("a policy has at most {MAX_OPERATORS} operators: divide it, or use a set");
            return Some((offset, message));
        }
        rest = after;
    }
    None
}

/// How long what begins here is: a text, a comment, a word, a run of operators, or one character.
fn token(rest: &str, first: char) -> usize {
    let run = |of: fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
    match first {
        '"' => text(rest),
        '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
        _ if first.is_alphanumeric() || first == '_' => run(|c| c.is_alphanumeric() || c == '_'),
        // Each point is one step down, and each sign before a value another.
        '.' | '!' | '-' => 1,
        _ if operator(first) => run(|c| operator(c) && !matches!(c, '.' | '!' | '-' | '/')),
        _ => first.len_utf8(),
    }
}

/// How long the text is that begins here, its quotes included.
fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn operator(c: char) -> bool {
    matches!(c, '&' | '|' | '+' | '-' | '*' | '/' | '%' | '=' | '<' | '>' | '!' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_texts_and_comments_and_for_each_policy() {
        let many = |what: &str, times: usize| what.repeat(times);
        for fine in [
            many("(", 32) + &many(")", 32),
            many("()", 10_000),
            format!("\"{}\"", many("(\\\"", 10_000)),
            format!("// {}\n", many("(&&", 10_000)),
            many("a && b == c;", 10_000),
            many("a && ", 500),
            many("a, ", 10_000),
            many("A::", 10_000),
            format!("\"{}\" like \"{}\"", many("a", 10_000), many("a", 128)),
            format!("a like \"*\" && b == \"{}\"", many("a", 10_000)),
            "\"(((".to_owned() + &many("(", 100),
        ] {
            assert_eq!(too_deep(&fine), None, "{}", fine.get(..40).unwrap_or(&fine));
        }
        for (deep, offset) in [
            (many("(", 33), 32),
            (many("[", 33), 32),
            (many("{a: ", 33), 32 * 4),
            (many("a && ", 501), 500 * 5 + 2),
            (many("a.", 501), 1_001),
            (many("-", 501), 500),
            (many("!", 501), 500),
            (many("a in ", 501), 500 * 5 + 2),
            (many("if ", 501), 500 * 3),
            (many("\"\\\\\" + ", 501), 500 * 7 + 5),
            (many("a//\n.", 501), 500 * 5 + 4),
            (format!("a like // \"*\"\n \"{}\"", many("a", 129)), 15),
        ] {
            assert_eq!(too_deep(&deep).map(|(at, _)| at), Some(offset), "{}", deep.get(..40).unwrap_or(&deep));
        }
    }
}
