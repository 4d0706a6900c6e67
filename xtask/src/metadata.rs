//! The workspace as cargo sees it: its crates, what each imports, and who depends on whom in the whole graph.

use crate::process;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;

/// A crate of this workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Relative to the workspace, as in `crates/store`.
    pub(crate) folder: String,
    /// Workspace crates that its library or program depends on; what only its tests need is not here.
    pub(crate) imports: BTreeSet<String>,
}

/// One arrow of the dependency graph, tests' needs included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// All that the checks ask cargo for.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) crates: Vec<Crate>,
    pub(crate) arrows: BTreeSet<Arrow>,
    /// Packages that come neither from this workspace nor from a registry.
    pub(crate) foreign: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Asks cargo, for this machine's platform: a crate of another platform need not be downloaded.
pub(crate) fn read(root: &Path) -> Result<Metadata, String> {
    let said = process::output(std::process::Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`rustc -vV` names no host")?;
    let cargo = |arguments: &[&str]| process::output(process::cargo().current_dir(root).args(arguments));
    let packages = cargo(&["metadata", "--format-version", "1", "--filter-platform", host])?;
    // Metadata has an arrow for each optional dependency that a feature merely mentions; the tree has those in use.
    let tree = cargo(&["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "depth", "--format", " {p}"])?;
    parse(&packages, &tree, root)
}

fn parse(packages: &str, tree: &str, root: &Path) -> Result<Metadata, String> {
    let Answer { packages } =
        serde_json::from_str(packages).map_err(|cause| format!("cannot read cargo's metadata: {cause}"))?;
    let foreign = packages.iter().filter(|package| {
        package.source.as_ref().is_some_and(|source| !source.starts_with("registry+") && !source.starts_with("sparse+"))
    });
    let crates = packages.iter().filter(|package| package.source.is_none());
    Ok(Metadata {
        arrows: arrows(tree),
        foreign: foreign.map(|package| package.name.clone()).collect(),
        crates: crates.map(|package| workspace_crate(package, root)).collect(),
    })
}

/// Lines are `2 name v1.0.0`, where 2 is the depth: the parent is the last line with a smaller one.
fn arrows(tree: &str) -> BTreeSet<Arrow> {
    let mut arrows = BTreeSet::new();
    let mut path: Vec<&str> = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(Ok(depth)), Some(name)) = (words.next().map(str::parse::<usize>), words.next()) else { continue };
        path.truncate(depth);
        if let Some(parent) = path.last() {
            arrows.insert(Arrow { from: (*parent).to_owned(), to: name.to_owned() });
        }
        path.push(name);
    }
    arrows
}

fn workspace_crate(package: &Package, root: &Path) -> Crate {
    let manifest = Path::new(&package.manifest_path);
    let folder = manifest.parent().unwrap_or(manifest);
    let imports = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some() && dependency.kind.as_ref().is_none_or(|kind| kind != "dev"));
    Crate {
        name: package.name.clone(),
        folder: folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned(),
        imports: imports.map(|dependency| dependency.name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_need_is_no_import() {
        let said = r#"{
            "packages": [
                {"name": "store", "manifest_path": "/w/crates/store/Cargo.toml", "source": null, "dependencies": [
                    {"name": "kernel", "kind": null, "path": "/w/crates/kernel"},
                    {"name": "testkit", "kind": "dev", "path": "/w/crates/testkit"},
                    {"name": "rusqlite", "kind": null}]},
                {"name": "forked", "manifest_path": "/c/Cargo.toml", "source": "git+https://example.org", "dependencies": []}]}"#;
        let metadata = parse(said, "", Path::new("/w")).unwrap();
        let store = Crate {
            name: "store".to_owned(),
            folder: "crates/store".to_owned(),
            imports: BTreeSet::from(["kernel".to_owned()]),
        };
        assert_eq!(metadata.crates, [store]);
        assert_eq!(metadata.foreign, ["forked"]);
    }
    #[test]
    fn the_parent_of_a_line_is_the_last_one_above_it_that_is_shallower() {
        let tree = "0 api v0.1.0 (/w/crates/api)\n1 axum v0.8.9\n2 http v1.0.0\n1 http v1.0.0 (*)\n\n0 kernel v0.1.0\n";
        let found: Vec<(String, String)> = arrows(tree).into_iter().map(|arrow| (arrow.from, arrow.to)).collect();
        let expected = [("api", "axum"), ("api", "http"), ("axum", "http")];
        assert_eq!(found, expected.map(|(from, to)| (from.to_owned(), to.to_owned())));
    }
}
