//! Who is asking: tenants, users, their keys, tokens, sessions and passwords, the identity providers that vouch for them,
//! and the directory that turns credentials into a [`Caller`](authz::Caller).
//!
//! **Invariant:** a secret exists twice: with its holder, and for one moment in [`IssuedKey`]. The database keeps its
//! SHA-256, which for 256 random bits is enough.
//!
//! **Invariant:** a token says who somebody is, never what they may do: roles are looked up at each request, and scopes
//! and exchanges only narrow. It ends with its subject's epoch, with the key that it was made with, with each token that
//! it descends from, and with each of those who act by it.
//!
//! **Invariant:** an identity provider speaks for the one tenant that registered it. A token that two tenants would take
//! is nobody's.
//!
//! **Invariant:** a session is good by its row of this moment, not by anything that a node remembers.
//!
//! **Invariant:** whoever has held a secret besides its owner is written down with it and inherited by what is made with
//! it ([`authz::Makers`]).
//!
//! **Invariant:** nobody gives what they do not have: neither roles to a user nor permissions to a key beyond the
//! caller's own. What a key allows is its scopes within its owner's roles *at each request*.
//!
//! **Invariant:** a tenant always has an active administrator, whoever loses whatever role on whatever way.
//!
//! **Invariant:** the roles of a user's row are its own and those of its groups, brought up to date in the transaction
//! of whatever changes one or the other.
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
//! let directory = Directory::load(db, identity::unguarded())?;
//! let request = || authz::Request::made(&tester.moment());
//! let platform = directory.authenticate(platform.secret.expose(), None, request(), now)?.caller;
//!
//! let acme = NewTenant { id: "acme-corp".parse()?, name: kernel::Text::new("Acme")?, settings: Settings::default(), admin: "bob".parse()? };
//! let acme = identity::create_tenant(db, &platform, acme, &|_, _, at| Ok(at.id()), &tester.moment())?;
//! directory.refresh(db, &acme.tenant.id)?;
//!
//! // Its administrator lets an operator in.
//! let bob = directory.authenticate(acme.key.secret.expose(), None, request(), now)?.caller;
//! let olivia = NewUser { roles: [authz::Role::Operator].into(), ..NewUser::named(UserKind::User, "olivia".parse()?) };
//! let olivia = identity::create_user(db, &bob, olivia, &tester.moment())?;
//! let key = NewKey::named(olivia.id.clone(), kernel::Text::new("laptop")?);
//! let key = identity::create_key(db, &bob, key, &tester.moment())?;
//! directory.refresh(db, &acme.tenant.id)?;
//!
//! let caller = directory.authenticate(key.secret.expose(), None, request(), now)?.caller;
//! assert_eq!(caller.actor().id, olivia.id.as_str());
//! assert!(caller.permissions().contains(authz::Permission::AgentExecute));
//!
//! // A revoked key says no more than any other text.
//! identity::revoke_key(db, &bob, &key.key.id, &tester.moment())?;
//! directory.refresh(db, &acme.tenant.id)?;
//! let refusal = directory.authenticate(key.secret.expose(), None, request(), now).unwrap_err();
//! assert_eq!(refusal.to_string(), "the API key is not valid");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod attributes;
mod directory;
mod entries;
mod exchange;
mod failure;
mod form;
mod gate;
mod groups;
mod key;
mod keys;
mod leaving;
mod listing;
mod local;
mod model;
mod networks;
mod passwords;
mod provider;
mod providers;
mod provisioning;
mod refusal;
mod roles;
mod rotation;
mod rules;
mod session;
mod sessions;
mod settings;
mod sign_in;
mod standing;
mod store;
mod tenants;
mod throttle;
mod token;
mod tokens;
mod users;

pub use access::{
    AccessQuestion, AuditAccess, Effective, Explanation, HeldRole, Obstacle, ReadAccess, ReadOwnAccess, effective,
    explain,
};
pub use attributes::{AttributesError, UserAttributes};
pub use directory::{Authenticated, Directory, Guards, unguarded};
pub use entries::ACTIONS;
pub use exchange::{Exchange, ExchangeError, ExchangeToken, exchange_token};
pub use failure::{Cause, Failure};
pub use form::{KeyFormatError, PresentedKey, SECRET_PATTERN};
pub use gate::{FAILURES_PER_MINUTE, Gate, finish_failures, flush_failures, turn_away};
pub use groups::{
    CreateGroup, CreateGroupError, DeleteGroup, GroupChange, GroupError, GroupFilter, GroupRefused, Members,
    MembersChange, NewGroup, ReadGroups, ReadOwnGroups, UpdateGroup, UpdateGroupError, create_group, delete_group,
    group, groups, groups_of, update_group,
};
pub use key::{IssuedKey, Key, KeyFilter, KeySort, KeyStatus};
pub use keys::{
    CreateKey, CreateKeyError, CreateOwnKey, KeyChange, KeyError, NewKey, ReadKeys, ReadOwnKeys, RevokeKey,
    RevokeKeyError, UpdateKey, UpdateKeyError, create_key, key, keys, revoke_key, update_key,
};
pub use leaving::Leavers;
pub use listing::{Direction, ListError, PeopleFilter, Slice, TeamFilter};
pub use local::{Bootstrap, IssueLocalKey, LocalKeyError, bootstrap, issue_local_key};
pub use model::{
    Edit, Email, EmailError, ExternalId, Group, ProviderStatus, SignInMethod, Tenant, TenantRole, TenantStatus, User,
    UserKind, UserStatus, Username, UsernameError, WordError,
};
pub use networks::{MAX_NETWORKS, Networks, NetworksError};
pub use passwords::{
    ChangeOwnPassword, MAX_PASSWORD, MIN_PASSWORD, Password, PasswordChange, PasswordError, SetPassword,
    SetPasswordError, set_password,
};
pub use provider::{Newcomer, Provider, ProviderKeys, ProviderSettings, ProviderSettingsError, Subject, TenantClaim};
pub use providers::{
    GiveByProvider, Link, ManageProviders, NewProvider, ProviderChange, ProviderError, ReadProviders, SecretEdit,
    client_secret, create_provider, delete_provider, link_user, provider, providers, unlink_user, update_provider,
};
pub use provisioning::{Counted, Removal, RemovePerson, people, person, remove_person, team, teams};
pub use refusal::{AuthError, Refusal, SessionRefusal, TokenRefusal};
pub use roles::{
    CreateRole, CreateRoleError, DeleteRole, DeleteRoleError, NewRole, PermissionsRefused, ReadRoles, RoleChange,
    RoleError, UpdateRole, UpdateRoleError, Uses, create_role, delete_role, role, roles, update_role,
};
pub use rotation::{
    MAX_OVERLAP_SECONDS, RevokeLeakedKey, RotateKey, RotateKeyError, Rotation, report_leaked, rotate_key,
};
pub use rules::{AttributesRefused, Beyond, RolesRefused};
pub use session::{Client, FRESH_SECONDS, IDLE_SECONDS, IssuedSession, LIFETIME_SECONDS, Session};
pub use sessions::{
    EndSession, EnterError, Entered, ReadOwnSessions, ReadSessions, RenewSession, SessionError, SignOutError,
    SignOutEverywhere, SignOutUser, authenticate_session, csrf_token, end_session, is_csrf_token, renew_session,
    sessions, sign_out_everywhere,
};
pub use settings::{FEATURES, Settings, SettingsError};
pub use sign_in::{
    PasswordSignIn, ProviderSignIn, ProvisionError, SignInError, provision, sign_in, sign_in_with_password,
};
pub use tenants::{
    CreateTenant, CreateTenantError, CreatedTenant, ListTenants, NewTenant, OpenBudget, ReadOwnTenant, ReadTenant,
    TenantChange, TenantError, TenantFilter, UpdateTenant, UpdateTenantError, create_tenant, tenant, tenants,
    update_tenant,
};
pub use throttle::{PER_ACCOUNT, PER_NETWORK, Throttled};
pub use token::{IssuedToken, MAX_CHAIN, MAX_TOKEN_SECONDS, TOKEN_SECONDS};
pub use tokens::{
    Bearer, IssueToken, IssueTokenError, KeysOf, NewToken, RevokeOwnToken, RevokeToken, RevokeTokenError, TokenRef,
    TokenSettings, Tokens, Verifier, issue_token, revoke_token,
};
pub use users::{
    CreateUser, CreateUserError, FirstRoles, ListUsers, NewUser, ReadOneself, ReadUser, StatusChange, UpdateUser,
    UpdateUserError, UserChange, UserError, UserFilter, UserSort, create_user, update_user, user, users,
};
