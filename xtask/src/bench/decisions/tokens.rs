//! Bearer tokens, by algorithm.

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::{Expected, Key, KeySet};
use kernel::{Clock as _, Secret, Timestamp};
use serde_json::{Value, json};

use super::{Failure, Machine, show, turns};

const ISSUER: &str = "https://issuer.example";

/// A token, and the key that verifies it.
struct Signed {
    algorithm: &'static str,
    token: String,
    key: Key,
}

pub(super) fn measure() -> Result<(), Failure> {
    let now = Machine.now();
    let all = [
        hs256(now)?,
        rsa("RS256", &RSA_PKCS1_SHA256, now)?,
        rsa("RS384", &RSA_PKCS1_SHA384, now)?,
        rsa("PS256", &RSA_PSS_SHA256, now)?,
        ecdsa(("ES256", "P-256", 32), &ECDSA_P256_SHA256_FIXED_SIGNING, now)?,
        ecdsa(("ES384", "P-384", 48), &ECDSA_P384_SHA384_FIXED_SIGNING, now)?,
        eddsa(now)?,
    ];
    for signed in all {
        let Signed { algorithm, token, key } = signed;
        let (message, signature) = token.rsplit_once('.').ok_or("a token has three parts")?;
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        let bare = key.clone();
        let expected = Expected::new(ISSUER, "taskforce");
        let keys = KeySet::of(vec![key]);
        jose::verify(&token, &keys, &expected, now)?;
        let afresh = || KeySet::of(vec![bare.clone()]);
        let [floor, first, again] = turns([
            &mut || {
                black_box(bare.verifies(black_box(message.as_bytes()), &signature));
            },
            &mut || drop(black_box(jose::verify(black_box(&token), &afresh(), &expected, now))),
            &mut || drop(black_box(jose::verify(black_box(&token), &keys, &expected, now))),
        ]);
        show(&format!("a bearer token, {algorithm}"), first, ("its signature alone", floor));
        show(&format!("the same token again, {algorithm}"), again, ("its signature alone", floor));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is signed: a header and claims as a provider writes them.
fn message(algorithm: &str, now: Timestamp) -> String {
    let seconds = now.unix_millis() / 1_000;
    let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": "bench" });
    let claims = json!({
        "iss": ISSUER, "aud": "taskforce", "sub": "usr_0190a5e0c0de7000800000000000c0de", "tenant_id": "acme-corp",
        "iat": seconds, "exp": seconds + 3_600, "jti": "0190a5e0c0de7000800000000000c0de",
        "groups": ["operators", "platform"],
    });
    format!("{}.{}", text(header.to_string().as_bytes()), text(claims.to_string().as_bytes()))
}

fn signed(
    algorithm: &'static str,
    now: Timestamp,
    jwk: &Value,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<Signed, Failure> {
    let message = message(algorithm, now);
    let token = format!("{message}.{}", text(&sign(message.as_bytes())));
    Ok(Signed { algorithm, token, key: Key::from_jwk(jwk.to_string().as_bytes(), None)? })
}

fn hs256(now: Timestamp) -> Result<Signed, Failure> {
    let secret = Secret::new(vec![7; 32]);
    let message = message("HS256", now);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.expose());
    let token = format!("{message}.{}", text(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref()));
    Ok(Signed { algorithm: "HS256", token, key: Key::hmac(Some("bench"), &secret)? })
}

fn rsa(algorithm: &'static str, encoding: &'static dyn RsaEncoding, now: Timestamp) -> Result<Signed, Failure> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
    // An `RSAPublicKey` of 2048 bits: nine bytes, the modulus, two bytes, the exponent.
    let numbers = pair.public_key().as_ref();
    let (modulus, exponent) = (numbers.get(9..265).unwrap_or_default(), numbers.get(267..).unwrap_or_default());
    let jwk = json!({ "kty": "RSA", "kid": "bench", "alg": algorithm, "n": text(modulus), "e": text(exponent) });
    let mut signature = vec![0; pair.public_modulus_len()];
    let message = message(algorithm, now);
    pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
    signed(algorithm, now, &jwk, |_| signature)
}

fn ecdsa(
    (algorithm, curve, size): (&'static str, &str, usize),
    signing: &'static EcdsaSigningAlgorithm,
    now: Timestamp,
) -> Result<Signed, Failure> {
    let pair = EcdsaKeyPair::generate(signing)?;
    let (x, y) = pair.public_key().as_ref().split_at_checked(1 + size).ok_or("a point has two coordinates")?;
    let x = x.get(1..).unwrap_or_default();
    let jwk = json!({ "kty": "EC", "kid": "bench", "crv": curve, "x": text(x), "y": text(y) });
    let signature = pair.sign(&SystemRandom::new(), message(algorithm, now).as_bytes())?;
    signed(algorithm, now, &jwk, |_| signature.as_ref().to_vec())
}

fn eddsa(now: Timestamp) -> Result<Signed, Failure> {
    let pair = Ed25519KeyPair::generate()?;
    let jwk = json!({ "kty": "OKP", "kid": "bench", "crv": "Ed25519", "x": text(pair.public_key().as_ref()) });
    signed("EdDSA", now, &jwk, |message| pair.sign(message).as_ref().to_vec())
}
