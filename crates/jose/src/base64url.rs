//! Base64url as tokens use it: no padding, no white space, and one spelling of each value.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes, or nothing if the text is not how [`encode`] spells them.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Adds the text to what stands already.
pub(crate) fn append(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_spelling() {
        assert_eq!(decode("Zm9v-_8"), Some(b"foo\xfb\xff".to_vec()));
        assert_eq!(encode(b"foo\xfb\xff"), "Zm9v-_8");
        for bad in ["Zm9v-_9", "Zm9v-_8=", "Zm9v+/8", "Zm9v-_8\n", " Zm9v-_8", "Zm9v-_8?", "Zm9v-", "Zm9v.-_8"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
