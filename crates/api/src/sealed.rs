//! What a browser holds for us while somebody signs in: sealed, so that it can neither be read nor made up.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kernel::{Moment, Secret};

/// What the sealed bytes are for, which they are bound to.
const PURPOSE: &[u8] = b"taskforce/sign-in/1";
const NONCE: usize = 12;

/// Seals and opens with a key that every node of the installation has.
pub(crate) struct Sealer(LessSafeKey);

/// A key that is not 32 bytes long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key of cookies is not 32 bytes long")]
pub struct CookieKeyError;

impl Sealer {
    pub(crate) fn new(key: &Secret<Vec<u8>>) -> Result<Self, CookieKeyError> {
        UnboundKey::new(&AES_256_GCM, key.expose()).map(LessSafeKey::new).map(Self).map_err(|_| CookieKeyError)
    }

    /// Seals under a nonce of this moment; text that a cookie can hold. `None` only past the bounds of AES-GCM.
    pub(crate) fn seal(&self, plain: &Secret<Vec<u8>>, at: &Moment<'_>) -> Option<String> {
        let nonce = at.bytes::<NONCE>();
        let mut sealed = plain.expose().clone();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0.seal_in_place_append_tag(unique, Aad::from(PURPOSE), &mut sealed).ok()?;
        Some(BASE64.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed here; nothing else opens.
    pub(crate) fn open(&self, sealed: &str) -> Option<Secret<Vec<u8>>> {
        let mut bytes = BASE64.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk_mut::<NONCE>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(PURPOSE), sealed).ok()?;
        Some(Secret::new(plain.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::FixedMoment;

    #[test]
    fn only_what_was_sealed_here_opens() {
        let sealer = |byte| Sealer::new(&Secret::new(vec![byte; 32])).unwrap();
        let moment = FixedMoment::new(1);
        let sealed = sealer(1).seal(&Secret::new(b"canary".to_vec()), &moment.moment()).unwrap();
        assert_eq!(sealer(1).open(&sealed).unwrap().expose(), b"canary");
        assert!(!sealed.contains("canary") && sealer(2).open(&sealed).is_none());
        for at in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer(1).open(std::str::from_utf8(&other).unwrap()).is_none(), "{at}");
        }
        for other in ["", "A", &sealed[..20], &format!("{sealed}AAAA")] {
            assert!(sealer(1).open(other).is_none(), "{other}");
        }
        assert_eq!(Sealer::new(&Secret::new(vec![0; 31])).err(), Some(CookieKeyError));
    }
}
