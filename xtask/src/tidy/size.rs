//! Files of at most 600 lines, functions of at most 60: what is longer is two things.

use super::Violation;
use super::source::{Source, block_length, is_word};

const FILE: usize = 600;
const FUNCTION: usize = 60;

/// Production files and functions that are too long. A function may be longer where it says why, with
/// `#[expect(clippy::too_many_lines, reason = "…")]`.
pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    sources.iter().flat_map(|source| files(source).into_iter().chain(functions(source))).collect()
}

fn files(source: &Source) -> Option<Violation> {
    let lines = source.lines;
    (lines > FILE).then(|| Violation::new(&source.path, format!("{lines} lines without tests, at most {FILE}")))
}

fn functions(source: &Source) -> Vec<Violation> {
    let code = source.production.as_str();
    let long = code.match_indices("fn ").filter_map(|(at, word)| {
        let (before, from) = code.split_at(at);
        if before.ends_with(is_word) || excused(before) {
            return None;
        }
        let signature = from.split_at(word.len()).1;
        let name: String = signature.chars().take_while(|each| is_word(*each)).collect();
        let lines = body(signature)?.lines().filter(|line| !line.trim().is_empty()).count();
        let place = source.place(before.matches('\n').count() + 1);
        (lines > FUNCTION).then(|| Violation::new(place, format!("`{name}` has {lines} lines, at most {FUNCTION}")))
    });
    long.collect()
}

/// Whether the attributes right before a function expect it to be long.
fn excused(before: &str) -> bool {
    let item = before.rfind(['}', ';', '{']).map_or(before, |at| before.split_at(at).1);
    item.contains("too_many_lines")
}

/// What stands between the braces of a function whose signature, without `fn`, begins `text`.
fn body(text: &str) -> Option<&str> {
    let mut nested = 0_usize;
    for (at, each) in text.char_indices() {
        match each {
            '(' | '[' => nested += 1,
            ')' | ']' => nested = nested.saturating_sub(1),
            ';' if nested == 0 => return None,
            '{' if nested == 0 => {
                let block = text.split_at(at).1;
                return block.split_at(block_length(block)).0.strip_prefix('{')?.strip_suffix('}');
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::source::sample;
    use super::*;

    fn function(lines: usize, before: &str) -> Vec<Violation> {
        let text =
            format!("struct A;\n{before}fn long(a: [u8; 2]) -> u8 {{\n{}}}\n", "    call(\"}\");\n".repeat(lines));
        check(&[sample("src/lib.rs", &text)])
    }

    #[test]
    fn a_function_of_sixty_lines_passes_and_one_more_is_refused() {
        assert_eq!(function(60, ""), []);
        let violation = Violation::new("crates/demo/src/lib.rs:2", "`long` has 61 lines, at most 60");
        assert_eq!(function(61, ""), [violation]);
    }

    #[test]
    fn a_long_function_may_say_why() {
        let excuse = "#[expect(clippy::too_many_lines, reason = \"one table\")]\n";
        assert_eq!(function(80, excuse), []);
    }

    #[test]
    fn a_file_of_six_hundred_lines_passes_and_one_more_is_refused() {
        let file = |lines: usize| check(&[sample("src/a.rs", &"// a\n".repeat(lines))]);
        assert_eq!(file(600), []);
        assert_eq!(file(601), [Violation::new("crates/demo/src/a.rs", "601 lines without tests, at most 600")]);
    }

    #[test]
    fn tests_may_be_long() {
        let tests = format!("#[cfg(test)]\nmod tests {{\nfn long() {{\n{}}}\n}}\n", "    call();\n".repeat(700));
        assert_eq!(check(&[sample("src/lib.rs", &tests)]), []);
    }
}
