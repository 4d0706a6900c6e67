//! Words that may not stand in the code, or only in some crates.

use super::source::Source;
use super::{File, Violation};

/// The binary passes environment and time on as arguments; the other two are not shipped.
const OUTERMOST: [&str; 3] = ["taskforce", "testkit", "xtask"];

const OUTSIDE: [&str; 4] = ["std::env", "env::var", "SystemTime::now", "Timestamp::now"];

/// Attributes that switch a lint or a test off.
const HATCHES: [&str; 3] = ["#[ignore", "#[allow(", "#![allow("];

const SLEEPS: [&str; 2] = ["thread::sleep", "time::sleep"];

/// Tests in which time itself is what they are about: processes killed at random moments, upstreams that are slow on
/// purpose. The list may only shrink.
const PACED: [&str; 1] = ["crates/taskforce/tests/faults/"];

/// Written in halves, so that this file may name them.
const WORKPLACE: [&str; 8] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!(".libr", "ary/"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("files.", "pythonhosted.org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
];

/// Reading the environment or the clock anywhere but in the outermost crates.
pub(super) fn environment(sources: &[Source]) -> Vec<Violation> {
    let inner = sources.iter().filter(|source| !OUTERMOST.contains(&source.package.as_str()));
    inner.flat_map(|source| found(source, &source.production, &OUTSIDE, "only the binary reads")).collect()
}

/// Lints switched off without a reason, tests switched off, tests that wait for a while instead of a condition.
pub(super) fn escapes(sources: &[Source]) -> Vec<Violation> {
    let hatches = sources.iter().flat_map(|source| {
        let production = found(source, &source.production, &HATCHES, "use `#[expect(…, reason)]`, or mend it:");
        production.into_iter().chain(found(source, &source.tests, &HATCHES, "no test is switched off:"))
    });
    let unpaced = sources.iter().filter(|source| PACED.iter().all(|folder| !source.path.starts_with(folder)));
    let sleeps = unpaced.flat_map(|source| found(source, &source.tests, &SLEEPS, "a test never waits with"));
    hatches.chain(sleeps).collect()
}

fn found(source: &Source, text: &str, needles: &[&str], why: &str) -> Vec<Violation> {
    let each = |needle: &&str| -> Vec<Violation> {
        source.places(text, needle).map(|place| Violation::new(place, format!("{why} `{needle}`"))).collect()
    };
    needles.iter().flat_map(each).collect()
}

/// Paths and hosts of the machine that a change was written on: they mean nothing anywhere else.
pub(super) fn workplace(files: &[File]) -> Vec<Violation> {
    let in_file = |file: &File| -> Vec<Violation> {
        let lines = file.text.lines().zip(1_usize..);
        let named =
            lines.filter_map(|(line, n)| WORKPLACE.iter().find(|name| line.contains(*name)).map(|name| (n, name)));
        named.map(|(n, name)| Violation::new(format!("{}:{n}", file.path), format!("names `{name}`"))).collect()
    };
    files.iter().flat_map(in_file).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::sample;
    use super::*;

    #[test]
    fn the_environment_and_the_clock_are_refused_in_production_only() {
        let text = "use std::env;\nfn a() { SystemTime::now(); }\n// std::env is fine here\n\
                    #[cfg(test)]\nmod tests { fn b() { std::env::var(\"X\"); } }\n";
        let violations = environment(&[sample("src/lib.rs", text)]);
        let places: Vec<&str> = violations.iter().map(|violation| violation.place.as_str()).collect();
        assert_eq!(places, ["crates/demo/src/lib.rs:1", "crates/demo/src/lib.rs:2"]);
        let mut outermost = sample("src/lib.rs", text);
        outermost.package = "taskforce".to_owned();
        assert_eq!(environment(&[outermost]), []);
    }

    #[test]
    fn hatches_and_sleeps_are_refused() {
        let refused = |path: &str, text: &str| escapes(&[sample(path, text)]).len();
        assert_eq!(refused("tests/it/main.rs", "#[ignore]\nfn a() {}"), 1);
        assert_eq!(refused("src/lib.rs", "#![allow(missing_docs)]\n#[allow(unused)]\nfn a() {}"), 2);
        assert_eq!(refused("tests/it/main.rs", "fn a() { std::thread::sleep(SHORT); }"), 1);
        assert_eq!(refused("src/lib.rs", "#[cfg(test)]\nmod tests { fn a() { tokio::time::sleep(SHORT); } }"), 1);
    }

    #[test]
    fn the_same_words_are_fine_in_comments_and_strings() {
        assert_eq!(escapes(&[sample("src/lib.rs", "// #[ignore]\nconst A: &str = \"#[allow(\";")]), []);
    }

    #[test]
    fn a_path_of_the_workplace_is_refused_in_any_file() {
        let file = |text: &str| File { path: "README.md".to_owned(), text: text.to_owned() };
        assert_eq!(workplace(&[file("a framework/thing in ./work")]), []);
        let named = format!("see\n{}shared", WORKPLACE.first().unwrap());
        assert_eq!(workplace(&[file(&named)]).first().unwrap().place, "README.md:2");
    }
}
