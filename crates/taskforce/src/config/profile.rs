//! The profile's shape. What is accepted here is meant: a value that the server could not honor is refused.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kernel::Secret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The commented default profile: it says what [`Profile::default`] holds.
pub(crate) const DEFAULT: &str = include_str!("../default.yaml");
/// The section that turns the enterprise edition on.
pub(crate) const ENTERPRISE: &str = include_str!("../enterprise.yaml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profile {
    #[serde(rename = "profile")]
    edition: Option<EditionName>,
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "name")]
    pub(crate) instance: String,
    #[serde(deserialize_with = "origin")]
    pub(crate) public_url: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) trusted_proxies: Vec<ipnet::IpNet>,
    pub(crate) private_identity_providers: bool,
    pub(crate) data: Option<PathBuf>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) database: DatabaseSection,
    #[serde(deserialize_with = "or_default")]
    pub(crate) keys: KeysSection,
    #[serde(deserialize_with = "or_default")]
    pub(crate) log: LogSection,
    #[serde(deserialize_with = "or_default")]
    pub(crate) upstreams: Vec<UpstreamSection>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) limits: LimitsSection,
    enterprise: Option<Enterprise>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EditionName {
    Enterprise,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            edition: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8070)),
            instance: "taskforce.local".to_owned(),
            public_url: None,
            trusted_proxies: Vec::new(),
            private_identity_providers: false,
            data: None,
            database: DatabaseSection::default(),
            keys: KeysSection::default(),
            log: LogSection::default(),
            upstreams: Vec::new(),
            limits: LimitsSection::default(),
            enterprise: None,
        }
    }
}

impl Profile {
    /// The enterprise section; its defaults where the profile only names the edition.
    pub(crate) fn enterprise(&self) -> Option<Enterprise> {
        self.enterprise.clone().or_else(|| self.edition.map(|EditionName::Enterprise| Enterprise::default()))
    }

    /// Makes relative paths start at `folder`.
    pub(super) fn rebase(&mut self, folder: Option<&Path>) {
        let Some(folder) = folder else { return };
        let keys = [&mut self.keys.encryption_file, &mut self.keys.signing_file, &mut self.data];
        let upstreams = self.upstreams.iter_mut().map(|upstream| &mut upstream.key_file);
        for path in keys.into_iter().chain(upstreams).flatten() {
            *path = folder.join(&*path);
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DatabaseSection {
    #[serde(deserialize_with = "secret")]
    pub(crate) url: Option<Secret<String>>,
    #[serde(deserialize_with = "secret")]
    pub(crate) owner_url: Option<Secret<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeysSection {
    pub(crate) encryption_file: Option<PathBuf>,
    pub(crate) signing_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSection {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// A model server. It names its key; the key itself stands elsewhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "UpstreamText")]
pub(crate) struct UpstreamSection {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) key_env: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) models: Vec<String>,
    pub(crate) allow_private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpstreamText {
    name: String,
    url: String,
    key_env: Option<String>,
    key_file: Option<PathBuf>,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    allow_private: bool,
}

impl TryFrom<UpstreamText> for UpstreamSection {
    type Error = &'static str;

    fn try_from(text: UpstreamText) -> Result<Self, Self::Error> {
        let UpstreamText { name, url, key_env, key_file, models, allow_private } = text;
        if key_env.is_some() && key_file.is_some() {
            return Err("has `key_env` and `key_file`, where one is meant");
        }
        if models.is_empty() {
            return Err("serves no model: give `models`, such as [\"gpt-*\"]");
        }
        Ok(Self { name, url, key_env, key_file, models, allow_private })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub(crate) connections: u64,
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub(crate) connections_per_ip: u64,
    #[serde(deserialize_with = "within::<_, 1_024, 1_073_741_824>")]
    pub(crate) body_bytes: u64,
    #[serde(deserialize_with = "within::<_, 1_024, 1_073_741_824>")]
    pub(crate) gateway_body_bytes: u64,
    #[serde(deserialize_with = "within::<_, 1, 3_600>")]
    pub(crate) request_seconds: u64,
    #[serde(deserialize_with = "within::<_, 1, 3_600>")]
    pub(crate) upstream_seconds: u64,
    #[serde(deserialize_with = "within::<_, 1, 86_400>")]
    pub(crate) stream_seconds: u64,
    #[serde(deserialize_with = "within::<_, 1, 3_600>")]
    pub(crate) stream_idle_seconds: u64,
    #[serde(deserialize_with = "within::<_, 1, 3_600>")]
    pub(crate) drain_seconds: u64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_ip: 256,
            body_bytes: 1_048_576,
            gateway_body_bytes: 16_777_216,
            request_seconds: 30,
            upstream_seconds: 120,
            stream_seconds: 600,
            stream_idle_seconds: 60,
            drain_seconds: 25,
        }
    }
}

/// The specification's section, unchanged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Enterprise {
    pub(crate) multi_tenant: bool,
    #[serde(deserialize_with = "or_default")]
    pub(crate) encryption: Encryption,
    #[serde(deserialize_with = "or_default")]
    pub(crate) rbac: Rbac,
    #[serde(deserialize_with = "or_default")]
    pub(crate) audit: Audit,
    #[serde(deserialize_with = "or_default")]
    pub(crate) compliance: Compliance,
}

impl Default for Enterprise {
    fn default() -> Self {
        Self {
            multi_tenant: true,
            encryption: Encryption::default(),
            rbac: Rbac::default(),
            audit: Audit::default(),
            compliance: Compliance::default(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Encryption {
    #[serde(deserialize_with = "always")]
    pub(crate) enabled: bool,
    pub(crate) algorithm: Algorithm,
}

impl Default for Encryption {
    fn default() -> Self {
        Self { enabled: true, algorithm: Algorithm::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) enum Algorithm {
    #[default]
    #[serde(rename = "AES-256-GCM")]
    Aes256Gcm,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rbac {
    #[serde(deserialize_with = "always")]
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "role")]
    pub(crate) default_role: authz::Role,
}

impl Default for Rbac {
    fn default() -> Self {
        Self { enabled: true, default_role: authz::Role::Viewer }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Audit {
    #[serde(deserialize_with = "always")]
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "within::<_, 1, 36_500>")]
    pub(crate) retention_days: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { enabled: true, retention_days: 365 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Compliance {
    pub(crate) frameworks: Vec<Framework>,
}

impl Default for Compliance {
    fn default() -> Self {
        Self { frameworks: vec![Framework::Soc2, Framework::Iso27001, Framework::Gdpr] }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Framework {
    #[serde(rename = "SOC2")]
    Soc2,
    #[serde(rename = "ISO27001")]
    Iso27001,
    #[serde(rename = "GDPR")]
    Gdpr,
}

/// A section whose every line is commented out is an empty one.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Option::deserialize(deserializer).map(|text| text.map(Secret::new))
}

fn always<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    if bool::deserialize(deserializer)? { Ok(true) } else { Err(D::Error::custom("cannot be switched off")) }
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<authz::Role, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Where people and programs find the server: scheme and host, no path.
fn origin<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let text = text.trim_end_matches('/');
    let uri = text.parse::<http::Uri>().ok();
    let plain = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.path() == "/");
    let named =
        plain.filter(|uri| uri.query().is_none() && uri.authority().is_some_and(|at| !at.as_str().contains('@')));
    match named {
        Some(_) => Ok(Some(text.to_owned())),
        None => Err(D::Error::custom("must be an address without path, such as `https://taskforce.example.org`")),
    }
}

/// The name of an installation goes into the first line of every checkpoint.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if plain && (1..=100).contains(&text.len()) {
        return Ok(text);
    }
    Err(D::Error::custom("must be a name of letters, digits, dots and hyphens, such as `taskforce.example.org`"))
}

fn within<'de, D: Deserializer<'de>, const MIN: u64, const MAX: u64>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if (MIN..=MAX).contains(&number) {
        return Ok(number);
    }
    let (min, max) = (crate::output::grouped(MIN), crate::output::grouped(MAX));
    Err(D::Error::custom(format!("must be from {min} to {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Profile {
        serde_saphyr::from_str(text).unwrap()
    }

    /// The keys of a profile, commented ones included.
    fn keys(text: &str) -> Vec<&str> {
        let lines = text.lines().map(|line| line.trim_start_matches(['#', ' ', '-']));
        let named = lines.filter_map(|line| line.split_once(':')).map(|(key, _)| key);
        named.filter(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).collect()
    }

    #[test]
    fn the_default_file_says_what_the_defaults_are() {
        assert_eq!(format!("{:?}", parse(DEFAULT)), format!("{:?}", Profile::default()));
        assert_eq!(format!("{:?}", parse("")), format!("{:?}", Profile::default()));
    }

    #[test]
    fn the_enterprise_section_says_what_its_defaults_are() {
        let whole = parse(&format!("{DEFAULT}{ENTERPRISE}"));
        assert_eq!(format!("{:?}", whole.enterprise()), format!("{:?}", parse("profile: enterprise").enterprise()));
        assert_eq!(format!("{:?}", parse(ENTERPRISE)), format!("{whole:?}"));
    }

    #[test]
    fn the_sections_of_the_specification_are_accepted_unchanged() {
        let Some(path) = testkit::shared("spec/enterprise-features.md") else { return };
        let document = std::fs::read_to_string(path).unwrap();
        let profiles: Vec<&str> = document
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .filter(|block| block.contains("enterprise:"))
            .collect();
        assert!(!profiles.is_empty());
        for profile in profiles {
            assert!(parse(profile).enterprise().is_some(), "{profile}");
        }
    }

    #[test]
    fn the_readme_shows_settings_that_are_accepted() {
        let readme = include_str!("../../../../README.md");
        let block = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let written = format!("{DEFAULT}{ENTERPRISE}").replace("upstreams: []\n", block);
        assert_eq!(parse(&written).upstreams[0].key_env.as_deref(), Some("OPENAI_UPSTREAM_KEY"));
    }

    #[test]
    fn there_are_at_most_forty_settings_and_each_is_explained() {
        let whole = format!("{DEFAULT}{ENTERPRISE}");
        let sections = [
            "database",
            "keys",
            "log",
            "limits",
            "enterprise",
            "encryption",
            "rbac",
            "audit",
            "compliance",
            "upstreams",
        ];
        let settings: Vec<_> = keys(&whole).into_iter().filter(|key| !sections.contains(key)).collect();
        assert!(settings.len() <= 40, "{} settings: {settings:?}", settings.len());

        let upstream = "upstreams:\n  - {name: a, url: u, key_env: K, models: [m], allow_private: true}\n";
        let known = format!("{:?}", parse(&format!("{upstream}{ENTERPRISE}")));
        for setting in settings.into_iter().filter(|setting| *setting != "profile") {
            assert!(
                known.contains(&format!("{setting}: ")),
                "the default file explains `{setting}`, which is no setting"
            );
        }
    }
}
