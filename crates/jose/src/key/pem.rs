//! Public keys as PEM (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::der::{BIT_STRING, Reader, SEQUENCE};
use super::{Key, KeyError};
use crate::Algorithm;
use crate::algorithm::Family;

const MAX_PEM: usize = 16 * 1024;

/// The algorithm identifiers, tag and length included.
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256: &[u8] = b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

impl Key {
    /// The key of a PEM block `PUBLIC KEY` (`SubjectPublicKeyInfo`), used with this one algorithm. RSA, P-256, P-384
    /// (uncompressed points) and Ed25519.
    pub fn from_pem(text: &str, algorithm: Algorithm, id: Option<&str>) -> Result<Self, KeyError> {
        let info = contents(text).ok_or(KeyError::Pem)?;
        let mut outer = Reader::new(&info);
        let info = outer.element(SEQUENCE).filter(|_| outer.is_empty()).ok_or(KeyError::Pem)?;
        let (family, rest) = identified(info).ok_or(KeyError::Kind)?;
        if family != algorithm.family() {
            return Err(KeyError::AlgorithmMismatch);
        }
        let mut rest = Reader::new(rest);
        let Some([0, key @ ..]) = rest.element(BIT_STRING).filter(|_| rest.is_empty()) else {
            return Err(KeyError::Pem);
        };
        if family == Family::Rsa {
            let (modulus, exponent) = rsa_numbers(key).ok_or(KeyError::Pem)?;
            return Self::of_rsa(algorithm, id, modulus, exponent);
        }
        let form = if family == Family::Ed25519 { key.len() == 32 } else { key.first() == Some(&4) };
        if form { Self::of_point(algorithm, id, key) } else { Err(KeyError::Kind) }
    }
}

fn contents(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX_PEM {
        return None;
    }
    let body = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    STANDARD.decode(body.lines().map(str::trim).collect::<String>()).ok()
}

fn identified(info: &[u8]) -> Option<(Family, &[u8])> {
    [(RSA, Family::Rsa), (P256, Family::P256), (P384, Family::P384), (ED25519, Family::Ed25519)]
        .into_iter()
        .find_map(|(identifier, family)| Some((family, info.strip_prefix(identifier)?)))
}

fn rsa_numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader::new(key);
    let mut numbers = Reader::new(outer.element(SEQUENCE)?);
    let modulus = numbers.positive()?;
    let exponent = numbers.positive()?;
    (outer.is_empty() && numbers.is_empty()).then_some((modulus, exponent))
}
