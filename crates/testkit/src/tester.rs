//! A database with tenants and users in it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use authz::{Action, Actor, Caller, Permission, PlatformAction, Request, Role, Roles, Standing};
use kernel::{FixedMoment, Moment, Secret, TenantId};
use store::{Database, Entry, Resource, Setup, StoreError, sql, values};

/// When every test's clock starts: 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000_000_000;

/// One database, fresh, with a clock that stands still. Tenants and users appear when first named.
#[derive(Debug)]
pub struct Tester {
    /// The database.
    pub db: Database,
    /// The clock and the randomness behind it.
    pub clock: Arc<FixedMoment>,
    /// Which engine it is: `sqlite` or `postgres`.
    pub engine: &'static str,
    place: Place,
    root_key: Secret<String>,
}

#[derive(Debug)]
enum Place {
    Sqlite { dir: tempfile::TempDir },
    Postgres { server: String, name: String },
}

/// Runs `test` on SQLite and, when `TASKFORCE_TEST_PG` names a server, on PostgreSQL.
///
/// # Panics
/// With `CI=true` a missing PostgreSQL is a failure.
pub fn on_both_engines(test: impl Fn(&Tester)) {
    test(&Tester::sqlite());
    if let Some(server) = std::env::var_os("TASKFORCE_TEST_PG") {
        test(&Tester::postgres(&server.to_string_lossy()));
    } else {
        assert!(std::env::var_os("CI").is_none(), "TASKFORCE_TEST_PG is not set, and in CI both engines are tested");
        println!("not run: postgres (start the tests with `cargo xtask test`)");
    }
}

struct Arrange;

impl Action for Arrange {
    const NAME: &'static str = "test.arrange";
    const PERMISSION: Option<Permission> = None;
}

impl PlatformAction for Arrange {}

impl Tester {
    /// A fresh SQLite database in a directory that goes away with the tester.
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::open("sqlite", Place::Sqlite { dir })
    }

    /// A fresh database on the server that `server` names, used as a role that row-level security binds.
    pub fn postgres(server: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        psql(server, &format!("CREATE DATABASE {name} OWNER taskforce_owner"));
        Self::open("postgres", Place::Postgres { server: server.to_owned(), name })
    }

    fn open(engine: &'static str, place: Place) -> Self {
        let clock = Arc::new(FixedMoment::new(START));
        let root_key = seal::RootKey::generate(&*clock).to_text();
        let db = place.open(setup(&clock, &root_key));
        Self { db, clock, engine, place, root_key }
    }

    /// Another node: a second [`Database`] on the same place, with the same keys and the same clock.
    pub fn second_node(&self) -> Database {
        self.place.open(setup(&self.clock, &self.root_key))
    }

    /// Where the database is, for [`connect`].
    pub fn address(&self) -> String {
        self.place.address()
    }

    /// What the database was opened with.
    pub fn setup(&self) -> Setup {
        setup(&self.clock, &self.root_key)
    }

    /// Runs a statement on the PostgreSQL database, as `user`, and returns what it answers: columns between bars.
    ///
    /// # Panics
    /// When the database is not on PostgreSQL, or refuses the statement.
    pub fn psql(&self, user: &str, statement: &str) -> String {
        assert_eq!(self.engine, "postgres", "psql speaks to PostgreSQL only");
        psql(&format!("{} user={user}", self.address()), statement)
    }

    /// The directory that holds the files of an SQLite database; `None` on PostgreSQL.
    pub fn data_directory(&self) -> Option<&Path> {
        match &self.place {
            Place::Sqlite { dir } => Some(dir.path()),
            Place::Postgres { .. } => None,
        }
    }

    /// Runs raw SQL as the application would, bound to `tenant` but past every lock in Rust.
    pub fn raw(&self, tenant: &str, statements: &str) -> Result<(), StoreError> {
        self.db.raw(&tenant.parse().expect("a tenant id"), statements)
    }

    /// The present moment.
    pub fn moment(&self) -> Moment<'_> {
        self.clock.moment()
    }

    /// A caller in a request of its own: a person of `tenant`, whose row is `usr_<name>`. Both are created when new.
    pub fn user(&self, tenant: &str, name: &str, roles: impl Into<Roles>) -> Caller {
        let roles = roles.into();
        let tenant = self.tenant(tenant);
        let caller = self.caller(&tenant, name, roles.clone());
        let id = format!("usr_{name}");
        let row = values![id.as_str(), name, &roles, self.moment().now()];
        self.arrange(&tenant, |tx| {
            tx.execute(
                sql!(
                    "INSERT INTO users (tenant_id, user_id, kind, username, email, own_roles, roles, status, created_at, revision)
                     VALUES ($1, $2, 'user', $3, NULL, $4, $4, 'active', $5, 1)
                     ON CONFLICT (tenant_id, user_id) DO NOTHING"
                ),
                row,
            )
        });
        caller
    }

    /// A platform administrator.
    pub fn platform(&self) -> Caller {
        self.caller(&TenantId::system(), "platform", [Role::PlatformAdmin].into())
    }

    /// The same caller in a new request.
    pub fn again(&self, caller: &Caller) -> Caller {
        caller.with_request(Request::made(&self.moment()))
    }

    /// The tenant of that name, created when new.
    pub fn tenant(&self, name: &str) -> TenantId {
        let tenant: TenantId = name.parse().expect("a tenant id");
        let known = self.is_known(&tenant);
        if !known {
            let row = values![name, self.moment().now()];
            self.arrange(&tenant, |tx| {
                tx.open_tenant()?;
                tx.execute(
                    sql!(
                        "INSERT INTO tenants (tenant_id, name, settings, status, created_at, revision)
                         VALUES ($1, $2, '{}', 'active', $3, 1)"
                    ),
                    row,
                )
            });
        }
        tenant
    }

    fn is_known(&self, tenant: &TenantId) -> bool {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not general over its lifetime")]
        let all = self.db.system(store::Reason::Registry, |tx| tx.tenants()).expect("the tenants");
        all.iter().any(|(known, _)| known == tenant)
    }

    fn arrange<T: 'static>(
        &self,
        tenant: &TenantId,
        change: impl FnOnce(&mut store::WriteTx<'_>) -> Result<T, StoreError>,
    ) {
        let grant = self.platform().authorize::<Arrange>().expect("anybody may arrange a test");
        let entry = Entry::new("test.arranged", Resource::new("tenant", tenant));
        self.db
            .write_platform(grant, tenant, |tx| Ok::<_, StoreError>((entry, change(tx)?)))
            .expect("an arranged test");
    }

    fn caller(&self, tenant: &TenantId, name: &str, roles: Roles) -> Caller {
        let standing = Standing::new(tenant.clone(), Actor::user(format!("usr_{name}")), roles);
        Caller::authenticated(standing, Request::made(&self.moment()))
    }
}

impl Place {
    /// The path of the file, or the connection without a user.
    fn address(&self) -> String {
        match self {
            Self::Sqlite { dir } => dir.path().join("taskforce.db").to_string_lossy().into_owned(),
            Self::Postgres { server, name } => {
                let given = |key: &str| server.split_whitespace().find(|part| part.starts_with(key));
                let (host, port) = (given("host=").unwrap_or("host=localhost"), given("port=").unwrap_or("port=5432"));
                format!("{host} {port} dbname={name}")
            }
        }
    }

    fn open(&self, setup: Setup) -> Database {
        connect(&self.address(), setup).expect("a database")
    }
}

/// Opens the database at a tester's [`address`](Tester::address), as another process would.
pub fn connect(address: &str, setup: Setup) -> Result<Database, StoreError> {
    if address.starts_with('/') {
        return Database::sqlite(Path::new(address), setup);
    }
    let url = |user: &str| format!("{address} user={user}");
    Database::postgres(&url("taskforce_app"), Some(&url("taskforce_owner")), setup)
}

impl Drop for Tester {
    fn drop(&mut self) {
        if let Place::Postgres { server, name } = &self.place {
            psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn setup(clock: &Arc<FixedMoment>, root_key: &Secret<String>) -> Setup {
    let root_key = seal::RootKey::parse(root_key).expect("a root key");
    Setup { root_key, clock: Arc::clone(clock) as _, entropy: Arc::clone(clock) as _, instance: "test".to_owned() }
}

fn psql(server: &str, statement: &str) -> String {
    let output =
        std::process::Command::new("psql").args([server, "-v", "ON_ERROR_STOP=1", "-qAtc", statement]).output();
    let output = output.expect("psql, which comes with PostgreSQL");
    assert!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
