//! The crate table of ARCHITECTURE.md says what cargo says.

use super::Violation;
use crate::metadata::Crate;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "ARCHITECTURE.md";

/// A row: what the crate is for, and the crates it says it imports.
struct Row {
    line: usize,
    purpose: String,
    imports: BTreeSet<String>,
}

/// The page or its table is missing, or a row differs from the manifests.
pub(super) fn check(page: Option<&str>, crates: &[Crate]) -> Vec<Violation> {
    let Some(page) = page else {
        return vec![Violation::new(PAGE, "is missing; its table `crate | for | imports` is compared with cargo")];
    };
    let rows = rows(page);
    if rows.is_empty() {
        let what = "has no table with the columns `crate | for | imports` whose first cells are names in backticks";
        return vec![Violation::new(PAGE, what)];
    }
    let names: BTreeSet<&str> = crates.iter().map(|member| member.name.as_str()).collect();
    let unknown = rows.iter().filter(|(name, _)| !names.contains(name.as_str())).map(|(name, row)| {
        Violation::new(format!("{PAGE}:{}", row.line), format!("`{name}` is no crate of the workspace"))
    });
    crates.iter().filter_map(|member| compare(member, rows.get(&member.name))).chain(unknown).collect()
}

fn compare(member: &Crate, row: Option<&Row>) -> Option<Violation> {
    let Some(row) = row else {
        return Some(Violation::new(PAGE, format!("the crate table has no row for `{}`", member.name)));
    };
    let place = format!("{PAGE}:{}", row.line);
    if row.purpose.is_empty() {
        return Some(Violation::new(place, format!("`{}` does not say what it is for", member.name)));
    }
    let more: Vec<&str> = member.imports.difference(&row.imports).map(String::as_str).collect();
    let less: Vec<&str> = row.imports.difference(&member.imports).map(String::as_str).collect();
    let said = [("also imports", more), ("does not import", less)].into_iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> = said.map(|(verb, names)| format!("{verb} `{}`", names.join("`, `"))).collect();
    (!said.is_empty()).then(|| Violation::new(place, format!("`{}` {}", member.name, said.join(" and "))))
}

/// Rows of the tables whose first column is headed `crate`, by crate.
fn rows(page: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    let mut in_table = false;
    for (text, line) in page.lines().zip(1_usize..) {
        let Some(cells) = text.trim().strip_prefix('|') else {
            in_table = false;
            continue;
        };
        let mut cells = cells.trim_end_matches('|').split('|').map(str::trim);
        let first = cells.next().unwrap_or_default();
        in_table |= first.eq_ignore_ascii_case("crate");
        let Some(name) = backticked(first).into_iter().next().filter(|_| in_table) else { continue };
        let purpose = cells.next().unwrap_or_default().to_owned();
        rows.insert(name, Row { line, purpose, imports: backticked(cells.next().unwrap_or_default()) });
    }
    rows
}

fn backticked(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A\n\n| crate | for | may import |\n|---|---|---|\n| `kernel` | ids | - |\n\
                        | `store` | rows | `kernel` |\n\n| word | meaning |\n|---|---|\n| `leaf` | bytes |\n";

    fn member(name: &str, imports: &[&str]) -> Crate {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        Crate { name: name.to_owned(), folder: format!("crates/{name}"), imports }
    }

    fn said(page: Option<&str>, crates: &[Crate]) -> Vec<String> {
        check(page, crates).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_that_agrees_passes() {
        assert_eq!(check(Some(PAGE), &[member("kernel", &[]), member("store", &["kernel"])]), []);
    }

    #[test]
    fn each_difference_is_named() {
        let crates = [member("kernel", &["tlog"]), member("store", &[]), member("audit", &[])];
        let expected = [
            "ARCHITECTURE.md:5: `kernel` also imports `tlog`",
            "ARCHITECTURE.md:6: `store` does not import `kernel`",
            "ARCHITECTURE.md: the crate table has no row for `audit`",
        ];
        assert_eq!(said(Some(PAGE), &crates), expected);
        let expected = ["ARCHITECTURE.md:6: `store` is no crate of the workspace"];
        assert_eq!(said(Some(PAGE), &[member("kernel", &[])]), expected);
    }

    #[test]
    fn a_missing_page_table_or_purpose_is_named() {
        assert!(said(None, &[]).concat().contains("is missing"));
        assert!(said(Some("# A\n"), &[]).concat().contains("has no table"));
        let page = PAGE.replace("| ids |", "| |");
        assert!(said(Some(&page), &[member("kernel", &[])]).concat().contains("what it is for"));
    }
}
