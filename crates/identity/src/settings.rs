//! What a tenant may have: settings that bind.

use serde_json::{Map, Value, json};

/// A tenant's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How many agents the tenant may have; `None` for no limit.
    pub max_agents: Option<u32>,
    /// What is switched on for the tenant, by name: sorted, without repeats.
    pub features: Vec<String>,
}

/// JSON that is no settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an object.
    #[error("settings must be an object")]
    NotAnObject,
    /// A field that nothing reads.
    #[error("no setting is named `{0}`: expected max_agents, features")]
    Unknown(String),
    /// `max_agents` is something else.
    #[error("`max_agents` must be a whole number from 0 to 4294967295")]
    MaxAgents,
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
                unknown => return Err(SettingsError::Unknown(unknown.to_owned())),
            }
        }
        Ok(settings)
    }

    /// Writes the settings; a limit that is not set is left out.
    pub fn to_json(&self) -> Value {
        let Self { max_agents, features } = self;
        let mut fields = Map::new();
        if let Some(limit) = max_agents {
            fields.insert("max_agents".to_owned(), json!(limit));
        }
        fields.insert("features".to_owned(), json!(features));
        Value::Object(fields)
    }

    /// Whether `feature` is switched on.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|name| name == feature)
    }
}

fn max_agents(value: &Value) -> Result<Option<u32>, SettingsError> {
    if value.is_null() {
        return Ok(None);
    }
    value.as_u64().and_then(|number| u32::try_from(number).ok()).map(Some).ok_or(SettingsError::MaxAgents)
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
        assert_eq!(settings, Settings { max_agents: Some(100), features: vec!["enterprise".to_owned()] });
        assert!(settings.has_feature("enterprise") && !settings.has_feature("basic"));
        assert_eq!(Settings::from_json(&settings.to_json()), Ok(settings));
        assert_eq!(Settings::from_json(&json!({})), Ok(Settings::default()));
    }

    #[test]
    fn what_nothing_reads_is_refused_and_named() {
        let refused = |json: Value| Settings::from_json(&json).unwrap_err().pointer();
        assert_eq!(refused(json!([])), "");
        assert_eq!(refused(json!({"max/agents": 1})), "/max~1agents");
        for bad in [json!(-1), json!(1.5), json!("1"), json!(1u64 << 32)] {
            assert_eq!(refused(json!({ "max_agents": bad })), "/max_agents");
        }
        for bad in [json!("basic"), json!([1]), json!([""]), json!(["Basic"]), json!(vec!["a"; 65])] {
            assert_eq!(refused(json!({ "features": bad })), "/features");
        }
    }
}
