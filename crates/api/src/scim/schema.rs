//! The schemas: what of SCIM's resources is kept here (RFC 7643), and how it is told to clients.
//!
//! Only what is kept is published. What else RFC 7643 lets clients send is read and left aside, because the directories
//! that provision users send all they have.

use serde_json::{Map, Value, json};

use super::refusal::ScimType;
use crate::problem::Problem;

/// A schema of SCIM's that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Schema {
    /// People.
    User,
    /// What organizations add about people.
    Enterprise,
    /// Groups of people.
    Group,
}

impl Schema {
    /// Those that resources have.
    pub(super) const RESOURCES: [Self; 3] = [Self::User, Self::Enterprise, Self::Group];

    /// Its name.
    pub(super) const fn urn(self) -> &'static str {
        match self {
            Self::User => "urn:ietf:params:scim:schemas:core:2.0:User",
            Self::Enterprise => "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            Self::Group => "urn:ietf:params:scim:schemas:core:2.0:Group",
        }
    }

    fn of(urn: &str) -> Option<Self> {
        Self::RESOURCES.into_iter().find(|schema| schema.urn().eq_ignore_ascii_case(urn))
    }

    /// Whether a resource has attributes of it.
    pub(super) fn is_in(self, resource: &Map<String, Value>) -> bool {
        resource.keys().any(|name| name.eq_ignore_ascii_case(self.urn()))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Enterprise => "Enterprise User",
            Self::Group => "Group",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::User => "A person who may act in the tenant",
            Self::Enterprise => "What policies may ask about a person",
            Self::Group => "People who have roles in common",
        }
    }

    fn attributes(self) -> Vec<Attribute> {
        match self {
            Self::User => vec![
                Attribute::text("userName", USER_NAME).that(&[Is::Required, Is::Unique]),
                Attribute::text("displayName", "What people call the person").that(&[Is::Exact]),
                Attribute { kind: "boolean", ..Attribute::text("active", ACTIVE).that(&[Is::Required]) },
                Attribute {
                    parts: vec![
                        Attribute::text("value", "The address"),
                        Attribute { one_of: &["work"], ..Attribute::text("type", "What it is for: always `work`") },
                    ],
                    ..Attribute::text("emails", EMAILS).that(&[Is::Multiple])
                },
            ],
            Self::Enterprise => vec![
                Attribute::text("employeeNumber", "As the user attribute `employee_number`"),
                Attribute::text("costCenter", "As the user attribute `cost_center`"),
                Attribute::text("organization", "As the user attribute `organization`"),
                Attribute::text("division", "As the user attribute `division`"),
                Attribute::text("department", "As the user attribute `department`"),
                Attribute {
                    parts: vec![Attribute::text("value", "The manager's id, as the user attribute `manager`")],
                    ..Attribute::text("manager", "The person's manager")
                },
            ],
            Self::Group => vec![
                Attribute::text("displayName", "What people call the group").that(&[
                    Is::Required,
                    Is::Unique,
                    Is::Exact,
                ]),
                Attribute { parts: member(), ..Attribute::text("members", "Who is in it").that(&[Is::Multiple]) },
            ],
        }
    }

    /// The schema, described.
    fn document(self, base: &str) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.urn(),
            "name": self.name(),
            "description": self.description(),
            "attributes": self.attributes().iter().map(Attribute::document).collect::<Vec<_>>(),
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.urn()) },
        })
    }
}

const USER_NAME: &str = "What the person is known by: lower case; unique within the tenant";
const ACTIVE: &str =
    "Whether the person may act; true unless given. False ends sessions, keys and pending requests at once";
const EMAILS: &str = "Where the person is reached. One address is kept: the primary one, or else the first for `work`";

fn member() -> Vec<Attribute> {
    let fixed = |name, description| Attribute::text(name, description).that(&[Is::Fixed]);
    vec![
        Attribute::text("value", "The person's id").that(&[Is::Fixed, Is::Exact]),
        Attribute { refers_to: &["User"], ..fixed("$ref", "The person's address") },
        Attribute { one_of: &["User"], ..fixed("type", "Always `User`") },
    ]
}

/// What an attribute can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    /// Several values.
    Multiple,
    /// Always there.
    Required,
    /// Upper and lower case differ.
    Exact,
    /// No two resources have the same.
    Unique,
    /// Given once, to stay.
    Fixed,
}

/// One attribute of a schema.
struct Attribute {
    name: &'static str,
    kind: &'static str,
    description: &'static str,
    is: &'static [Is],
    one_of: &'static [&'static str],
    refers_to: &'static [&'static str],
    parts: Vec<Attribute>,
}

impl Attribute {
    const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: "string", description, is: &[], one_of: &[], refers_to: &[], parts: Vec::new() }
    }

    fn that(self, is: &'static [Is]) -> Self {
        Self { is, ..self }
    }

    fn document(&self) -> Value {
        let Self { name, kind, description, is, one_of, refers_to, parts } = self;
        let is = |wanted| is.contains(&wanted);
        let kind = match (parts.is_empty(), refers_to.is_empty()) {
            (false, _) => "complex",
            (true, false) => "reference",
            (true, true) => kind,
        };
        let mut document = Map::from_iter([
            ("name".to_owned(), json!(name)),
            ("type".to_owned(), json!(kind)),
            ("multiValued".to_owned(), json!(is(Is::Multiple))),
            ("description".to_owned(), json!(description)),
            ("required".to_owned(), json!(is(Is::Required))),
            ("caseExact".to_owned(), json!(is(Is::Exact) || kind == "reference")),
            ("mutability".to_owned(), json!(if is(Is::Fixed) { "immutable" } else { "readWrite" })),
            ("returned".to_owned(), json!("default")),
            ("uniqueness".to_owned(), json!(if is(Is::Unique) { "server" } else { "none" })),
        ]);
        if !one_of.is_empty() {
            document.insert("canonicalValues".to_owned(), json!(one_of));
        }
        if !refers_to.is_empty() {
            document.insert("referenceTypes".to_owned(), json!(refers_to));
        }
        if !parts.is_empty() {
            document.insert("subAttributes".to_owned(), parts.iter().map(Self::document).collect());
        }
        Value::Object(document)
    }
}

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// People.
    User,
    /// Groups of people.
    Group,
}

impl Resource {
    const ALL: [Self; 2] = [Self::User, Self::Group];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Where such resources are, below the address of the whole.
    pub(super) const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// Its core schema.
    pub(super) const fn schema(self) -> Schema {
        match self {
            Self::User => Schema::User,
            Self::Group => Schema::Group,
        }
    }

    const fn extensions(self) -> &'static [Schema] {
        match self {
            Self::User => &[Schema::Enterprise],
            Self::Group => &[],
        }
    }

    /// Whether it may have attributes of `schema`.
    pub(super) fn has(self, schema: Schema) -> bool {
        schema == self.schema() || self.extensions().contains(&schema)
    }

    fn document(self, base: &str) -> Value {
        let extension = |schema: &Schema| json!({ "schema": schema.urn(), "required": false });
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": self.name(),
            "name": self.name(),
            "description": self.schema().description(),
            "endpoint": self.endpoint(),
            "schema": self.schema().urn(),
            "schemaExtensions": self.extensions().iter().map(extension).collect::<Vec<_>>(),
            "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", self.name()) },
        })
    }
}

/// Refuses a resource that does not name its schema, or names one that such a resource does not have.
pub(super) fn expect_schemas(resource: Resource, body: &Map<String, Value>) -> Result<(), Problem> {
    let named =
        body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).and_then(|(_, named)| named.as_array());
    let schemas = named.into_iter().flatten().map(|urn| urn.as_str().and_then(Schema::of));
    let schemas: Option<Vec<Schema>> = schemas.collect();
    let schemas = schemas.filter(|schemas| schemas.iter().all(|schema| resource.has(*schema)));
    if schemas.is_some_and(|schemas| schemas.contains(&resource.schema())) {
        return Ok(());
    }
    let core = resource.schema().urn();
    Err(ScimType::InvalidSyntax.because(&format_args!("`schemas` must name `{core}`, and no schema that is not known")))
}

/// How many resources one answer holds at most.
pub(super) const MOST_RESULTS: u32 = 1_000;

/// What of SCIM is supported.
pub(super) fn provider(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": MOST_RESULTS },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer",
            "description": "An API key or token with `user:manage`, as `Authorization: Bearer …`",
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

/// Every schema.
pub(super) fn schemas(base: &str) -> Vec<Value> {
    Schema::RESOURCES.into_iter().map(|schema| schema.document(base)).collect()
}

/// The schema of that name.
pub(super) fn schema(base: &str, urn: &str) -> Option<Value> {
    Schema::of(urn).map(|schema| schema.document(base))
}

/// Every kind of resource.
pub(super) fn resource_types(base: &str) -> Vec<Value> {
    Resource::ALL.into_iter().map(|resource| resource.document(base)).collect()
}

/// The kind of resource of that name.
pub(super) fn resource_type(base: &str, name: &str) -> Option<Value> {
    Resource::ALL.into_iter().find(|resource| resource.name() == name).map(|resource| resource.document(base))
}
