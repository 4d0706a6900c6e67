//! Who is asking: tenants, users, API keys, and the directory that turns a key into a [`Caller`](authz::Caller).
//!
//! **Invariant:** a secret exists twice: with its holder, and for one moment in [`IssuedKey`]. The database keeps its
//! SHA-256, which for 256 random bits is enough.
//!
//! **Invariant:** nobody gives what they do not have: neither roles to a user nor permissions to a key beyond the
//! caller's own. What a key allows is its scopes within its owner's roles *at each request*.
//!
//! **Invariant:** a tenant always has an active administrator.
//!
//! **Invariant:** an entry's leaf holds ids only; names and addresses are in its payload.
//!
//! ```
//! # let tester = testkit::Tester::sqlite();
//! # let (db, now) = (&tester.db, tester.moment().now());
//! use identity::{Directory, NewKey, NewTenant, NewUser, Settings, UserKind};
//!
//! // The first start: a platform administrator, whose key lets the first tenant be made.
//! let platform = identity::bootstrap(db, &tester.moment())?.ok_or("a first start")?;
//! let directory = Directory::load(db)?;
//! let request = || authz::Request::made(&tester.moment());
//! let platform = directory.authenticate(platform.secret.expose(), request(), now)?.caller;
//!
//! let acme = NewTenant { id: "acme-corp".parse()?, name: kernel::Text::new("Acme")?, settings: Settings::default(), admin: "bob".parse()? };
//! let acme = identity::create_tenant(db, &platform, acme, &tester.moment())?;
//! directory.refresh(db, &acme.tenant.id)?;
//!
//! // Its administrator lets an operator in.
//! let bob = directory.authenticate(acme.key.secret.expose(), request(), now)?.caller;
//! let olivia = NewUser { kind: UserKind::User, username: "olivia".parse()?, email: None, roles: [authz::Role::Operator].into() };
//! let olivia = identity::create_user(db, &bob, olivia, &tester.moment())?;
//! let key = NewKey { user: olivia.id.clone(), name: kernel::Text::new("laptop")?, scopes: None, expires_at: None, agent: None };
//! let key = identity::create_key(db, &bob, key, &tester.moment())?;
//! directory.refresh(db, &acme.tenant.id)?;
//!
//! let caller = directory.authenticate(key.secret.expose(), request(), now)?.caller;
//! assert_eq!(caller.actor().id, olivia.id.as_str());
//! assert!(caller.permissions().contains(authz::Permission::AgentExecute));
//!
//! // A revoked key says no more than any other text.
//! identity::revoke_key(db, &bob, &key.key.id, &tester.moment())?;
//! directory.refresh(db, &acme.tenant.id)?;
//! let refusal = directory.authenticate(key.secret.expose(), request(), now).unwrap_err();
//! assert_eq!(refusal.to_string(), "the API key is not valid");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod directory;
mod entries;
mod key;
mod keys;
mod listing;
mod local;
mod model;
mod rules;
mod settings;
mod store;
mod tenants;
mod users;

pub use directory::{AuthError, Authenticated, Directory, Refusal};
pub use entries::ACTIONS;
pub use key::{KeyFormatError, PresentedKey};
pub use keys::{
    CreateKey, CreateKeyError, CreateOwnKey, KeyError, NewKey, ReadKeys, ReadOwnKeys, RevokeKey, RevokeKeyError,
    create_key, key, keys, revoke_key,
};
pub use listing::ListError;
pub use local::{Bootstrap, IssueLocalKey, LocalKeyError, bootstrap, issue_local_key};
pub use model::{
    Email, EmailError, IssuedKey, Key, Tenant, TenantStatus, User, UserKind, UserStatus, Username, UsernameError,
    WordError,
};
pub use rules::{Beyond, RolesRefused};
pub use settings::{Settings, SettingsError};
pub use tenants::{
    CreateTenant, CreateTenantError, CreatedTenant, ListTenants, NewTenant, ReadOwnTenant, ReadTenant, TenantChange,
    TenantError, UpdateTenant, UpdateTenantError, create_tenant, tenant, tenants, update_tenant,
};
pub use users::{
    CreateUser, CreateUserError, EmailChange, ListUsers, NewUser, ReadOneself, ReadUser, UpdateUser, UpdateUserError,
    UserChange, UserError, create_user, update_user, user, users,
};
