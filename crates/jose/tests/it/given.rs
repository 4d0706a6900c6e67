//! Issuers with their keys.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{encoding, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jose::{Algorithm, Claims, Expected, Key, KeySet, Signer, TokenError, verify};
use kernel::{Secret, Timestamp};
use serde_json::{Map, Value, json};

pub(crate) const ISSUER: &str = "https://idp.example";
pub(crate) const AUDIENCE: &str = "taskforce";

/// 2027-01-15T08:00:00Z.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

pub(crate) fn expected() -> Expected {
    Expected::new(ISSUER, AUDIENCE)
}

pub(crate) fn secret() -> Secret<Vec<u8>> {
    Secret::new(b"0123456789abcdef0123456789abcdef".to_vec())
}

pub(crate) fn signer() -> Signer {
    Signer::hmac(&secret(), Some("ours")).unwrap()
}

pub(crate) fn secret_keys() -> KeySet {
    KeySet::of(vec![signer().key().clone()])
}

/// Claims that are right, changed as `changes` says: a null takes a claim away.
pub(crate) fn claims(changes: Value) -> Map<String, Value> {
    let mut claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "user-1", "exp": 1_800_000_600, "jti": "j-1" });
    let object = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        object.insert(name.clone(), value.clone());
    }
    object.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Any header and payload, signed with our secret.
pub(crate) fn signed(header: &str, payload: impl AsRef<[u8]>) -> String {
    signed_with(secret().expose(), header, payload)
}

pub(crate) fn signed_with(secret: &[u8], header: &str, payload: impl AsRef<[u8]>) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    sealed(header, payload, |message| hmac::sign(&key, message).as_ref().to_vec())
}

/// A token whose signature `sign` makes.
pub(crate) fn sealed(header: &str, payload: impl AsRef<[u8]>, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", text(header), text(payload));
    let signature = sign(message.as_bytes());
    format!("{message}.{}", text(signature))
}

pub(crate) fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn judge(token: &str) -> Result<Claims, TokenError> {
    verify(token, &secret_keys(), &expected(), now())
}

/// How a token of ours with such claims is judged.
pub(crate) fn judged(changes: Value) -> Result<Claims, TokenError> {
    judge(&signer().sign("JWT", &claims(changes)))
}

type Sign = dyn Fn(&[u8]) -> Vec<u8> + Send + Sync;

/// A key pair of another issuer: what it publishes, and how it signs.
pub(crate) struct Issuer {
    pub(crate) algorithm: Algorithm,
    pub(crate) jwk: Value,
    pub(crate) pem: String,
    sign: Box<Sign>,
}

impl Issuer {
    pub(crate) fn token(&self, header: Value, claims: &Map<String, Value>) -> String {
        sealed(&header.to_string(), Value::Object(claims.clone()).to_string(), &self.sign)
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": self.algorithm.name(), "kid": self.jwk["kid"] })
    }

    pub(crate) fn keys(&self) -> KeySet {
        KeySet::of(vec![Key::from_jwk(self.jwk.to_string().as_bytes(), None).unwrap()])
    }
}

fn pem(info: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(info))
}

pub(crate) static RSA: LazyLock<Issuer> = LazyLock::new(|| {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    // An `RSAPublicKey` of 2048 bits: nine bytes, the modulus, two bytes, the exponent.
    let numbers = public.as_ref();
    let (modulus, exponent) = (text(&numbers[9..265]), text(&numbers[267..]));
    let info: encoding::PublicKeyX509Der<'_> = encoding::AsDer::as_der(public).unwrap();
    Issuer {
        algorithm: Algorithm::Rs256,
        jwk: json!({ "kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": modulus, "e": exponent }),
        pem: pem(info.as_ref()),
        sign: Box::new(move |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        }),
    }
});

pub(crate) static EC: LazyLock<Issuer> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let info: encoding::PublicKeyX509Der<'_> = encoding::AsDer::as_der(pair.public_key()).unwrap();
    Issuer {
        algorithm: Algorithm::Es256,
        jwk: json!({ "kty": "EC", "kid": "ec", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..]) }),
        pem: pem(info.as_ref()),
        sign: Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()),
    }
});

pub(crate) static ED: LazyLock<Issuer> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::generate().unwrap();
    let info: encoding::PublicKeyX509Der<'_> = encoding::AsDer::as_der(pair.public_key()).unwrap();
    Issuer {
        algorithm: Algorithm::EdDsa,
        jwk: json!({ "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": text(pair.public_key()) }),
        pem: pem(info.as_ref()),
        sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()),
    }
});

pub(crate) fn issuers() -> [&'static Issuer; 3] {
    [&RSA, &EC, &ED]
}
