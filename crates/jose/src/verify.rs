//! Verifying a token, in this order: form, header, key, signature, claims.

use std::collections::BTreeSet;
use std::fmt;

use kernel::Timestamp;

use crate::claims::Body;
use crate::parts::Parts;
use crate::{Claims, KeySet, TokenError};

/// What a token must say to be accepted from one issuer. `iss`, `aud`, `sub` and `exp` are always required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The only issuer, compared byte for byte.
    pub issuer: String,
    /// The token must be meant for at least one of these.
    pub audiences: Vec<String>,
    /// By how many seconds clocks may differ.
    pub leeway_seconds: u32,
    /// The types that a header may state; `None` is a header without a type.
    pub types: Vec<Option<String>>,
    /// Claims that must be there besides those that always must; paths as in [`Claims::text`].
    pub required: Vec<String>,
    /// For which tenants the issuer may speak, where a claim of the token says for which one it does.
    pub tenant: Option<TenantRule>,
}

/// The claim that names a tenant, and the tenants that it may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRule {
    /// The claim; a path as in [`Claims::text`].
    pub claim: String,
    /// What it may hold.
    pub allowed: Tenants,
}

/// The tenants that an issuer may speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// These, compared byte for byte.
    Only(BTreeSet<String>),
    /// Any one that is a name: letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 128 of
    /// them. Only for an issuer that is trusted with every tenant.
    Any,
}

impl Expected {
    /// Bearer tokens of this issuer for this audience: 30 seconds of leeway, and the types of RFC 7519 and RFC 9068.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            leeway_seconds: 30,
            types: vec![None, Some("JWT".to_owned()), Some("at+jwt".to_owned())],
            required: Vec::new(),
            tenant: None,
        }
    }

    fn check_type(&self, typ: Option<&str>) -> Result<(), TokenError> {
        if self.types.iter().any(|accepted| accepted.as_deref() == typ) { Ok(()) } else { Err(TokenError::Type) }
    }

    fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        let leeway = i64::from(self.leeway_seconds);
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        if !claims.aud.iter().any(|audience| self.audiences.contains(audience)) {
            return Err(TokenError::Audience);
        }
        if now >= claims.exp.plus_seconds(leeway) {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some_and(|begin| now.plus_seconds(leeway) < begin) {
            return Err(TokenError::NotYetValid);
        }
        if claims.iat.is_some_and(|issued| now.plus_seconds(leeway) < issued) {
            return Err(TokenError::IssuedInFuture);
        }
        if let Some(absent) = self.required.iter().find(|path| !claims.has(path)) {
            return Err(TokenError::ClaimMissing(absent.clone()));
        }
        self.tenant.as_ref().map_or(Ok(()), |rule| rule.check(claims))
    }
}

impl TenantRule {
    fn check(&self, claims: &Claims) -> Result<(), TokenError> {
        match claims.text(&self.claim) {
            Some(tenant) if self.allowed.contain(tenant) => Ok(()),
            Some(_) | None => Err(TokenError::Tenant),
        }
    }
}

impl Tenants {
    fn contain(&self, tenant: &str) -> bool {
        match self {
            Self::Only(tenants) => tenants.contains(tenant),
            Self::Any => {
                tenant.len() <= 128
                    && tenant.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
                    && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            }
        }
    }
}

/// Verifies a token of a known issuer.
pub fn verify(token: &str, keys: &KeySet, expected: &Expected, now: Timestamp) -> Result<Claims, TokenError> {
    let parts = Parts::read(token)?;
    check_signature(&parts, keys, |typ| expected.check_type(typ))?;
    let claims = Body::read(&parts.payload)?.typed(parts.header.typ)?;
    expected.check(&claims, now)?;
    Ok(claims)
}

/// Reads a token without verifying anything, to find out whose rules it is to be judged by.
///
/// **Nothing that it says is true** until [`Unverified::verify`] has said so: anyone can write anything into a token.
/// It is size-limited and as strictly read as a verified one.
pub fn peek(token: &str) -> Result<Unverified<'_>, TokenError> {
    let parts = Parts::read(token)?;
    let body = Body::read(&parts.payload)?;
    Ok(Unverified { parts, body })
}

/// A token that was read and not verified.
pub struct Unverified<'t> {
    parts: Parts<'t>,
    body: Body,
}

impl Unverified<'_> {
    /// The issuer that it claims.
    pub fn issuer(&self) -> Option<&str> {
        self.body.issuer()
    }

    /// The key that it names.
    pub fn key_id(&self) -> Option<&str> {
        self.parts.header.key_id.as_deref()
    }

    /// The text of a claim, such as the one that names its tenant; paths as in [`Claims::text`].
    pub fn text(&self, path: &str) -> Option<&str> {
        self.body.text(path)
    }

    /// Whether it claims to be meant for that audience.
    pub fn is_for(&self, audience: &str) -> bool {
        self.body.is_for(audience)
    }

    /// Whether it brings or points to a key of its own (`jwk`, `jku`, `x5c`, `x5u`). Such a key is never looked at,
    /// but who sends it is up to something.
    pub const fn brings_key(&self) -> bool {
        self.parts.header.brings_key
    }

    /// Verifies it like [`verify`], without reading it again.
    pub fn verify(self, keys: &KeySet, expected: &Expected, now: Timestamp) -> Result<Claims, TokenError> {
        check_signature(&self.parts, keys, |typ| expected.check_type(typ))?;
        let claims = self.body.typed(self.parts.header.typ)?;
        expected.check(&claims, now)?;
        Ok(claims)
    }
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

pub(crate) fn check_signature(
    parts: &Parts<'_>,
    keys: &KeySet,
    check_type: impl FnOnce(Option<&str>) -> Result<(), TokenError>,
) -> Result<(), TokenError> {
    check_type(parts.header.typ.as_deref())?;
    let key = keys.find(parts.header.key_id.as_deref(), parts.header.algorithm)?;
    if keys.signed(key, parts.signed, &parts.signature) { Ok(()) } else { Err(TokenError::Signature) }
}
