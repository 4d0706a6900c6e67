//! Imports run one way: `pure <- store <- domains <- gateway <- api <- taskforce`.

use super::Violation;
use crate::metadata::Crate;

/// From the innermost outwards; a crate imports what stands before its own layer. What is not here has no place yet.
const LAYERS: [(&str, &[&str]); 8] = [
    ("pure", &["kernel", "authz", "tlog", "seal", "jose"]),
    ("outward", &["outbound", "oidc"]),
    ("store", &["store"]),
    ("domains", &["identity", "audit", "usage", "approvals", "catalog", "policy"]),
    ("gateway", &["gateway"]),
    ("api", &["api"]),
    ("binary", &["taskforce"]),
    ("tools", &["testkit", "xtask"]),
];

/// Imports inside one layer: pure crates build on each other, domains only so.
const INSIDE: [(&str, &str); 6] = [
    ("authz", "kernel"),
    ("seal", "kernel"),
    ("jose", "kernel"),
    ("oidc", "outbound"),
    ("catalog", "approvals"),
    ("policy", "approvals"),
];

/// Crates without a layer, and imports against the order.
pub(super) fn check(crates: &[Crate]) -> Vec<Violation> {
    crates.iter().flat_map(of_crate).collect()
}

fn of_crate(importer: &Crate) -> Vec<Violation> {
    let Some(own) = layer(&importer.name) else {
        return vec![Violation::new(&importer.folder, "has no layer: give it one in xtask/src/tidy/layers.rs")];
    };
    let refused = importer.imports.iter().filter(|imported| match layer(imported) {
        // The import's own line in this list says it.
        None => false,
        Some(other) => !allowed(&importer.name, own, imported, other),
    });
    let refuse = |imported: &String| {
        let (from, to) = (layer_name(own), layer(imported).map_or("", layer_name));
        Violation::new(&importer.folder, format!("may not import `{imported}` ({from} -> {to})"))
    };
    refused.map(refuse).collect()
}

fn allowed(from: &str, own: usize, to: &str, other: usize) -> bool {
    if layer_name(own) == "tools" {
        return layer_name(other) != "tools";
    }
    other < own || INSIDE.contains(&(from, to))
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, members)| members.contains(&name))
}

fn layer_name(layer: usize) -> &'static str {
    LAYERS.get(layer).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, imports: &[&str]) -> Vec<String> {
        let imports = imports.iter().map(|name| (*name).to_owned()).collect();
        let importer = Crate { name: name.to_owned(), folder: format!("crates/{name}"), imports };
        check(&[importer]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_outwards_in_are_fine() {
        for (name, imports) in [
            ("kernel", &[][..]),
            ("authz", &["kernel"]),
            ("store", &["kernel", "authz", "seal", "tlog"]),
            ("catalog", &["store", "approvals"]),
            ("gateway", &["identity", "usage", "audit", "catalog", "approvals", "store"]),
            ("api", &["gateway", "catalog", "kernel"]),
            ("taskforce", &["api"]),
            ("testkit", &["store", "api"]),
        ] {
            assert_eq!(said(name, imports), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn every_import_the_other_way_is_refused() {
        for (name, imported) in [
            ("kernel", "authz"),
            ("tlog", "kernel"),
            ("seal", "store"),
            ("store", "audit"),
            ("audit", "usage"),
            ("approvals", "catalog"),
            ("identity", "gateway"),
            ("gateway", "api"),
            ("api", "taskforce"),
            ("catalog", "testkit"),
            ("testkit", "xtask"),
        ] {
            assert_eq!(said(name, &[imported]).len(), 1, "{name} -> {imported}");
        }
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        let said = said("citations", &["kernel"]);
        assert_eq!(said, ["crates/citations: has no layer: give it one in xtask/src/tidy/layers.rs"]);
    }
}
