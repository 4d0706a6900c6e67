//! Bearer tokens: our own, and those of identity providers that speak for their one tenant.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use authz::{Acting, Action, ActorKind, Caller, Forbidden, Permission, Permissions, Request, Standing, Via};
use jose::{Claims, Expected, KeyError, KeySet, Signer, TokenError, Unverified};
use kernel::{KeyId, Moment, Secret, TenantId, Timestamp, UserId};
use store::{Database, StoreError};

use crate::directory::{Authenticated, Candidate, Digest, Directory, Principal, Share, vouch};
use crate::provider::{Newcomer, Provider, Subject};
use crate::store::tokens::Revocation;
use crate::token::{self, Actor, IssuedToken, MAX_TOKEN_SECONDS, Said, TOKEN_SECONDS};
use crate::{AuthError, Beyond, Refusal, TokenRefusal, entries, rules, store as rows};

/// What our own tokens are signed with, and what they say of who signed them.
#[derive(Debug)]
pub struct TokenSettings {
    /// The secret: at least 32 bytes.
    pub secret: Secret<Vec<u8>>,
    /// Our name in our tokens.
    pub issuer: String,
    /// Whom they are meant for; `None` for the issuer itself.
    pub audience: Option<String>,
}

/// Signs and knows our own tokens.
pub struct Tokens {
    signer: Signer,
    keys: KeySet,
    expected: Expected,
    audience: String,
}

impl Tokens {
    /// With these settings. Refuses a secret that is too short.
    pub fn new(settings: &TokenSettings) -> Result<Self, KeyError> {
        let TokenSettings { secret, issuer, audience } = settings;
        let signer = Signer::hmac(secret, None)?;
        let audience = audience.clone().unwrap_or_else(|| issuer.clone());
        let mut expected = Expected::new(issuer, &audience);
        expected.types = vec![Some(token::TYPE.to_owned())];
        Ok(Self { keys: KeySet::of(vec![signer.key().clone()]), signer, expected, audience })
    }

    /// Our name in our tokens.
    pub fn issuer(&self) -> &str {
        &self.expected.issuer
    }

    pub(crate) fn sign(&self, said: &Said) -> IssuedToken {
        let token = self.signer.sign(token::TYPE, &said.claims(self.issuer(), &self.audience));
        IssuedToken {
            token: Secret::new(token),
            id: token::name(&said.digest()),
            scopes: said.scopes,
            expires_at: said.expires_at,
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("issuer", &self.issuer()).finish_non_exhaustive()
    }
}

/// A token to be, for oneself.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewToken {
    /// For how many seconds it is good: at most a day; `None` for an hour.
    pub expires_in_seconds: Option<u32>,
    /// What it is narrowed to; `None` for all that the caller may do.
    pub scopes: Option<Permissions>,
}

/// Making a token for oneself.
#[derive(Debug)]
pub struct IssueToken;

impl Action for IssueToken {
    const NAME: &'static str = "identity.token.issue";
    const PERMISSION: Option<Permission> = None;
    const SENSITIVE: bool = true;
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueTokenError {
    /// The caller may not make tokens.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The token could do what the caller cannot.
    #[error(transparent)]
    Beyond(#[from] Beyond),
    /// The caller came with a token: that is exchanged, so that the chain of who acts for whom stays whole.
    #[error("a token makes no tokens: exchange it")]
    FromToken,
    /// The caller is no user.
    #[error("only users have tokens")]
    NoUser,
    /// It would be good for no time, or for too long.
    #[error("a token is good for 1 to {MAX_TOKEN_SECONDS} seconds")]
    Lifetime,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Makes a token for the caller. It says who they are, never what they may do: that is looked up at each request. It ends
/// with the key that it was made with, and when its subject signs out everywhere.
pub fn issue_token(
    db: &Database,
    tokens: &Tokens,
    caller: &Caller,
    new: NewToken,
    at: &Moment<'_>,
) -> Result<IssuedToken, IssueTokenError> {
    let grant = caller.authorize::<IssueToken>()?;
    let lifetime = lifetime(new.expires_in_seconds).ok_or(IssueTokenError::Lifetime)?;
    let key = match &caller.actor().via {
        Some(Via::Key(key)) => Some(key.clone()),
        Some(Via::Session(_)) | None => None,
        Some(Via::Token(_)) => return Err(IssueTokenError::FromToken),
    };
    let user: UserId = caller.actor().id.parse().map_err(|_| IssueTokenError::NoUser)?;
    rules::within(caller, new.scopes.unwrap_or_default())?;
    // A credential that is narrowed makes only tokens that are.
    let narrowed = caller.standing().scopes.map(|_| caller.permissions());
    let scopes = new.scopes.or(narrowed);
    db.write_data(grant, |tx| {
        let found = rows::users::user(tx, &user)?.ok_or(IssueTokenError::NoUser)?;
        let row = key.as_ref().map(|key| rows::keys::key(tx, key)).transpose()?.flatten();
        let end = at.now().plus_seconds(lifetime);
        let said = Said {
            tenant: caller.tenant().clone(),
            user: found.id,
            epoch: found.epoch,
            id: kernel::hex(&at.bytes::<16>()),
            issued_at: at.now(),
            expires_at: row.map_or(end, |key| end.min(key.expires_at)),
            scopes,
            key,
            issued_by: caller.standing().issued_by.clone(),
            act: Vec::new(),
            line: Vec::new(),
        };
        let issued = tokens.sign(&said);
        Ok((entries::credentials::token_issued(&issued, &said), issued))
    })
}

pub(crate) fn lifetime(asked: Option<u32>) -> Option<i64> {
    let seconds = asked.unwrap_or(TOKEN_SECONDS);
    (1..=MAX_TOKEN_SECONDS).contains(&seconds).then(|| i64::from(seconds))
}

/// The keys of a provider, if they are known and have the one that a token names by its id. Never waits.
pub type KeysOf<'a> = &'a (dyn Fn(&Provider, Option<&str>) -> Option<Arc<KeySet>> + 'a);

/// What tokens are judged by.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// Our own.
    pub tokens: &'a Tokens,
    /// Who is who.
    pub directory: &'a Directory,
    /// The keys of providers whose keys do not stand in their settings.
    pub keys: KeysOf<'a>,
}

impl fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("tokens", self.tokens).finish_non_exhaustive()
    }
}

/// A token that is presented.
#[derive(Clone, Copy)]
pub struct Bearer<'a> {
    /// The token.
    pub token: &'a str,
    /// The network address that it comes from.
    pub from: Option<IpAddr>,
    /// The tenant whose providers alone are asked about a token that is not ours; `None` for those of all.
    pub tenant: Option<&'a TenantId>,
    /// When.
    pub now: Timestamp,
}

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("from", &self.from).finish_non_exhaustive()
    }
}

/// What a token is presented for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be used.
    Use,
    /// To be ended: that is done from anywhere.
    End,
}

/// A token that was found good.
pub(crate) struct Admitted {
    pub(crate) standing: Standing,
    pub(crate) principal: Arc<Principal>,
    pub(crate) digest: Digest,
    pub(crate) expires_at: Timestamp,
    pub(crate) key: Option<KeyId>,
    pub(crate) act: Vec<Actor>,
    pub(crate) line: Vec<Digest>,
}

impl Verifier<'_> {
    /// Says who presents the token, or refuses. Its issuer decides who verifies it. No SQL, no lock.
    ///
    /// [`TokenRefusal::UnknownKey`] asks for the keys of some providers and another try, [`TokenRefusal::Newcomer`] for a
    /// user and another try.
    pub fn authenticate(&self, bearer: Bearer<'_>, request: Request) -> Result<Authenticated, AuthError> {
        let admitted = self.admit(bearer, Purpose::Use)?;
        Ok(Authenticated { caller: vouch(admitted.standing.into(), request), agent: None })
    }

    pub(crate) fn admit(&self, bearer: Bearer<'_>, purpose: Purpose) -> Result<Admitted, AuthError> {
        self.directory.check_fresh()?;
        let unverified = jose::peek(bearer.token).map_err(TokenRefusal::from)?;
        if unverified.issuer() == Some(self.tokens.issuer()) {
            let claims = unverified.verify(&self.tokens.keys, &self.tokens.expected, bearer.now);
            self.admit_own(&claims.map_err(TokenRefusal::from)?, (bearer, purpose))
        } else {
            let (candidate, claims) = self.vouching(&unverified, bearer)?;
            self.admit_provided(&candidate, &claims, bearer)
        }
    }

    fn admit_own(&self, claims: &Claims, (bearer, purpose): (Bearer<'_>, Purpose)) -> Result<Admitted, AuthError> {
        let said = Said::read(claims)?;
        let owner = Some((said.tenant.clone(), said.user.clone()));
        let refused = |cause: Refusal| AuthError { cause, key: said.key.clone(), owner: owner.clone() };
        let share = self.directory.share(&said.tenant).ok_or(TokenRefusal::NoTenant)?;
        let principal = share.users.get(&said.user).ok_or(TokenRefusal::NoUser)?;
        principal.admit().map_err(refused)?;
        if principal.epoch != said.epoch {
            return Err(refused(TokenRefusal::Epoch.into()));
        }
        let digest = said.digest();
        if said.line.iter().chain([&digest]).any(|digest| is_revoked(&share, digest, &said.user)) {
            return Err(refused(TokenRefusal::Revoked.into()));
        }
        // The key that it was made with, and those of whoever acts: it ends with each of them.
        for key in said.key.iter().chain(said.act.iter().filter_map(|actor| actor.key.as_ref())) {
            match self.directory.check_key(key, bearer.from, bearer.now) {
                Ok(()) => {}
                Err(Refusal::Network) if purpose == Purpose::End => {}
                Err(Refusal::Network) => return Err(refused(Refusal::Network)),
                Err(_) => return Err(refused(TokenRefusal::Key.into())),
            }
        }
        if !said.act.iter().all(|actor| may_act(&share, actor)) {
            return Err(refused(TokenRefusal::Actor.into()));
        }
        let mut standing = principal.standing();
        standing.actor.via = Some(Via::Token(token::name(&digest).into()));
        standing.actor.act = said.act.iter().map(Acting::from).collect();
        standing.scopes = said.scopes;
        standing.issued_by = said.issued_by;
        let principal = Arc::clone(principal);
        let Said { expires_at, key, act, line, .. } = said;
        Ok(Admitted { standing, principal, digest, expires_at, key, act, line })
    }

    /// The one provider that vouches for the token. A provider that says which of its issuer's tenants it is for comes
    /// before those that would take any. Whose keys are not known keeps nobody else from vouching.
    fn vouching(&self, unverified: &Unverified<'_>, bearer: Bearer<'_>) -> Result<(Candidate, Claims), TokenRefusal> {
        let (mut vouching, mut unknown, mut refusal) = (Vec::new(), Vec::new(), TokenRefusal::UnknownIssuer);
        for candidate in self.meant(unverified, bearer.tenant) {
            if !candidate.provider.settings.is_claimed(unverified) {
                refusal = TokenError::Tenant.into();
                continue;
            }
            let keys = candidate.keys.clone().or_else(|| (self.keys)(&candidate.provider, unverified.key_id()));
            let verified = keys.map(|keys| jose::verify(bearer.token, &keys, &candidate.expected, bearer.now));
            match verified {
                Some(Ok(claims)) => vouching.push((candidate, claims)),
                None => unknown.push(Arc::clone(&candidate.provider)),
                Some(Err(TokenError::UnknownKey { .. })) if candidate.keys.is_none() => {
                    unknown.push(Arc::clone(&candidate.provider));
                }
                Some(Err(error)) => refusal = error.into(),
            }
        }
        if vouching.iter().any(|(candidate, _)| candidate.provider.settings.tenant.is_some()) {
            vouching.retain(|(candidate, _)| candidate.provider.settings.tenant.is_some());
        }
        match (vouching.pop(), unknown.is_empty()) {
            (Some(one), _) if vouching.is_empty() => Ok(one),
            (Some(_), _) => Err(TokenRefusal::Ambiguous),
            (None, false) => Err(TokenRefusal::UnknownKey(unknown)),
            (None, true) => Err(refusal),
        }
    }

    /// The providers, of one tenant or of all, that the token may be from and that are among those it is meant for.
    fn meant(&self, unverified: &Unverified<'_>, tenant: Option<&TenantId>) -> impl Iterator<Item = Candidate> {
        let candidates = self.directory.candidates(unverified.issuer().unwrap_or_default());
        candidates.into_iter().filter(move |candidate| {
            let audiences = &candidate.provider.settings.audiences;
            tenant.is_none_or(|tenant| candidate.tenant == *tenant)
                && audiences.iter().any(|audience| unverified.is_for(audience))
        })
    }

    /// The providers that were not asked about a token that another vouches for, because their keys are not known. Once
    /// they are, the token may be theirs as well: until then, a tenant that keeps the keys of another's issuer in its
    /// settings is believed alone.
    pub fn unheard(&self, bearer: Bearer<'_>) -> Vec<Arc<Provider>> {
        let Ok(unverified) = jose::peek(bearer.token) else { return Vec::new() };
        if unverified.issuer() == Some(self.tokens.issuer()) {
            return Vec::new();
        }
        let open =
            |candidate: &Candidate| candidate.keys.is_none() && candidate.provider.settings.is_claimed(&unverified);
        let unknown = |candidate: &Candidate| (self.keys)(&candidate.provider, unverified.key_id()).is_none();
        let unheard = self.meant(&unverified, bearer.tenant).filter(open).filter(unknown);
        unheard.map(|candidate| candidate.provider).collect()
    }

    fn admit_provided(
        &self,
        Candidate { tenant, provider, .. }: &Candidate,
        claims: &Claims,
        bearer: Bearer<'_>,
    ) -> Result<Admitted, AuthError> {
        let share = self.directory.share(tenant).ok_or(TokenRefusal::NoTenant)?;
        if share.realm.suspended {
            return Err(Refusal::Suspended.into());
        }
        let digest = token::provider_digest(bearer.token, claims);
        let subject = Subject::of(provider, tenant, claims);
        let Some(user) = share.links.get(&(provider.id.clone(), subject.hash)) else {
            let newcomer = || TokenRefusal::Newcomer(Box::new(Newcomer(subject)));
            return Err(if provider.settings.provision { newcomer() } else { TokenRefusal::Unlinked }.into());
        };
        let refused = |cause: Refusal| AuthError { cause, key: None, owner: Some((tenant.clone(), user.clone())) };
        let principal = share.users.get(user).ok_or_else(|| refused(TokenRefusal::NoUser.into()))?;
        principal.admit().map_err(refused)?;
        if is_revoked(&share, &digest, user) {
            return Err(refused(TokenRefusal::Revoked.into()));
        }
        let act = token::acting_subjects(claims.rest.get("act"));
        let act = act.ok_or_else(|| refused(TokenRefusal::Claim("act").into()))?.into_iter().map(|subject| {
            let id = token::stranger(&claims.iss, subject);
            Actor { id, kind: ActorKind::Anonymous, epoch: None, key: None }
        });
        let act: Vec<Actor> = act.collect();
        let mut standing = principal.standing();
        standing.actor.via = Some(Via::Token(token::name(&digest).into()));
        standing.actor.act = act.iter().map(Acting::from).collect();
        if let Some(roles) = &subject.roles {
            (standing.roles, standing.allowed) = share.realm.effective(roles);
        }
        let principal = Arc::clone(principal);
        Ok(Admitted { standing, principal, digest, expires_at: claims.exp, key: None, act, line: Vec::new() })
    }
}

impl From<TokenRefusal> for AuthError {
    fn from(refusal: TokenRefusal) -> Self {
        Refusal::from(refusal).into()
    }
}

impl From<Refusal> for AuthError {
    fn from(cause: Refusal) -> Self {
        Self { cause, key: None, owner: None }
    }
}

fn is_revoked(share: &Share, digest: &Digest, user: &UserId) -> bool {
    share.revoked.get(digest).is_some_and(|meant| meant.as_ref().is_none_or(|meant| meant == user))
}

/// Whether somebody who acts for another may act still. Whom only a provider knows, only the provider can stop.
fn may_act(share: &Share, actor: &Actor) -> bool {
    let Some(epoch) = actor.epoch else {
        return actor.id.starts_with("ext_");
    };
    let known = actor.id.parse::<UserId>().ok().and_then(|id| share.users.get(&id));
    known.is_some_and(|principal| principal.active && principal.epoch == epoch)
}

/// Which token is meant.
#[derive(Clone, Copy)]
pub enum TokenRef<'a> {
    /// The token itself, of ours or of a provider's.
    Token(&'a str),
    /// The `jti` of one of ours.
    Id(&'a str),
}

impl fmt::Debug for TokenRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(«secret»)"),
            Self::Id(_) => f.write_str("Id(..)"),
        }
    }
}

/// Revoking one's own token.
#[derive(Debug)]
pub struct RevokeOwnToken;

impl Action for RevokeOwnToken {
    const NAME: &'static str = "identity.token.revoke";
    const PERMISSION: Option<Permission> = None;
}

/// Revoking anybody's token.
#[derive(Debug)]
pub struct RevokeToken;

impl Action for RevokeToken {
    const NAME: &'static str = "identity.token.revoke";
    const PERMISSION: Option<Permission> = Some(Permission::KeyManage);
}

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeTokenError {
    /// The caller may not revoke tokens.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It is no good token that the caller may know of: there is nothing to revoke.
    #[error("no such token, or it is good no longer")]
    NotFound,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] StoreError),
}

/// Revokes a token, and with it all that descend from it: one's own, or anybody's with `key:manage`. Other nodes refuse it
/// from their next look on.
pub fn revoke_token(
    db: &Database,
    verifier: &Verifier<'_>,
    caller: &Caller,
    token: TokenRef<'_>,
    at: &Moment<'_>,
) -> Result<(), RevokeTokenError> {
    let revocation = match token {
        TokenRef::Token(token) => {
            let admitted = verifier
                .admit(Bearer { token, from: None, tenant: Some(caller.tenant()), now: at.now() }, Purpose::End);
            let admitted = admitted.map_err(|_| RevokeTokenError::NotFound)?;
            owned(caller, &admitted.principal, admitted.expires_at, admitted.digest)?
        }
        TokenRef::Id(id) => {
            let expires_at = at.now().plus_seconds(i64::from(MAX_TOKEN_SECONDS));
            let user = match caller.authorize::<RevokeToken>() {
                Ok(_) => None,
                Err(_) => Some(caller.actor().id.parse().map_err(|_| RevokeTokenError::NotFound)?),
            };
            Revocation { digest: token::own_digest(id), user, expires_at }
        }
    };
    // Clocks may differ: a token is good for a little longer than it says.
    let expires_at = revocation.expires_at.plus_seconds(2 * i64::from(verifier.tokens.expected.leeway_seconds));
    let revocation = Revocation { expires_at, ..revocation };
    let name = token::name(&revocation.digest);
    let grant = caller.authorize_on::<RevokeOwnToken>(&name)?;
    db.write(grant, |tx| {
        rows::tokens::revoke(tx, &revocation, at.now())?;
        Ok((entries::credentials::token_revoked(&name, revocation.expires_at), ()))
    })
}

/// Whose the token is decides who may revoke it.
fn owned(
    caller: &Caller,
    principal: &Principal,
    expires_at: Timestamp,
    digest: Digest,
) -> Result<Revocation, RevokeTokenError> {
    let here: &TenantId = &principal.realm.tenant;
    let own = caller.actor().id == principal.user.as_str();
    if here != caller.tenant() || !(own || caller.authorize::<RevokeToken>().is_ok()) {
        return Err(RevokeTokenError::NotFound);
    }
    Ok(Revocation { digest, user: None, expires_at })
}
