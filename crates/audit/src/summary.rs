//! The summary of a package for people: one page that needs nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::leaf::Leaf;
use crate::model::Head;

/// What a log holds, counted.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) actions: BTreeMap<String, u64>,
    pub(crate) first: Option<String>,
    pub(crate) last: Option<String>,
}

impl Summary {
    /// Counts one entry.
    pub(crate) fn count(&mut self, leaf: &Leaf<'_>) {
        // Looked up first: a name is allocated once, not for each entry.
        if let Some(count) = self.actions.get_mut(leaf.action) {
            *count += 1;
        } else {
            self.actions.insert(leaf.action.to_owned(), 1);
        }
        if self.first.is_none() {
            self.first = Some(leaf.ts.to_owned());
        }
        match &mut self.last {
            Some(last) => leaf.ts.clone_into(last),
            last => *last = Some(leaf.ts.to_owned()),
        }
    }
}

pub(crate) fn html(summary: &Summary, origin: &str, head: Head, exported_at: &str) -> String {
    let Summary { actions, first, last } = summary;
    let mut rows = String::new();
    for (action, count) in actions {
        // Writing to a string cannot fail.
        let _ = writeln!(rows, "<tr><td>{}<td class=n>{count}", escape(action));
    }
    let time = |time: &Option<String>| escape(time.as_deref().unwrap_or("none"));
    format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Evidence package: {origin}</title>\n\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}\
         table{{border-collapse:collapse}}td,th{{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}}\
         code{{overflow-wrap:anywhere}}.n{{text-align:right}}</style>\n\
         <h1>Evidence package</h1>\n\
         <p>This page only sums up. What the package proves, <code>taskforce verify</code> says: see README.md.\n\
         <table>\n<tr><th>Log<td><code>{origin}</code>\n<tr><th>Entries<td>{size}\n\
         <tr><th>Root<td><code>{root}</code>\n<tr><th>First entry<td>{first}\n<tr><th>Last entry<td>{last}\n\
         <tr><th>Exported<td>{exported_at}\n</table>\n\
         <h2>Entries by action</h2>\n<table>\n<tr><th>Action<th class=n>Entries\n{rows}</table>\n",
        origin = escape(origin),
        size = head.size,
        root = head.root.to_base64(),
        first = time(first),
        last = time(last),
        exported_at = escape(exported_at),
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tlog::Hash;

    #[test]
    fn what_an_attacker_writes_into_a_log_stays_text() {
        let summary = Summary { actions: [("<script>".to_owned(), 1)].into(), ..Summary::default() };
        let page = html(&summary, "a\"&'<b>", Head { size: 1, root: Hash::EMPTY_ROOT }, "now");
        assert!(page.contains("&lt;script&gt;") && page.contains("a&quot;&amp;&#39;&lt;b&gt;"));
        assert!(!page.contains("<script") && !page.contains("<b>"));
    }
}
