//! What a tenant may have: settings that bind.

use authz::{Role, RoleName};
use kernel::Money;
use serde_json::{Map, Value, json};

/// What a tenant can be kept from.
pub const FEATURES: [&str; 4] = ["policies", "sign_in", "scim", "tokens"];

/// No budget is higher: a billion dollars.
const MAX_BUDGET: Money = Money::from_nanos(1_000_000_000_000_000_000);

/// A tenant's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How many agents the tenant may have; `None` for no limit.
    pub max_agents: Option<u32>,
    /// What the tenant may use, by name: sorted, without repeats. Empty for everything, as is `enterprise` among others.
    /// Besides [`FEATURES`], names are the tenant's own, and bind nothing here.
    pub features: Vec<String>,
    /// How many requests all of the tenant may make in a minute; `None` for no limit.
    pub rate_limit_per_minute: Option<u32>,
    /// How many requests each of its credentials may make in a minute; `None` for no limit.
    pub key_rate_limit_per_minute: Option<u32>,
    /// What the tenant may spend in a month: the budget that it starts with; `None` for none. Read when the tenant is
    /// created, and not later: the budget is the tenant's own then.
    pub default_budget: Option<Money>,
    /// The role of users who are created without any; `None` for the installation's.
    pub default_role: Option<RoleName>,
}

/// JSON that is no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an object.
    #[error("settings must be an object")]
    NotAnObject,
    /// A field that nothing reads.
    #[error(
        "no setting is named `{0}`: expected max_agents, features, rate_limit_per_minute, key_rate_limit_per_minute, \
         default_budget, default_role"
    )]
    Unknown(String),
    /// `max_agents` is something else.
    #[error("`max_agents` must be a whole number from 0 to 4294967295")]
    MaxAgents,
    /// A rate is something else.
    #[error("`{0}` must be a whole number from 1 to 4294967295")]
    Rate(&'static str),
    /// `default_budget` is something else.
    #[error("`default_budget` must be a decimal text from 0 to a billion, such as `250.00`")]
    DefaultBudget,
    /// `default_role` is something else.
    #[error("`default_role` must name a role of a tenant")]
    DefaultRole,
    /// `features` is something else.
    #[error("`features` must be at most 64 names of 1 to 64 lower-case letters, digits, `-` and `_`")]
    Features,
}

impl SettingsError {
    /// The field that is wrong, as a JSON pointer (RFC 6901) within the settings.
    pub fn pointer(&self) -> String {
        match self {
            Self::NotAnObject => String::new(),
            Self::Unknown(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Self::MaxAgents => "/max_agents".to_owned(),
            Self::Rate(name) => format!("/{name}"),
            Self::DefaultBudget => "/default_budget".to_owned(),
            Self::DefaultRole => "/default_role".to_owned(),
            Self::Features => "/features".to_owned(),
        }
    }
}

impl Settings {
    /// Reads settings; what they do not name stays at its default.
    pub fn from_json(json: &Value) -> Result<Self, SettingsError> {
        let fields = json.as_object().ok_or(SettingsError::NotAnObject)?;
        let mut settings = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "max_agents" => settings.max_agents = max_agents(value)?,
                "features" => settings.features = features(value)?,
                "rate_limit_per_minute" => settings.rate_limit_per_minute = rate("rate_limit_per_minute", value)?,
                "key_rate_limit_per_minute" => {
                    settings.key_rate_limit_per_minute = rate("key_rate_limit_per_minute", value)?;
                }
                "default_budget" => settings.default_budget = budget(value)?,
                "default_role" => settings.default_role = role(value)?,
                unknown => return Err(SettingsError::Unknown(unknown.to_owned())),
            }
        }
        Ok(settings)
    }

    /// Writes the settings; what is not set is left out.
    pub fn to_json(&self) -> Value {
        let Self {
            max_agents,
            features,
            rate_limit_per_minute,
            key_rate_limit_per_minute,
            default_budget,
            default_role,
        } = self;
        let fields = [
            ("max_agents", max_agents.map(|limit| json!(limit))),
            ("features", Some(json!(features))),
            ("rate_limit_per_minute", rate_limit_per_minute.map(|limit| json!(limit))),
            ("key_rate_limit_per_minute", key_rate_limit_per_minute.map(|limit| json!(limit))),
            ("default_budget", default_budget.map(|limit| json!(limit.to_string()))),
            ("default_role", default_role.as_ref().map(|role| json!(role.as_str()))),
        ];
        let set = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(set.collect::<Map<_, _>>())
    }

    /// Whether the tenant may use `feature`, which is one of [`FEATURES`].
    pub fn allows(&self, feature: &str) -> bool {
        self.features.is_empty() || self.features.iter().any(|name| name == feature || name == "enterprise")
    }
}

fn max_agents(value: &Value) -> Result<Option<u32>, SettingsError> {
    if value.is_null() {
        return Ok(None);
    }
    value.as_u64().and_then(|number| u32::try_from(number).ok()).map(Some).ok_or(SettingsError::MaxAgents)
}

fn rate(name: &'static str, value: &Value) -> Result<Option<u32>, SettingsError> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
    number.map(Some).ok_or(SettingsError::Rate(name))
}

fn budget(value: &Value) -> Result<Option<Money>, SettingsError> {
    if value.is_null() {
        return Ok(None);
    }
    let amount =
        value.as_str().and_then(|text| text.parse().ok()).filter(|amount| (Money::ZERO..=MAX_BUDGET).contains(amount));
    amount.map(Some).ok_or(SettingsError::DefaultBudget)
}

fn role(value: &Value) -> Result<Option<RoleName>, SettingsError> {
    if value.is_null() {
        return Ok(None);
    }
    let role = value.as_str().and_then(|text| text.parse().ok());
    let role = role.filter(|role| *role != RoleName::System(Role::PlatformAdmin));
    role.map(Some).ok_or(SettingsError::DefaultRole)
}

fn features(value: &Value) -> Result<Vec<String>, SettingsError> {
    let items = value.as_array().filter(|items| items.len() <= 64).ok_or(SettingsError::Features)?;
    let names = items.iter().map(|item| item.as_str().filter(|name| is_feature(name)).map(str::to_owned));
    let mut names = names.collect::<Option<Vec<String>>>().ok_or(SettingsError::Features)?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn is_feature(name: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_specification_are_read_and_written() {
        let settings = Settings::from_json(&json!({"max_agents": 100, "features": ["enterprise"]})).unwrap();
        let expected =
            Settings { max_agents: Some(100), features: vec!["enterprise".to_owned()], ..Settings::default() };
        assert_eq!(settings, expected);
        assert!(FEATURES.iter().all(|feature| settings.allows(feature) && Settings::default().allows(feature)));
        let only = |features: &[&str]| Settings::from_json(&json!({ "features": features })).unwrap();
        assert!(FEATURES.iter().all(|feature| !only(&["basic"]).allows(feature) && only(&[feature]).allows(feature)));
        assert!(!only(&["scim", "beta"]).allows("tokens"));
        assert_eq!(Settings::from_json(&settings.to_json()), Ok(settings));
        assert_eq!(Settings::from_json(&json!({})), Ok(Settings::default()));
    }

    #[test]
    fn defaults_of_a_tenant_survive_their_text() {
        let json = json!({
            "features": [], "rate_limit_per_minute": 600, "key_rate_limit_per_minute": 60, "default_budget": "250.5",
            "default_role": "release-manager",
        });
        let settings = Settings::from_json(&json).unwrap();
        assert_eq!(settings.default_budget, Some(Money::from_nanos(250_500_000_000)));
        assert_eq!(Settings::from_json(&settings.to_json()), Ok(settings));
        let none = json!({"rate_limit_per_minute": null, "default_budget": null, "default_role": null});
        assert_eq!(Settings::from_json(&none), Ok(Settings::default()));
    }

    #[test]
    fn what_nothing_reads_is_refused_and_named() {
        let refused = |json: Value| Settings::from_json(&json).unwrap_err().pointer();
        assert_eq!(refused(json!([])), "");
        assert_eq!(refused(json!({"max/agents": 1})), "/max~1agents");
        for bad in [json!(-1), json!(1.5), json!("1"), json!(1u64 << 32)] {
            assert_eq!(refused(json!({ "max_agents": bad })), "/max_agents");
        }
        for bad in [json!(0), json!(-1), json!("60"), json!(1u64 << 32)] {
            assert_eq!(refused(json!({ "rate_limit_per_minute": bad })), "/rate_limit_per_minute");
            assert_eq!(refused(json!({ "key_rate_limit_per_minute": bad })), "/key_rate_limit_per_minute");
        }
        for bad in [json!(5), json!("-1"), json!("1000000000.01"), json!("much")] {
            assert_eq!(refused(json!({ "default_budget": bad })), "/default_budget");
        }
        for bad in [json!("platform_admin"), json!("No Role"), json!(1)] {
            assert_eq!(refused(json!({ "default_role": bad })), "/default_role");
        }
        for bad in [json!("basic"), json!([1]), json!([""]), json!(["Basic"]), json!(vec!["a"; 65])] {
            assert_eq!(refused(json!({ "features": bad })), "/features");
        }
    }
}
