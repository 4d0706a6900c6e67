//! What holds for any change of any token, and for any input.

use jose::corpus::Corpus;
use jose::{Algorithm, Key, KeySet, peek, verify};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::given::{claims, expected, issuers, judge, now, signed, signer};

const HEADER: &str = r#"{"alg":"HS256","kid":"ours"}"#;

/// Every issuer's good token and keys.
fn good_tokens() -> Vec<(String, KeySet)> {
    let ours = (signer().sign("JWT", &claims(json!({}))), KeySet::of(vec![signer().key().clone()]));
    let theirs = issuers().map(|issuer| (issuer.token(issuer.header(), &claims(json!({}))), issuer.keys()));
    std::iter::once(ours).chain(theirs).collect()
}

fn is_refused(token: &str, keys: &KeySet) -> bool {
    let read_first = peek(token).and_then(|unverified| unverified.verify(keys, &expected(), now()));
    verify(token, keys, &expected(), now()).is_err() && read_first.is_err()
}

#[test]
fn every_single_bit_of_a_token_counts() {
    for (token, keys) in good_tokens() {
        assert!(!is_refused(&token, &keys));
        for position in 0..token.len() {
            for bit in 0..8 {
                let mut altered = token.clone().into_bytes();
                altered[position] ^= 1 << bit;
                let Ok(altered) = String::from_utf8(altered) else { continue };
                assert!(is_refused(&altered, &keys), "byte {position}, bit {bit}");
            }
        }
    }
}

#[test]
fn every_cut_of_a_token_is_refused() {
    for (token, keys) in good_tokens() {
        assert!((0..token.len()).all(|length| is_refused(&token[..length], &keys)));
    }
}

proptest! {
    #[test]
    fn any_altered_character_of_a_token_is_refused(
        which in any::<Index>(), at in any::<Index>(), other in any::<char>(), insert in any::<bool>(),
    ) {
        let tokens = good_tokens();
        let (token, keys) = &tokens[which.index(tokens.len())];
        let mut altered: Vec<char> = token.chars().collect();
        let at = at.index(altered.len());
        prop_assume!(insert || altered[at] != other);
        if insert { altered.insert(at, other) } else { altered[at] = other }
        prop_assert!(is_refused(&altered.into_iter().collect::<String>(), keys));
    }

    #[test]
    fn no_text_panics_the_verifier(text in ".{0,300}") {
        prop_assert!(judge(&text).is_err() && peek(&text).is_err());
    }

    #[test]
    fn no_signed_bytes_panic_the_verifier(header in "[ -~]{0,80}", payload in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(judge(&signed(&header, &payload)).is_err());
        prop_assert!(judge(&signed(HEADER, &payload)).is_err());
    }

    #[test]
    fn no_bytes_panic_the_readers_of_keys(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[-A-Za-z0-9+/=\n ]{0,200}") {
        prop_assert!(Key::from_jwk(&bytes, None).is_err());
        prop_assert!(KeySet::from_jwks(&bytes, &Algorithm::ALL).is_err());
        prop_assert!(Corpus::parse(&bytes).is_err());
        let pem = format!("-----BEGIN PUBLIC KEY-----{text}-----END PUBLIC KEY-----");
        prop_assert!(Key::from_pem(&pem, Algorithm::Rs256, None).is_err());
    }

    #[test]
    fn any_altered_byte_of_a_pem_key_is_refused_or_another_key(which in any::<Index>(), at in any::<Index>(), flip in 1_u8..) {
        let issuers = issuers();
        let issuer = issuers[which.index(issuers.len())];
        let mut pem = issuer.pem.clone().into_bytes();
        let at = at.index(pem.len());
        pem[at] ^= flip;
        if let Some(key) = String::from_utf8(pem).ok().and_then(|pem| Key::from_pem(&pem, issuer.algorithm, None).ok()) {
            // White space may differ; anything else is another key, which does not verify.
            let token = issuer.token(issuer.header(), &claims(json!({})));
            let unnamed = issuer.token(json!({ "alg": issuer.algorithm.name() }), &claims(json!({})));
            let keys = KeySet::of(vec![key]);
            prop_assert!(is_refused(&token, &keys));
            let blank = issuer.pem.as_bytes()[at].is_ascii_whitespace();
            prop_assert!(blank || is_refused(&unnamed, &keys));
        }
    }
}
