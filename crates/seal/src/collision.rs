//! The known weakness of AES-GCM that the commitment closes: one ciphertext that two keys accept.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use kernel::{Secret, SeededEntropy};

use crate::OpenError;
use crate::envelope::{Envelope, Sealer, Subkey};
use crate::primitive;

/// Multiplication in GF(2¹²⁸) as GHASH has it: the highest bit is the coefficient of 1.
fn times(one: u128, other: u128) -> u128 {
    let (mut product, mut power) = (0, other);
    for bit in (0..128).rev() {
        product ^= power * (one >> bit & 1);
        power = (power >> 1) ^ ((power & 1) * (0xE1 << 120));
    }
    product
}

/// The inverse: the element to the power of 2¹²⁸ - 2.
fn inverse(element: u128) -> u128 {
    let (mut result, mut power) = (1 << 127, element);
    for _ in 1..128 {
        power = times(power, power);
        result = times(result, power);
    }
    result
}

fn aes(key: &[u8; 32], block: u128) -> u128 {
    let key = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let mut buffer = block.to_be_bytes();
    key.encrypt(&mut buffer).unwrap();
    u128::from_be_bytes(buffer)
}

/// GCM under one key, with the algebra laid open.
struct Gcm {
    hash_key: u128,
    mask: u128,
}

impl Gcm {
    fn new(key: &[u8; 32], nonce: &[u8; 12]) -> Self {
        let mut first = [0; 16];
        first[..12].copy_from_slice(nonce);
        first[15] = 1;
        Self { hash_key: aes(key, 0), mask: aes(key, u128::from_be_bytes(first)) }
    }

    fn tag(&self, associated: &[u8], ciphertext: &[u8]) -> u128 {
        let lengths = (associated.len() as u128 * 8) << 64 | (ciphertext.len() as u128 * 8);
        let mut hash = 0;
        for block in associated.chunks(16).chain(ciphertext.chunks(16)) {
            let mut padded = [0; 16];
            padded[..block.len()].copy_from_slice(block);
            hash = times(hash ^ u128::from_be_bytes(padded), self.hash_key);
        }
        times(hash ^ lengths, self.hash_key) ^ self.mask
    }
}

/// A ciphertext and a tag that both keys accept: its last block solves the equation between the two tags.
fn collide(keys: [&[u8; 32]; 2], nonce: &[u8; 12], associated: &[u8]) -> ([u8; 32], [u8; 16]) {
    let [one, other] = keys.map(|key| Gcm::new(key, nonce));
    let mut ciphertext = *b"sixteen chosen..................";
    ciphertext[16..].fill(0);
    let difference = one.tag(associated, &ciphertext) ^ other.tag(associated, &ciphertext);
    let weight = times(one.hash_key, one.hash_key) ^ times(other.hash_key, other.hash_key);
    ciphertext[16..].copy_from_slice(&times(difference, inverse(weight)).to_be_bytes());
    (ciphertext, one.tag(associated, &ciphertext).to_be_bytes())
}

#[test]
fn a_ciphertext_that_two_keys_accept_opens_under_the_one_it_commits_to() {
    let context = b"a place";
    let keys = [Secret::new([1; 32]), Secret::new([2; 32])];
    let [one, other] = keys.each_ref().map(|key| Sealer { key, key_version: 1, key_id: &[7; 16] });

    let honest = one.seal(context, b"", &SeededEntropy::new(1)).unwrap();
    let Envelope { header, salt, nonce, .. } = Envelope::parse(&honest).unwrap();
    let subkeys = keys.each_ref().map(|key| Subkey::derive(key, salt, context).unwrap());
    let associated = [header, context].concat();
    let (ciphertext, tag) = collide(subkeys.each_ref().map(Subkey::key), nonce, &associated);

    for subkey in &subkeys {
        assert!(
            primitive::decrypt(subkey.key(), nonce, &associated, (&ciphertext, &tag)).is_ok(),
            "GCM alone is fooled"
        );
    }
    let crafted = [header, &ciphertext, &tag].concat();
    assert!(one.open(context, &crafted).is_ok());
    assert_eq!(other.open(context, &crafted), Err(OpenError));
}

#[test]
fn a_right_ciphertext_with_the_commitment_of_another_key_is_refused() {
    let context = b"a place";
    let keys = [Secret::new([1; 32]), Secret::new([2; 32])];
    let [one, other] = keys.each_ref().map(|key| Sealer { key, key_version: 1, key_id: &[7; 16] });

    let honest = one.seal(context, b"", &SeededEntropy::new(1)).unwrap();
    let Envelope { header, salt, nonce, .. } = Envelope::parse(&honest).unwrap();
    let [right, wrong] = keys.each_ref().map(|key| Subkey::derive(key, salt, context).unwrap());
    let header = [&header[..header.len() - 32], wrong.commitment()].concat();
    let mut body = *b"text";
    let tag = primitive::encrypt(right.key(), nonce, &[&header, context.as_slice()].concat(), &mut body).unwrap();
    let crafted = [header.as_slice(), &body, &tag].concat();
    assert_eq!(one.open(context, &crafted), Err(OpenError));
    assert_eq!(other.open(context, &crafted), Err(OpenError));
}
