//! Decisions that each request waits for: who is it, and may they?
//!
//! A key beside the hash of its secret, a token beside the bare check of its signature, a role beside a test of one bit,
//! a policy beside the role.

mod tokens;

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authz::{Action, Caller, Permission, Permissions, Request, Standing};
use identity::{Directory, NewTenant, Settings};
use kernel::{Clock as _, TenantId, Text};
use policy::{NewVersion, Policies};
use store::Database;

use super::ledger::{Machine, open};
use super::load::{count, median};
use super::product::scratch;
use super::{figure, heading, io};

const ROUNDS: usize = 9;
const BLOCK: Duration = Duration::from_millis(100);

/// Calling a model, as the gateway asks for it.
#[derive(Debug)]
struct Invoke;

impl Action for Invoke {
    const NAME: &'static str = "gateway.call";
    const PERMISSION: Option<Permission> = Some(Permission::AgentExecute);
}

type Failure = Box<dyn std::error::Error>;

pub(super) fn measure(root: &Path) -> Result<(), String> {
    let folder = scratch(root, "decisions")?;
    let measured = keys(&folder).and_then(|()| tokens::measure()).map_err(|error| error.to_string());
    std::fs::remove_dir_all(&folder).map_err(io)?;
    measured
}

/// Nanoseconds of each of several contenders, which take turns: the medians over the rounds.
fn turns<const N: usize>(mut contenders: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push(each(contender));
        }
    }
    times.map(median)
}

fn each(work: &mut dyn FnMut()) -> f64 {
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < BLOCK {
        (0..100).for_each(|_| work());
        done += 100;
    }
    started.elapsed().as_secs_f64() * 1e9 / count(done)
}

fn nanos(time: f64) -> String {
    if time < 10_000.0 { format!("{time:.0} ns") } else { format!("{:.1} us", time / 1e3) }
}

fn show(name: &str, time: f64, floor: (&str, f64)) {
    let (what, least) = floor;
    figure(name, &nanos(time), &format!("{what} {}", nanos(least)), &format!("{:.1} x the floor", time / least));
}

/// A tenant with an administrator, whose key is returned.
fn tenant(db: &Database) -> Result<(TenantId, String), Failure> {
    let at = db.moment();
    let platform = identity::bootstrap(db, &at)?.ok_or("the database is not new")?;
    let directory = Directory::load(db, identity::unguarded())?;
    let platform = directory.authenticate(platform.secret.expose(), None, Request::made(&at), at.now())?.caller;
    let (id, admin) = ("acme-corp".parse::<TenantId>()?, "bob".parse()?);
    let new = NewTenant { id: id.clone(), name: Text::new("Acme")?, settings: Settings::default(), admin };
    let made = identity::create_tenant(db, &platform, new, &usage::open_monthly, &at)?;
    Ok((id, made.key.secret.expose().clone()))
}

fn keys(folder: &Path) -> Result<(), Failure> {
    let db = open(folder)?;
    let (tenant, key) = tenant(&db)?;
    let directory = Directory::load(&db, identity::unguarded())?;
    let request = Request::made(&db.moment());
    let now = Machine.now();
    let secret = key.as_bytes().get(17..60).unwrap_or_default();
    let [floor, taken] = turns([
        &mut || {
            black_box(tlog::sha256(black_box(secret)));
        },
        &mut || drop(black_box(directory.authenticate(&key, None, request.clone(), now))),
    ]);
    heading("decisions: who is it, and may they?");
    show("an API key, from text to caller", taken, ("SHA-256 of its secret", floor));
    let caller = directory.authenticate(&key, None, request, now)?.caller;
    policies(&db, &tenant, &caller)
}

fn policies(db: &Database, tenant: &TenantId, admin: &Caller) -> Result<(), Failure> {
    let bit = || {
        black_box(black_box(Permissions::NONE).contains(black_box(Permission::AgentExecute)));
    };
    let one = guarded(db, tenant, admin, 1)?;
    let hundred = guarded(db, tenant, admin, 100)?;
    let ask = |caller: &Caller| drop(black_box(caller.authorize_on::<Invoke>("agt_0190a5e0c0de7000800000000000c0de")));
    let [floor, role, single, many] =
        turns([&mut || bit(), &mut || ask(admin), &mut || ask(&one), &mut || ask(&hundred)]);
    show("a role's decision", role, ("a test of one bit", floor));
    show("a policy's decision, 1 rule", single, ("the role's decision", role));
    show("a policy's decision, 100 rules of its action", many, ("the role's decision", role));
    Ok(())
}

/// The caller under a policy of so many rules that all are about calling agents.
fn guarded(db: &Database, tenant: &TenantId, admin: &Caller, rules: usize) -> Result<Caller, Failure> {
    let mut source = "@id(\"operators\") permit (principal, action == Action::\"agent:execute\", resource)\n\
                      when { principal.roles.contains(\"admin\") };\n"
        .to_owned();
    for number in 1..rules {
        let _ = write!(
            source,
            "@id(\"rule-{number}\") forbid (principal, action == Action::\"agent:execute\", resource == Agent::\"agt_{number}\")\n\
             when {{ context has model && context.model == \"model-{number}\" }};\n"
        );
    }
    let renewed = admin.with_request(Request::made(&db.moment()));
    let new = NewVersion { source, tests: String::new(), note: None };
    let version = policy::create_version(db, &renewed, new, &db.moment())?;
    let renewed = admin.with_request(Request::made(&db.moment()));
    policy::activate(db, &renewed, version.number, None, &db.moment())?;
    let guard = Policies::load(db)?.guard_for(tenant).ok_or("the tenant has policies")?;
    let standing = Standing { guard: Some(Arc::clone(&guard)), ..admin.standing().clone() };
    #[expect(clippy::disallowed_methods, reason = "the same caller, under policies")]
    Ok(Caller::authenticated(standing, Request::made(&db.moment())))
}
