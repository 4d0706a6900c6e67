//! What the tests need, prepared one by one; a new need is one more line in [`PREPARATIONS`].

use crate::postgres::{Binaries, Cluster};
use crate::provider;
use crate::report;
use crate::scim;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

/// What has been prepared so far.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Environment of the tests.
    pub(crate) variables: Vec<(&'static str, OsString)>,
    /// Database engines that the store's tests run on.
    pub(crate) engines: Vec<String>,
    /// Whether ../shared is there; the suites that read it run only then.
    pub(crate) shared: bool,
    /// Whether the OpenID provider is there; the suites that sign in with it run only then.
    pub(crate) provider: bool,
    /// Whether the SCIM tester is there; the suite that runs it runs only then.
    pub(crate) scim: bool,
    cluster: Option<Cluster>,
}

/// One need: its name, and what makes sure of it and says in a few words what it found.
struct Preparation {
    name: &'static str,
    run: fn(&Path, &mut Prepared) -> Result<String, String>,
}

const PREPARATIONS: [Preparation; 4] = [
    Preparation { name: "shared", run: shared },
    Preparation { name: "provider", run: openid_provider },
    Preparation { name: "scim", run: scim_tester },
    Preparation { name: "postgres", run: postgres },
];

/// Prepares everything, or stops at the first need that cannot be met.
pub(crate) fn all(root: &Path) -> Result<Prepared, String> {
    let mut prepared = Prepared { engines: vec!["sqlite (built in)".to_owned()], ..Prepared::default() };
    for Preparation { name, run } in PREPARATIONS {
        let begun = Instant::now();
        let found = run(root, &mut prepared)?;
        report::line("prepare", name, format!("{found} ({})", report::seconds(begun.elapsed())));
    }
    Ok(prepared)
}

impl Prepared {
    /// Ends what runs beside the tests.
    pub(crate) fn tidy_up(self) -> Result<(), String> {
        self.cluster.map_or(Ok(()), Cluster::stop)
    }
}

fn shared(root: &Path, prepared: &mut Prepared) -> Result<String, String> {
    let folder = root.parent().map(|parent| parent.join("shared")).filter(|folder| folder.is_dir());
    prepared.shared = folder.is_some();
    if let Some(folder) = folder {
        prepared.variables.push(("TASKFORCE_SHARED", folder.into()));
        return Ok("found beside the workspace: the suites that read it will run".to_owned());
    }
    if in_ci() {
        return Err("../shared is absent and CI=true: the suites that read it may not be left out".to_owned());
    }
    Ok("absent: the suites that read it will not run".to_owned())
}

fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true")
}

fn openid_provider(root: &Path, prepared: &mut Prepared) -> Result<String, String> {
    let Some(node) = provider::node() else {
        if in_ci() {
            return Err(provider::ABSENT.to_owned());
        }
        return Ok("no `node` and `npm`: the suites that sign in with an OpenID provider will not run".to_owned());
    };
    let (folder, found) = provider::install(root)?;
    prepared.provider = true;
    prepared.variables.push(("TASKFORCE_TEST_PROVIDER", folder.into()));
    Ok(format!("node {node}, packages {found}"))
}

fn scim_tester(root: &Path, prepared: &mut Prepared) -> Result<String, String> {
    let Some(python) = scim::python() else {
        if in_ci() {
            return Err(scim::ABSENT.to_owned());
        }
        return Ok("no `python3` with environments: the suite that runs the SCIM tester will not run".to_owned());
    };
    let (tester, found) = scim::install(root)?;
    prepared.scim = true;
    prepared.variables.push(("TASKFORCE_TEST_SCIM", tester.into()));
    Ok(format!("python {python}, packages {found}"))
}

fn postgres(_root: &Path, prepared: &mut Prepared) -> Result<String, String> {
    let binaries = if let Some(found) = Binaries::find()? {
        found
    } else {
        Binaries::may_install()?;
        report::line("prepare", "postgres", "no server programs found: installing the package `postgresql`");
        Binaries::install()?;
        Binaries::find()?.ok_or("the package `postgresql` was installed, but its programs are not found")?
    };
    let cluster = Cluster::start(&binaries)?;
    let version = cluster.version().to_owned();
    prepared.variables.push(("TASKFORCE_TEST_PG", cluster.connection().into()));
    prepared.engines.push(format!("postgres {version}"));
    prepared.cluster = Some(cluster);
    Ok(format!("{version} from {}, scratch server started", binaries.folder().display()))
}
