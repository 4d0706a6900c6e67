//! Forms: names and values as `application/x-www-form-urlencoded`.

use std::fmt::Write as _;

/// Pairs as one text. A space becomes `%20`, which every reader of forms and of queries takes for one.
pub(crate) fn encode(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        push(&mut text, name);
        text.push('=');
        push(&mut text, value);
    }
    text
}

/// One value.
pub(crate) fn encoded(value: &str) -> String {
    let mut text = String::new();
    push(&mut text, value);
    text
}

fn push(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_value_is_escaped() {
        let pairs = [("scope", "openid email"), ("redirect_uri", "https://a.b/c?d=e&f"), ("ü", "+~")];
        let expected = "scope=openid%20email&redirect_uri=https%3A%2F%2Fa.b%2Fc%3Fd%3De%26f&%C3%BC=%2B~";
        assert_eq!(encode(&pairs), expected);
    }
}
