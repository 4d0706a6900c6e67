//! The examples of `docs/policies.md` are what they say.

use policy::{Cases, Rules};

const BOOK: &str = include_str!("../../../../docs/policies.md");

/// The fenced blocks in `language`, with the heading that each stands under.
fn blocks(language: &str) -> Vec<(String, String)> {
    let (mut heading, mut open, mut found) = (String::new(), None, Vec::new());
    for line in BOOK.lines() {
        match open.as_mut() {
            None if line.starts_with('#') => line.trim_start_matches(['#', ' ']).clone_into(&mut heading),
            None if line == format!("```{language}") => open = Some(String::new()),
            Some(_) if line == "```" => found.extend(open.take().map(|text| (heading.clone(), text))),
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

#[test]
fn every_policy_in_the_book_is_valid_and_every_test_passes() {
    let (policies, tests) = (blocks("cedar"), blocks("yaml"));
    assert!(policies.len() >= 5 && tests.len() >= 5, "{} and {}", policies.len(), tests.len());
    for (heading, source) in &policies {
        let rules = Rules::read(source).unwrap_or_else(|error| panic!("{heading}: {error}"));
        for (_, tests) in tests.iter().filter(|(under, _)| under == heading) {
            let cases = Cases::read(tests).unwrap_or_else(|error| panic!("{heading}: {error}"));
            assert!(!cases.is_empty(), "{heading}");
            for tested in cases.run(&rules) {
                assert!(tested.passed(), "{heading}: {}: {:?}", tested.name, tested.wrong);
            }
        }
    }
    let headings: Vec<&String> = policies.iter().map(|(heading, _)| heading).collect();
    assert!(tests.iter().all(|(heading, _)| headings.contains(&heading)), "tests without policies");
}

#[test]
fn the_book_shows_the_schema_as_it_is() {
    for line in policy::SCHEMA.lines().filter(|line| !line.trim_start().starts_with("//")) {
        assert!(BOOK.contains(line), "docs/policies.md lacks `{line}`");
    }
}
