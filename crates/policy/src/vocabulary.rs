//! What policies can speak of: the schema, and how permissions and things are named in it.

use std::sync::LazyLock;

use authz::{ActorKind, Permission, Permissions};
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema, Validator};

/// The schema that every version of every tenant's policies is held to, in Cedar's syntax.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// What no policy governs, so that nobody can lock themselves out of repairing one: managing policies, and managing
/// tenants from outside.
const NEVER: Permissions = Permissions::NONE.with(Permission::PolicyManage).with(Permission::TenantManage);

/// What a policy can govern.
pub fn governable() -> Permissions {
    Permission::ALL.iter().copied().collect::<Permissions>().without(NEVER)
}

/// The schema, parsed, and its names.
pub(crate) struct Vocabulary {
    pub(crate) validator: Validator,
    pub(crate) texts: EntityTypeName,
    pub(crate) numbers: EntityTypeName,
    pub(crate) decimals: EntityTypeName,
    pub(crate) flags: EntityTypeName,
    pub(crate) lists: EntityTypeName,
    user: EntityTypeName,
    service: EntityTypeName,
    /// By permission; `None` for what is never governed.
    actions: Vec<Option<Named>>,
}

/// One permission in the schema's words.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) action: EntityUid,
    resource: EntityTypeName,
    /// The resource of an action that is about no single thing.
    pub(crate) nothing: EntityUid,
}

/// The id of a resource without an id. Policies that name it are refused, so that no rule for one thing matches it.
pub(crate) const NOTHING: &str = "";

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the schema is a part of this program, and the tests read it")]
    let schema: Schema = SCHEMA.parse().expect("the schema is valid");
    let user = type_name("User");
    Vocabulary {
        actions: Permission::ALL.iter().map(|permission| named(*permission)).collect(),
        validator: Validator::new(schema),
        texts: type_name("Texts"),
        numbers: type_name("Numbers"),
        decimals: type_name("Decimals"),
        flags: type_name("Flags"),
        lists: type_name("Lists"),
        service: type_name("Service"),
        user,
    }
});

impl Vocabulary {
    pub(crate) fn get() -> &'static Self {
        &VOCABULARY
    }

    /// A permission in the schema's words; `None` for one that is never governed.
    pub(crate) fn named(&self, permission: Permission) -> Option<&Named> {
        self.actions.get(permission as usize).and_then(Option::as_ref)
    }

    /// The permission whose action that is.
    pub(crate) fn permission(&self, action: &EntityUid) -> Option<Permission> {
        Permission::ALL
            .iter()
            .copied()
            .find(|permission| self.named(*permission).is_some_and(|named| named.action == *action))
    }

    /// Somebody who acts. Taskforce itself, where policies bind it at all, is a service.
    pub(crate) fn principal(&self, kind: ActorKind, id: &str) -> EntityUid {
        let kind = match kind {
            ActorKind::User => &self.user,
            ActorKind::Service | ActorKind::System | ActorKind::Anonymous => &self.service,
        };
        uid(kind, id)
    }
}

impl Named {
    /// The thing with that id.
    pub(crate) fn thing(&self, id: &str) -> EntityUid {
        uid(&self.resource, id)
    }
}

pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn named(permission: Permission) -> Option<Named> {
    if NEVER.contains(permission) {
        return None;
    }
    let resource = type_name(match permission.resource() {
        "agent" => "Agent",
        "session" => "Session",
        "tool" => "Tool",
        "memory" => "Memory",
        "approval" => "Approval",
        "usage" => "Usage",
        "report" => "Report",
        "audit" => "Audit",
        "user" => "Account",
        "role" => "Role",
        "key" => "Key",
        "budget" => "Budget",
        _ => "System",
    });
    let action = uid(&type_name("Action"), permission.as_str());
    let nothing = uid(&resource, NOTHING);
    Some(Named { action, resource, nothing })
}

fn type_name(name: &str) -> EntityTypeName {
    #[expect(clippy::expect_used, reason = "the names are constants of this file, and the tests read them all")]
    name.parse().expect("the name of a type")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_one_action_for_each_governable_permission_and_no_other() {
        let vocabulary = Vocabulary::get();
        let schema = vocabulary.validator.schema();
        let mut actions: Vec<EntityUid> = schema.actions().cloned().collect();
        for permission in governable().iter() {
            let named = vocabulary.named(permission).unwrap();
            let position = actions.iter().position(|action| *action == named.action);
            actions.swap_remove(position.unwrap_or_else(|| panic!("`{permission}` is not in the schema")));
            let resources: Vec<_> = schema.resources_for_action(&named.action).unwrap().collect();
            assert_eq!(resources, [&named.resource], "{permission}");
            let principals = schema.principals_for_action(&named.action).unwrap().count();
            assert_eq!(principals, 2, "{permission}");
            assert_eq!(vocabulary.permission(&named.action), Some(permission));
        }
        assert_eq!(actions, [], "actions without a permission");
        assert!(vocabulary.named(Permission::PolicyManage).is_none());
    }
}
