//! Making versions, reading them, and saying what they change.

use ::store::{Database, ReadTx, StoreError};
use authz::{Action, Caller, Forbidden, Permission};
use kernel::{Moment, Page};

use crate::cases::{Cases, Tested, UnreadableCases};
use crate::compare::{Comparison, RolesOfTenant, compare, system_roles};
use crate::model::{Detail, Listing, NewVersion, State, Version, canonical, digest};
use crate::rules::Rules;
use crate::source::Invalid;
use crate::{entries, store};

/// Managing policies. No policy ever governs it, so that a mistake in one can be repaired.
#[derive(Debug)]
pub struct Manage;

impl Action for Manage {
    const NAME: &'static str = "policy.manage";
    const PERMISSION: Option<Permission> = Some(Permission::PolicyManage);
}

/// Reading policies, for those who read the ledger and do not manage.
#[derive(Debug)]
pub struct ReadPolicies;

impl Action for ReadPolicies {
    const NAME: &'static str = "policy.read";
    const PERMISSION: Option<Permission> = Some(Permission::AuditRead);
}

/// Why a version was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateVersionError {
    /// The caller may not manage policies.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The policies cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The tests cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableCases),
    /// Some of the tests fail.
    #[error("{} of the tests failed: {}", .0.len(), names(.0))]
    Failed(Vec<Tested>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

fn names(failed: &[Tested]) -> String {
    let all: Vec<String> = failed.iter().map(|test| format!("`{}` ({})", test.name, test.wrong.join("; "))).collect();
    all.join(", ")
}

/// Makes a version: its policies are read and checked, and every test that comes with it passes. It decides nothing
/// before it is activated.
pub fn create_version(
    db: &Database,
    caller: &Caller,
    new: NewVersion,
    at: &Moment<'_>,
) -> Result<Version, CreateVersionError> {
    let grant = caller.authorize::<Manage>()?;
    let NewVersion { source, tests, note } = new;
    let (source, tests) = (canonical(&source), canonical(&tests));
    let rules = Rules::read(&source)?;
    let cases = Cases::read(&tests)?;
    let failed: Vec<Tested> = cases.run(&rules).into_iter().filter(|tested| !tested.passed()).collect();
    if !failed.is_empty() {
        return Err(CreateVersionError::Failed(failed));
    }
    // Policies are checked before the change begins: nobody else could write meanwhile.
    let (active, roles) = db.read::<_, _, StoreError>(&grant, |tx| Ok((active(tx)?, roles(tx)?)))?;
    let changes = compare(rules_of(active.as_ref()).as_ref(), Some(&rules), &roles, at.now());
    db.write(grant, |tx| {
        let version = Version {
            number: store::latest(tx)? + 1,
            digest: digest(&source, &tests),
            note: note.map_or_else(String::new, |note| note.as_str().to_owned()),
            created_by: caller.actor().id.clone(),
            created_at: at.now(),
        };
        let detail = Detail { version, source, tests };
        store::insert(tx, &detail)?;
        Ok((entries::version_created(&detail.version, &changes, cases.len()), detail.version))
    })
}

/// Why policies cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller may neither manage policies nor read the ledger.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such version in this tenant.
    #[error("there is no version `{0}` of the policies")]
    NotFound(u64),
    /// The policies cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// One page of versions, in the order of their making.
pub fn versions(db: &Database, caller: &Caller, listing: &Listing) -> Result<Page<Version>, ReadError> {
    read(db, caller, |tx| {
        let found = store::versions(tx, listing)?;
        Ok(Page::of(found, listing.size, |version| version.number.to_string()))
    })
}

/// One version, with what it says.
pub fn version(db: &Database, caller: &Caller, number: u64) -> Result<Detail, ReadError> {
    read(db, caller, |tx| store::version(tx, number)?.ok_or(ReadError::NotFound(number)))
}

/// Which version holds.
pub fn state(db: &Database, caller: &Caller) -> Result<State, ReadError> {
    read(db, caller, |tx| Ok(store::state(tx)?))
}

/// What would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The version that it is compared with; `None` where none is active.
    pub base: Option<u64>,
    /// The difference.
    pub changes: Comparison,
}

/// What would change if `source` held instead of what does.
pub fn plan(db: &Database, caller: &Caller, source: &str, at: &Moment<'_>) -> Result<Plan, ReadError> {
    let (active, roles) = read(db, caller, |tx| Ok((active(tx)?, roles(tx)?)))?;
    let rules = Rules::read(&canonical(source))?;
    let changes = compare(rules_of(active.as_ref()).as_ref(), Some(&rules), &roles, at.now());
    Ok(Plan { base: active.map(|detail| detail.version.number), changes })
}

/// What changes from one version to another; `None` stands for no policies.
pub fn diff(
    db: &Database,
    caller: &Caller,
    from: Option<u64>,
    to: Option<u64>,
    at: &Moment<'_>,
) -> Result<Comparison, ReadError> {
    let (from, to, roles) = read(db, caller, |tx| {
        let mut found = |number: Option<u64>| match number {
            Some(number) => store::version(tx, number)?.map(Some).ok_or(ReadError::NotFound(number)),
            None => Ok(None),
        };
        Ok((found(from)?, found(to)?, roles(tx)?))
    })?;
    let rules = |detail: Option<Detail>| detail.map(|detail| Rules::read(&detail.source)).transpose();
    Ok(compare(rules(from)?.as_ref(), rules(to)?.as_ref(), &roles, at.now()))
}

/// Why tests were not run.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// The caller may neither manage policies nor read the ledger.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The policies cannot be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The tests cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableCases),
}

/// Puts the cases of `tests` to the policies of `source`. Nothing is kept.
pub fn test(caller: &Caller, source: &str, tests: &str) -> Result<Vec<Tested>, TestError> {
    if let Err(refusal) = caller.authorize::<Manage>() {
        let _reader = caller.authorize::<ReadPolicies>().map_err(|_| refusal)?;
    }
    let rules = Rules::read(&canonical(source))?;
    Ok(Cases::read(&canonical(tests))?.run(&rules))
}

/// The active version; `None` where there is none, or it is not there any more.
pub(crate) fn active(tx: &mut ReadTx<'_>) -> Result<Option<Detail>, StoreError> {
    let number = store::state(tx)?.active;
    Ok(number.map(|number| store::version(tx, number)).transpose()?.flatten())
}

/// What a version says, as far as it can be used.
fn rules_of(detail: Option<&Detail>) -> Option<Rules> {
    detail.and_then(|detail| Rules::read(&detail.source).ok())
}

/// Every role of the tenant.
pub(crate) fn roles(tx: &mut ReadTx<'_>) -> Result<RolesOfTenant, StoreError> {
    let mut roles = system_roles();
    roles.extend(store::custom_roles(tx)?);
    Ok(roles)
}

/// Reads for whoever manages policies, or reads the ledger.
pub(crate) fn read<T>(
    db: &Database,
    caller: &Caller,
    read: impl FnOnce(&mut ReadTx<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    match caller.authorize::<Manage>() {
        Ok(grant) => db.read(&grant, read),
        Err(refusal) => db.read(&caller.authorize::<ReadPolicies>().map_err(|_| refusal)?, read),
    }
}
