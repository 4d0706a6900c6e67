//! Everything that is printed goes through here: plain text, aligned, with color on a terminal only.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use serde_json::Value;

use crate::environment::Environment;

/// How wide a paragraph may be.
const WIDTH: usize = 100;

/// Where a command writes what it has to say.
pub(crate) struct Output {
    out: Box<dyn Write + Send>,
    colored: bool,
    json: bool,
    broken: bool,
}

/// How a word or line looks on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Note,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Note => "\x1b[33m",
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("colored", &self.colored).field("json", &self.json).finish_non_exhaustive()
    }
}

impl Output {
    /// The process's standard output.
    pub(crate) fn stdout(environment: &Environment, json: bool) -> Self {
        let stdout = io::stdout();
        let colored = stdout.is_terminal() && !environment.has("NO_COLOR");
        Self { out: Box::new(stdout), colored, json, broken: false }
    }

    /// Any writer, without color.
    #[cfg(test)]
    pub(crate) fn plain(out: impl Write + Send + 'static) -> Self {
        Self { out: Box::new(out), colored: false, json: false, broken: false }
    }

    /// Prints a value for programs, or the same for people.
    pub(crate) fn json_or(&mut self, value: &Value, people: impl FnOnce(&mut Self)) {
        if self.json {
            self.raw(&format!("{value:#}\n"));
        } else {
            people(self);
        }
    }

    /// Prints a document as it is, for people and programs alike.
    pub(crate) fn text(&mut self, text: &str) {
        self.raw(&format!("{text}\n"));
    }

    /// Prints a line.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.styled(Look::Plain, text);
    }

    /// Prints a line in one look.
    pub(crate) fn styled(&mut self, look: Look, text: impl Display) {
        if self.json {
            return;
        }
        let line = self.dressed(look, &text.to_string());
        self.raw(&format!("{}\n", line.trim_end()));
    }

    /// Prints an empty line.
    pub(crate) fn blank(&mut self) {
        self.line("");
    }

    /// Prints a paragraph, broken into lines, each indented.
    pub(crate) fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, WIDTH.saturating_sub(indent)) {
            self.line(format_args!("{:indent$}{line}", ""));
        }
    }

    /// Prints labels and values, the values aligned.
    pub(crate) fn facts(&mut self, facts: &[(&str, &dyn Display)]) {
        let wide = facts.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
        for (label, value) in facts {
            let label = self.dressed(Look::Dim, &padded(label, wide, Side::Left));
            self.pieces(&["  ", &label, "  ", &clean(&value.to_string())]);
        }
    }

    /// Prints a mark, what it is about, and the detail.
    pub(crate) fn mark(&mut self, mark: &Mark<'_>) {
        let Mark { look, word, about, detail } = mark;
        let word = self.dressed(*look, &padded(word, 7, Side::Left));
        self.pieces(&["  ", &word, &padded(&clean(about), 26, Side::Left), " ", &clean(detail)]);
    }

    /// Prints a table: numbers to the right, everything else to the left.
    pub(crate) fn table(&mut self, table: &Table) {
        let Table { head, rows } = table;
        let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
        let columns: Vec<(usize, Side)> =
            head.iter().enumerate().map(|(at, title)| column(title, at, &cells)).collect();
        let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
        let titles = self.dressed(Look::Dim, &aligned(&head, &columns));
        self.pieces(&["  ", &titles]);
        for row in &cells {
            self.pieces(&["  ", &aligned(row, &columns)]);
        }
    }

    /// Whether writing has failed, as when the reader is gone.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Text that is clean already, with the looks it has.
    fn pieces(&mut self, pieces: &[&str]) {
        if !self.json {
            let line = pieces.concat();
            self.raw(&format!("{}\n", line.trim_end()));
        }
    }

    fn dressed(&self, look: Look, text: &str) -> String {
        let text = clean(text);
        if self.colored && look != Look::Plain && !text.trim().is_empty() {
            return format!("{}{text}\x1b[0m", look.code());
        }
        text
    }

    fn raw(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        self.broken |= written.is_err();
    }
}

/// One finding of a list.
#[derive(Debug)]
pub(crate) struct Mark<'a> {
    pub(crate) look: Look,
    pub(crate) word: &'a str,
    pub(crate) about: &'a str,
    pub(crate) detail: &'a str,
}

/// Rows under titles.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn column(title: &str, at: usize, rows: &[Vec<String>]) -> (usize, Side) {
    let cells = || rows.iter().filter_map(|row| row.get(at));
    let wide = cells().map(|cell| width(cell)).chain([width(title)]).max().unwrap_or(0);
    let number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-'));
    let side = if !rows.is_empty() && cells().all(number) { Side::Right } else { Side::Left };
    (wide, side)
}

fn aligned(cells: &[String], columns: &[(usize, Side)]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(columns).map(|(cell, (wide, side))| padded(cell, *wide, *side)).collect();
    padded.join("  ")
}

fn padded(text: &str, wide: usize, side: Side) -> String {
    let gap = " ".repeat(wide.saturating_sub(width(text)));
    match side {
        Side::Left => format!("{text}{gap}"),
        Side::Right => format!("{gap}{text}"),
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Text from elsewhere must not move the cursor or recolor the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn wrap(text: &str, wide: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && width(&line) + 1 + width(word) > wide {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as people say it.
pub(crate) fn elapsed(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.1} ms", time.as_secs_f64() * 1_000.0),
        100_000..1_000_000 => format!("{:.0} ms", time.as_secs_f64() * 1_000.0),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(colored: bool, print: impl FnOnce(&mut Output)) -> String {
        let page = Page::default();
        print(&mut Output { colored, ..Output::plain(page.clone()) });
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    fn costs() -> Table {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["gpt-4o-mini", "1,204", "0.000361"]), row(["gpt-4o", "88", "0.00044"])];
        Table { head: vec!["model", "tokens", "cost USD"], rows }
    }

    #[test]
    fn a_table_is_aligned_with_numbers_to_the_right() {
        insta::assert_snapshot!(printed(false, |output| output.table(&costs())), @r"
          model        tokens  cost USD
          gpt-4o-mini   1,204  0.000361
          gpt-4o           88   0.00044
        ");
    }

    #[test]
    fn facts_are_aligned_and_paragraphs_are_broken() {
        let text = printed(false, |output| {
            output.facts(&[("url", &"http://127.0.0.1:8070"), ("database", &"SQLite")]);
            output.paragraph(4, &"word ".repeat(25));
            output.mark(&Mark { look: Look::Bad, word: "wrong", about: "data directory", detail: "mode 755" });
        });
        insta::assert_snapshot!(text, @r"
          url       http://127.0.0.1:8070
          database  SQLite
            word word word word word word word word word word word word word word word word word word word
            word word word word word word
          wrong  data directory             mode 755
        ");
    }

    #[test]
    fn color_is_for_terminals_and_text_from_elsewhere_brings_none() {
        let say = |output: &mut Output| output.styled(Look::Good, "a\x1b[31mb");
        assert_eq!(printed(false, say), "a\u{fffd}[31mb\n");
        assert_eq!(printed(true, say), "\x1b[32ma\u{fffd}[31mb\x1b[0m\n");
        assert!(printed(true, |output| output.table(&costs())).contains("\x1b[2m"));
        assert!(!printed(false, |output| output.table(&costs())).contains('\x1b'));
    }

    #[test]
    fn a_reader_that_is_gone_is_noticed_and_no_panic() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output::plain(Gone);
        output.line("lost");
        assert!(output.is_broken());
    }

    #[test]
    fn numbers_and_durations_read_well() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (micros, text) in [(7, "7 µs"), (3_250, "3.2 ms"), (250_000, "250 ms"), (61_500_000, "61.5 s")] {
            assert_eq!(elapsed(Duration::from_micros(micros)), text);
        }
    }
}
