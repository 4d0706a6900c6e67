//! Our own tokens: what they say. Pure.

use authz::{Acting, ActorKind, Makers, Permissions};
use jose::Claims;
use kernel::{KeyId, Secret, TenantId, Timestamp, UserId};
use serde_json::{Map, Value, json};

use crate::TokenRefusal;
use crate::form::sha256;

/// The type that our tokens state (RFC 9068).
pub(crate) const TYPE: &str = "at+jwt";

/// How long a token is good, at most: a day.
pub const MAX_TOKEN_SECONDS: u32 = 86_400;

/// How long a token is good unless its maker says otherwise: an hour.
pub const TOKEN_SECONDS: u32 = 3_600;

/// How many may act one for another, and how often a token may be exchanged.
pub const MAX_CHAIN: usize = 4;

/// A token at the one moment when it can be handed over.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret<String>,
    /// How the ledger names it.
    pub id: String,
    /// What it is narrowed to; `None` for all that its subject may do at each moment.
    pub scopes: Option<Permissions>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What one of our tokens says, beside issuer and audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    /// The user's epoch when it was signed.
    pub(crate) epoch: u64,
    /// Its id.
    pub(crate) id: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// What it is narrowed to.
    pub(crate) scopes: Option<Permissions>,
    /// The key that it, or the first of its line, was made with: it ends with the key.
    pub(crate) key: Option<KeyId>,
    /// Who else has held what it was made with.
    pub(crate) issued_by: Makers,
    /// Those who act for the user, the present one first.
    pub(crate) act: Vec<Actor>,
    /// The digests of the tokens that it descends from: it ends with each of them.
    pub(crate) line: Vec<[u8; 32]>,
}

/// One of those who act for a token's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) id: String,
    pub(crate) kind: ActorKind,
    /// The actor's epoch when the token was signed; `None` for somebody whom only a provider knows.
    pub(crate) epoch: Option<u64>,
    /// The key that the actor came with, if it was one: the token ends with it.
    pub(crate) key: Option<KeyId>,
}

impl From<&Actor> for Acting {
    fn from(actor: &Actor) -> Self {
        Self { kind: actor.kind, id: actor.id.clone() }
    }
}

impl Said {
    /// The claims that say it.
    pub(crate) fn claims(&self, issuer: &str, audience: &str) -> Map<String, Value> {
        let Self { tenant, user, epoch, id, issued_at, expires_at, scopes, key, issued_by, act, line } = self;
        let mut claims = Map::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", json!(issuer));
        say("aud", json!(audience));
        say("sub", json!(user.as_str()));
        say("tenant_id", json!(tenant.as_str()));
        say("iat", json!(seconds(*issued_at)));
        say("exp", json!(seconds(*expires_at)));
        say("jti", json!(id));
        say("epoch", json!(epoch));
        if let Some(scopes) = scopes {
            let names: Vec<&str> = scopes.iter().map(authz::Permission::as_str).collect();
            say("scope", json!(names.join(" ")));
        }
        if let Some(key) = key {
            say("key", json!(key.as_str()));
        }
        if *issued_by != Makers::default() {
            say("issued_by", json!(issued_by.to_string()));
        }
        if let Some(act) = chain(act) {
            say("act", act);
        }
        if !line.is_empty() {
            say("line", json!(line.iter().map(|digest| kernel::hex(digest)).collect::<Vec<_>>()));
        }
        claims
    }

    /// What the claims say, if each says what it must.
    pub(crate) fn read(claims: &Claims) -> Result<Self, TokenRefusal> {
        let malformed = |claim| TokenRefusal::Claim(claim);
        let text = |claim: &'static str| claims.text(claim).ok_or(malformed(claim));
        let number = |claim: &'static str| claims.rest.get(claim).and_then(Value::as_u64).ok_or(malformed(claim));
        Ok(Self {
            tenant: text("tenant_id")?.parse().map_err(|_| malformed("tenant_id"))?,
            user: claims.sub.parse().map_err(|_| malformed("sub"))?,
            epoch: number("epoch")?,
            id: claims.jti.clone().ok_or(malformed("jti"))?,
            issued_at: claims.iat.ok_or(malformed("iat"))?,
            expires_at: claims.exp,
            scopes: optional(claims, "scope")?.map(scopes).transpose()?,
            key: optional(claims, "key")?.map(str::parse).transpose().map_err(|_| malformed("key"))?,
            issued_by: optional(claims, "issued_by")?.unwrap_or_default().split(',').collect(),
            act: actors(claims.rest.get("act")).ok_or(malformed("act"))?,
            line: line(claims).ok_or(malformed("line"))?,
        })
    }

    /// What it is revoked by.
    pub(crate) fn digest(&self) -> [u8; 32] {
        own_digest(&self.id)
    }
}

/// What a token of ours with that id is revoked by.
pub(crate) fn own_digest(id: &str) -> [u8; 32] {
    sha256(["taskforce/token/1", "own", id].join("\0").as_bytes())
}

/// What a provider's token is revoked by: its id, or where it has none, all that is signed in it.
pub(crate) fn provider_digest(token: &str, claims: &Claims) -> [u8; 32] {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let (kind, id) = claims.jti.as_deref().map_or(("signed", signed), |id| ("id", id));
    sha256(["taskforce/token/1", "provider", &claims.iss, kind, id].join("\0").as_bytes())
}

/// How the ledger names a token: by the beginning of the digest that it is revoked by.
pub(crate) fn name(digest: &[u8; 32]) -> String {
    format!("tok_{}", kernel::hex(digest).chars().take(24).collect::<String>())
}

/// How the ledger names somebody whom only a provider knows.
pub(crate) fn stranger(issuer: &str, subject: &str) -> String {
    let hash = sha256(["taskforce/stranger/1", issuer, subject].join("\0").as_bytes());
    format!("ext_{}", kernel::hex(&hash).chars().take(24).collect::<String>())
}

fn seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

/// `act` as RFC 8693 nests it: the present actor outside.
fn chain(actors: &[Actor]) -> Option<Value> {
    actors.iter().rev().fold(None, |inner, actor| {
        let mut act = json!({ "sub": actor.id, "kind": actor.kind.as_str() });
        if let Some(members) = act.as_object_mut() {
            members.extend(actor.epoch.map(|epoch| ("epoch".to_owned(), json!(epoch))));
            members.extend(actor.key.as_ref().map(|key| ("key".to_owned(), json!(key.as_str()))));
            members.extend(inner.map(|inner| ("act".to_owned(), inner)));
        }
        Some(act)
    })
}

/// The subjects of a chain of actors, the present one first; `None` if it is too long, or is none.
pub(crate) fn acting_subjects(act: Option<&Value>) -> Option<Vec<&str>> {
    let mut subjects = Vec::new();
    let mut next = act;
    while let Some(act) = next {
        if subjects.len() == MAX_CHAIN {
            return None;
        }
        subjects.push(act.get("sub")?.as_str()?);
        next = act.get("act");
    }
    Some(subjects)
}

fn actors(act: Option<&Value>) -> Option<Vec<Actor>> {
    let mut actors = Vec::new();
    let mut next = act;
    while let Some(act) = next {
        if actors.len() == MAX_CHAIN {
            return None;
        }
        let kind = match act.get("kind")?.as_str()? {
            "user" => ActorKind::User,
            "service" => ActorKind::Service,
            "anonymous" => ActorKind::Anonymous,
            _ => return None,
        };
        let epoch = match act.get("epoch") {
            Some(epoch) => Some(epoch.as_u64()?),
            None => None,
        };
        let key = match act.get("key") {
            Some(key) => Some(key.as_str()?.parse().ok()?),
            None => None,
        };
        actors.push(Actor { id: act.get("sub")?.as_str()?.to_owned(), kind, epoch, key });
        next = act.get("act");
    }
    Some(actors)
}

fn optional<'c>(claims: &'c Claims, claim: &'static str) -> Result<Option<&'c str>, TokenRefusal> {
    match claims.rest.get(claim) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(TokenRefusal::Claim(claim)),
    }
}

fn scopes(scope: &str) -> Result<Permissions, TokenRefusal> {
    let names = scope.split(' ').filter(|name| !name.is_empty());
    names.map(|name| name.parse::<authz::Permission>().map_err(|_| TokenRefusal::Claim("scope"))).collect()
}

fn line(claims: &Claims) -> Option<Vec<[u8; 32]>> {
    let Some(line) = claims.rest.get("line") else {
        return Some(Vec::new());
    };
    let line = line.as_array().filter(|line| line.len() <= MAX_CHAIN)?;
    line.iter().map(|digest| unhex(digest.as_str()?)).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use authz::Permission;
    use jose::{Expected, KeySet, Signer, verify};
    use proptest::prelude::*;

    fn signer() -> Signer {
        Signer::hmac(&Secret::new(vec![7; 32]), None).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000)
    }

    fn said() -> Said {
        Said {
            tenant: "acme-corp".parse().unwrap(),
            user: "usr_00000000000000000000000000000001".parse().unwrap(),
            epoch: 3,
            id: "some id".to_owned(),
            issued_at: now(),
            expires_at: now().plus_seconds(60),
            scopes: None,
            key: None,
            issued_by: Makers::default(),
            act: Vec::new(),
            line: Vec::new(),
        }
    }

    fn claims(json: &Map<String, Value>) -> Claims {
        let token = signer().sign(TYPE, json);
        let expected = Expected::new("https://taskforce.example", "taskforce");
        verify(&token, &KeySet::of(vec![signer().key().clone()]), &expected, now()).unwrap()
    }

    fn of(said: &Said) -> Map<String, Value> {
        said.claims("https://taskforce.example", "taskforce")
    }

    proptest! {
        #[test]
        fn what_a_token_says_is_read_as_it_was_said(
            epoch in 1u64..1_000,
            bits in proptest::option::of(0u64..1 << 20),
            chain in proptest::collection::vec(
                ("[a-z]{1,9}", proptest::option::of(1u64..9), proptest::option::of("[0-9a-zA-Z]{12}")),
                0..=MAX_CHAIN,
            ),
            line in proptest::collection::vec(any::<[u8; 32]>(), 0..=MAX_CHAIN),
            makers in proptest::collection::vec("usr_[0-9a-f]{8}", 0..3),
        ) {
            let all = Permission::ALL.iter().copied().enumerate();
            let scopes = bits.map(|bits| all.filter(|(at, _)| bits >> at & 1 == 1).map(|(_, one)| one).collect());
            let actor = |(id, epoch, key): (String, Option<u64>, Option<String>)| {
                Actor { id, kind: ActorKind::Service, epoch, key: key.map(|key| key.parse().unwrap()) }
            };
            let act = chain.into_iter().map(actor).collect();
            let issued_by = makers.iter().map(String::as_str).collect();
            let said = Said { epoch, scopes, act, line, issued_by, key: Some("0123456789ab".parse().unwrap()), ..said() };
            prop_assert_eq!(Said::read(&claims(&of(&said))), Ok(said));
        }
    }

    #[test]
    fn a_claim_that_is_not_what_it_must_be_is_named() {
        for (claim, bad) in [
            ("tenant_id", json!("Not A Tenant")),
            ("tenant_id", json!(["acme-corp"])),
            ("sub", json!("alice")),
            ("epoch", json!("3")),
            ("epoch", json!(-1)),
            ("scope", json!("agent:read everything")),
            ("scope", json!(["agent:read"])),
            ("key", json!("short")),
            ("key", json!(null)),
            ("issued_by", json!(1)),
            ("act", json!({ "sub": "usr_1" })),
            ("act", json!("usr_1")),
            ("act", json!({ "sub": "usr_1", "kind": "system" })),
            ("act", json!({ "sub": "usr_1", "kind": "user", "epoch": 1, "key": "short" })),
            ("line", json!(["zz"])),
            ("line", json!("00")),
            ("line", json!(vec!["00"; 5])),
        ] {
            let mut json = of(&said());
            json.insert(claim.to_owned(), bad.clone());
            assert_eq!(Said::read(&claims(&json)), Err(TokenRefusal::Claim(claim)), "{claim} {bad}");
        }
        for absent in ["tenant_id", "epoch", "jti", "iat"] {
            let mut json = of(&said());
            json.remove(absent);
            assert_eq!(Said::read(&claims(&json)), Err(TokenRefusal::Claim(absent)));
        }
    }

    #[test]
    fn a_chain_of_more_than_four_is_none() {
        let actor =
            |number: usize| Actor { id: format!("usr_{number}"), kind: ActorKind::User, epoch: Some(1), key: None };
        let of_five = Said { act: (0..5).map(actor).collect(), ..said() };
        assert_eq!(Said::read(&claims(&of(&of_five))), Err(TokenRefusal::Claim("act")));
        let four = chain(&(0..4).map(actor).collect::<Vec<_>>()).unwrap();
        assert_eq!(acting_subjects(Some(&four)), Some(vec!["usr_0", "usr_1", "usr_2", "usr_3"]));
        assert_eq!(acting_subjects(None), Some(vec![]));
        let five = json!({ "sub": "x", "act": four });
        assert_eq!(acting_subjects(Some(&five)), None);
    }
}
