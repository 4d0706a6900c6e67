//! The primitives, with sizes that cannot be wrong. The only file that calls the cryptographic library to encrypt,
//! derive or authenticate.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, error::Unspecified, hkdf, hmac};
use zeroize::Zeroize;

/// HMAC-SHA256 (RFC 2104) of `data` under `key`.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    array(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
}

/// Whether `tag` is the HMAC-SHA256 of `data` under `key`, compared in constant time. A truncated tag is not.
#[must_use]
pub fn verify_hmac_sha256(key: &[u8], data: &[u8], tag: &[u8]) -> bool {
    equal(&hmac_sha256(key, data), tag)
}

/// Whether two values are the same bytes, in a time that depends on their lengths only.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// SHA-256 of `parts`, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    array(context.finish().as_ref())
}

/// HKDF-SHA256 (RFC 5869): fills `output` from `secret`. More than 255 blocks cannot be had.
pub(crate) fn hkdf_sha256(secret: &[u8], salt: &[u8], info: &[u8], output: &mut [u8]) -> Result<(), Unspecified> {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    derived.expand(&[info], Length(output.len()))?.fill(output)
}

/// AES-256-GCM (NIST SP 800-38D): encrypts `buffer` in place and returns the tag.
pub(crate) fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; 16], Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(associated), buffer)?;
    Ok(array(tag.as_ref()))
}

/// AES-256-GCM: the plaintext, if `tag` is right.
pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; 12],
    associated: &[u8],
    (ciphertext, tag): (&[u8], &[u8; 16]),
) -> Result<Vec<u8>, Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let mut plaintext = vec![0; ciphertext.len()];
    let opened = key.open_separate_gather(nonce, Aad::from(associated), ciphertext, tag, &mut plaintext);
    if opened.is_err() {
        plaintext.zeroize();
    }
    opened.map(|()| plaintext)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The bytes of a digest or tag whose length its algorithm fixes.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
