//! A platform, two tenants, and people in them, all let in by their keys.

use authz::{Caller, Permission, Request, Role, Roles};
use identity::{
    CreatedTenant, Directory, FirstRoles, IssuedKey, NewGroup, NewKey, NewRole, NewTenant, NewUser, Settings, User,
    UserKind,
};
use kernel::{Text, UserId};
use testkit::Tester;

/// Looking into the database past every use case.
#[derive(Debug)]
pub(crate) struct Look;

impl authz::Action for Look {
    const NAME: &'static str = "test.look";
    const PERMISSION: Option<Permission> = None;
}

pub(crate) struct World<'t> {
    pub(crate) tester: &'t Tester,
    pub(crate) directory: Directory,
    pub(crate) platform: Caller,
    pub(crate) acme: CreatedTenant,
    /// The first administrator of acme-corp.
    pub(crate) bob: Caller,
}

impl<'t> World<'t> {
    pub(crate) fn new(tester: &'t Tester) -> Self {
        let issued = identity::bootstrap(&tester.db, &tester.moment()).unwrap().unwrap();
        let directory = Directory::load(&tester.db, identity::unguarded()).unwrap();
        let request = Request::made(&tester.moment());
        let now = tester.moment().now();
        let platform = directory.authenticate(issued.secret.expose(), None, request.clone(), now).unwrap().caller;
        let acme =
            identity::create_tenant(&tester.db, &platform, new_tenant("acme-corp"), OPEN_BUDGET, &tester.moment())
                .unwrap();
        directory.refresh(&tester.db, &acme.tenant.id).unwrap();
        let bob = directory.authenticate(acme.key.secret.expose(), None, request, now).unwrap().caller;
        Self { tester, directory, platform, acme, bob }
    }

    /// Another tenant, and its first administrator.
    pub(crate) fn globex(&self) -> (CreatedTenant, Caller) {
        let platform = self.tester.again(&self.platform);
        let globex = identity::create_tenant(
            &self.tester.db,
            &platform,
            new_tenant("globex"),
            OPEN_BUDGET,
            &self.tester.moment(),
        )
        .unwrap();
        let admin = self.enter(&globex.key);
        (globex, admin)
    }

    /// A user of acme-corp, made by bob.
    pub(crate) fn user(&self, name: &str, roles: impl Into<Roles>) -> User {
        self.user_of(&self.bob, name, roles)
    }

    pub(crate) fn user_of(&self, admin: &Caller, name: &str, roles: impl Into<Roles>) -> User {
        let admin = self.tester.again(admin);
        identity::create_user(&self.tester.db, &admin, new_user(name, roles), &self.tester.moment()).unwrap()
    }

    /// A key that bob makes for a user of acme-corp.
    pub(crate) fn key(&self, user: &UserId) -> IssuedKey {
        self.key_with(new_key(user))
    }

    /// Makes a role of acme-corp, as bob.
    pub(crate) fn role(&self, name: &str, permissions: impl IntoIterator<Item = Permission>) -> identity::TenantRole {
        let (name, description) = (name.parse().unwrap(), Text::new("a role").unwrap());
        let new = NewRole { name, description, permissions: permissions.into_iter().collect() };
        let bob = self.tester.again(&self.bob);
        identity::create_role(&self.tester.db, &bob, new, &self.tester.moment()).unwrap()
    }

    /// Makes a group of acme-corp, as bob.
    pub(crate) fn group(&self, name: &str, roles: impl Into<Roles>, members: &[&UserId]) -> identity::Members {
        let members = members.iter().map(|user| (*user).clone()).collect();
        let new = NewGroup { display_name: Text::new(name).unwrap(), external_id: None, roles: roles.into(), members };
        let bob = self.tester.again(&self.bob);
        identity::create_group(&self.tester.db, &bob, new, &self.tester.moment()).unwrap()
    }

    /// What a user of acme-corp is now.
    pub(crate) fn now(&self, user: &UserId) -> User {
        self.now_as(&self.bob, user)
    }

    pub(crate) fn now_as(&self, caller: &Caller, user: &UserId) -> User {
        identity::user(&self.tester.db, caller, user).unwrap()
    }

    pub(crate) fn key_of(&self, admin: &Caller, user: &UserId) -> IssuedKey {
        let admin = self.tester.again(admin);
        identity::create_key(&self.tester.db, &admin, new_key(user), &self.tester.moment()).unwrap()
    }

    pub(crate) fn key_with(&self, new: NewKey) -> IssuedKey {
        let bob = self.tester.again(&self.bob);
        identity::create_key(&self.tester.db, &bob, new, &self.tester.moment()).unwrap()
    }

    /// A user of acme-corp, let in by a key.
    pub(crate) fn caller(&self, name: &str, role: Role) -> Caller {
        let user = self.user(name, [role]);
        self.enter(&self.key(&user.id))
    }

    /// Whoever holds the key, after the directory was told of it.
    pub(crate) fn enter(&self, key: &IssuedKey) -> Caller {
        self.present(key.secret.expose()).unwrap().caller
    }

    /// Presents a text as a key, the directory being up to date.
    pub(crate) fn present(&self, text: &str) -> Result<identity::Authenticated, identity::AuthError> {
        self.directory.refresh_changed(&self.tester.db).unwrap();
        let moment = self.tester.moment();
        self.directory.authenticate(text, None, Request::made(&moment), moment.now())
    }

    /// Why a text is refused.
    pub(crate) fn refusal(&self, text: &str) -> identity::Refusal {
        self.present(text).unwrap_err().cause
    }
}

pub(crate) fn new_tenant(id: &str) -> NewTenant {
    NewTenant {
        id: id.parse().unwrap(),
        name: Text::new("A tenant").unwrap(),
        settings: Settings::default(),
        admin: "bob".parse().unwrap(),
    }
}

pub(crate) fn new_user(name: &str, roles: impl Into<Roles>) -> NewUser {
    let email = Some(format!("{}@example.com", name.split('@').next().unwrap()).parse().unwrap());
    NewUser { email, roles: FirstRoles::Given(roles.into()), ..NewUser::named(UserKind::User, name.parse().unwrap()) }
}

pub(crate) fn new_key(user: &UserId) -> NewKey {
    let name = Text::new("a key").unwrap();
    NewKey::named(user.clone(), name)
}

/// Opens nothing, and names it.
pub(crate) const OPEN_BUDGET: identity::OpenBudget<'static> = &|_, _, at| Ok(at.id());
