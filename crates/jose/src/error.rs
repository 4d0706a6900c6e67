//! Why a token is refused.

/// The reason why a token is refused. No variant holds the token; `UnknownKey` holds the short id that it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`crate::MAX_TOKEN`].
    #[error("the token is too long")]
    TooLong,
    /// Not three parts.
    #[error("the token does not have three parts")]
    Parts,
    /// A part that is not unpadded base64url in its one spelling.
    #[error("a part of the token is not base64url")]
    Encoding,
    /// The header is no strict JSON object.
    #[error("the token's header is not a JSON object without duplicate names")]
    Header,
    /// A member of the header is not what it must be.
    #[error("the token's header `{0}` is absent or malformed")]
    HeaderField(&'static str),
    /// `none`, or any other algorithm that is not supported.
    #[error("the token's algorithm is not supported")]
    UnknownAlgorithm,
    /// An algorithm that is not the one of the key, or none of this issuer's.
    #[error("the token's algorithm is not the one of its key")]
    WrongAlgorithm,
    /// An extension that changes what is signed or how it is to be read: `crit`, `b64` or `zip`.
    #[error("the token's header `{0}` is not supported")]
    Extension(&'static str),
    /// A token within a token.
    #[error("the token holds another token")]
    Nested,
    /// A token of another type.
    #[error("the token is of another type")]
    Type,
    /// It names no key, and the issuer has not exactly one.
    #[error("the token names no key")]
    NoKeyId,
    /// It names a key that the set does not have: perhaps a new one.
    #[error("the token names an unknown key")]
    UnknownKey {
        /// The id that the token names: at most [`crate::MAX_KEY_ID`] bytes, without control characters.
        kid: String,
    },
    /// It names a key that must not be used.
    #[error("the token names a key that is not usable")]
    UnusableKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// The claims are no strict JSON object.
    #[error("the token's claims are not a JSON object without duplicate names")]
    Claims,
    /// A required claim is absent.
    #[error("the token's claim `{0}` is absent")]
    ClaimMissing(String),
    /// A claim has a wrong type or value.
    #[error("the token's claim `{0}` is malformed")]
    ClaimMalformed(&'static str),
    /// Issued by another.
    #[error("the token is from another issuer")]
    Issuer,
    /// Meant for another.
    #[error("the token is meant for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Issued in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// The tenant claim is absent, is not one name, or names a tenant that this issuer does not speak for.
    #[error("the token's issuer does not speak for its tenant")]
    Tenant,
}

impl TokenError {
    /// A short name of the reason, for a metric's label or an entry: one of a fixed list.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Parts => "parts",
            Self::Encoding => "encoding",
            Self::Header => "header",
            Self::HeaderField(_) => "header_field",
            Self::UnknownAlgorithm => "unknown_algorithm",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::Extension(_) => "extension",
            Self::Nested => "nested",
            Self::Type => "type",
            Self::NoKeyId => "no_key_id",
            Self::UnknownKey { .. } => "unknown_key",
            Self::UnusableKey => "unusable_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::ClaimMissing(_) => "claim_missing",
            Self::ClaimMalformed(_) => "claim_malformed",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::Tenant => "tenant",
        }
    }
}
