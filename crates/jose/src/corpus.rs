//! Judging a file of cases: tokens, and whether each must be accepted.
//!
//! The file is one JSON object. `now`, `leeway_seconds`, `issuer`, `audience`, `required_claims` and `accepted_typ` hold
//! for all cases; each case names one of the `profiles`, which hold the keys (`secret_b64url` or `jwks`) and the `algs`
//! that may be used. `iss`, `aud`, `sub` and `exp` are required whether or not the file says so. If `tenant_id`, `tid`,
//! `org_id` or `tenant` is among the required claims, it must hold the name of one tenant. A case that is `ambiguous`
//! may go either way.
//!
//! ```
//! use jose::corpus::Corpus;
//!
//! let file = br#"{
//!     "now": 1800000000, "leeway_seconds": 30, "issuer": "https://idp.example", "audience": "taskforce",
//!     "required_claims": ["tenant_id"], "accepted_typ": [null, "JWT"],
//!     "profiles": { "ours": { "algs": ["HS256"], "secret_b64url": "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMgb3IgbW9yZQ" } },
//!     "cases": [{ "id": 1, "profile": "ours", "expect": "reject", "cls": "parts", "why": "no token", "token": "" }]
//! }"#;
//! let report = Corpus::parse(file)?.decide();
//! assert_eq!((report.right, report.total), (1, 1));
//! # Ok::<(), jose::corpus::CorpusError>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;

use kernel::{Secret, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Algorithm, Expected, Key, KeySet, TenantRule, Tenants, TokenError, base64url, verify};

/// The claims that name a tenant, the first that is required being the one.
const TENANT_CLAIMS: [&str; 4] = ["tenant_id", "tid", "org_id", "tenant"];

/// A file of cases.
#[derive(Debug)]
pub struct Corpus {
    now: Timestamp,
    expected: Expected,
    profiles: BTreeMap<String, KeySet>,
    cases: Vec<Case>,
}

/// Why a file is no file of cases.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// It does not have the form.
    #[error("not a file of token cases")]
    Form(#[source] serde_json::Error),
    /// A profile's keys cannot be read.
    #[error("the profile `{0}` needs a readable `secret_b64url` or `jwks`, and not both")]
    Keys(String),
    /// A case names a profile that is not there.
    #[error("the case `{case}` names the profile `{profile}`, which is not there")]
    Profile {
        /// The case.
        case: String,
        /// The profile that it names.
        profile: String,
    },
}

/// How the cases were decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many cases there are.
    pub total: usize,
    /// How many were decided as expected, or are ambiguous.
    pub right: usize,
    /// The others.
    pub wrong: Vec<Wrong>,
}

/// A case that was not decided as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The case's id.
    pub id: String,
    /// Its class.
    pub cls: String,
    /// What it is about.
    pub why: String,
    /// What the file expects.
    pub expected: Verdict,
    /// What was decided.
    pub decided: Decision,
}

/// What a file expects of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It must be accepted.
    Accept,
    /// It must be refused.
    Reject,
}

/// What became of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It was accepted.
    Accepted,
    /// It was refused, for this reason.
    Rejected(TokenError),
}

impl Corpus {
    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, CorpusError> {
        let file: File<'_> = serde_json::from_slice(bytes).map_err(CorpusError::Form)?;
        let expected = file.expected();
        let mut profiles = BTreeMap::new();
        for (name, profile) in file.profiles {
            let keys = profile.keys().ok_or_else(|| CorpusError::Keys(name.clone()))?;
            profiles.insert(name, keys);
        }
        if let Some(case) = file.cases.iter().find(|case| !profiles.contains_key(&case.profile)) {
            return Err(CorpusError::Profile { case: case.id(), profile: case.profile.clone() });
        }
        let now = Timestamp::from_micros(0).plus_seconds(file.now);
        Ok(Self { now, expected, profiles, cases: file.cases })
    }

    /// Decides every case.
    pub fn decide(&self) -> Report {
        let wrong: Vec<Wrong> = self.cases.iter().filter_map(|case| self.wrong(case)).collect();
        Report { total: self.cases.len(), right: self.cases.len() - wrong.len(), wrong }
    }

    fn wrong(&self, case: &Case) -> Option<Wrong> {
        let decided = match verify(&case.token, self.profiles.get(&case.profile)?, &self.expected, self.now) {
            Ok(_) => Decision::Accepted,
            Err(reason) => Decision::Rejected(reason),
        };
        let right = matches!(
            (case.expect, &decided),
            (Verdict::Accept, Decision::Accepted) | (Verdict::Reject, Decision::Rejected(_))
        );
        let Case { cls, why, .. } = case;
        let wrong = || Wrong { id: case.id(), cls: cls.clone(), why: why.clone(), expected: case.expect, decided };
        (!right && !case.ambiguous).then(wrong)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
        }
    }
}

#[derive(Deserialize)]
struct File<'f> {
    now: i64,
    leeway_seconds: u32,
    issuer: String,
    audience: String,
    required_claims: Vec<String>,
    accepted_typ: Vec<Option<String>>,
    #[serde(borrow)]
    profiles: BTreeMap<String, Profile<'f>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile<'f> {
    algs: Vec<String>,
    secret_b64url: Option<String>,
    #[serde(borrow)]
    jwks: Option<&'f RawValue>,
}

#[derive(Debug, Deserialize)]
struct Case {
    id: Value,
    profile: String,
    expect: Verdict,
    #[serde(default)]
    cls: String,
    #[serde(default)]
    why: String,
    token: String,
    #[serde(default)]
    ambiguous: bool,
}

impl File<'_> {
    fn expected(&self) -> Expected {
        let tenant = TENANT_CLAIMS.into_iter().find(|claim| self.required_claims.iter().any(|name| name == claim));
        Expected {
            issuer: self.issuer.clone(),
            audiences: vec![self.audience.clone()],
            leeway_seconds: self.leeway_seconds,
            types: self.accepted_typ.clone(),
            required: self.required_claims.clone(),
            tenant: tenant.map(|claim| TenantRule { claim: claim.to_owned(), allowed: Tenants::Any }),
        }
    }
}

impl Profile<'_> {
    /// The keys; a secret that must not be used gives a set without keys, as it would in a server.
    fn keys(&self) -> Option<KeySet> {
        let algorithms: Vec<Algorithm> = self.algs.iter().filter_map(|name| name.parse().ok()).collect();
        match (&self.secret_b64url, self.jwks) {
            (None, Some(jwks)) => KeySet::from_jwks(jwks.get().as_bytes(), &algorithms).ok(),
            (Some(secret), None) => {
                let secret = Secret::new(base64url::decode(secret)?);
                let algorithm = algorithms.into_iter().find(|algorithm| algorithm.is_symmetric());
                let key = algorithm.and_then(|algorithm| Key::hmac_with(algorithm, None, &secret).ok());
                Some(KeySet::of(key.into_iter().collect()))
            }
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

impl Case {
    fn id(&self) -> String {
        self.id.as_str().map_or_else(|| self.id.to_string(), str::to_owned)
    }
}
