//! `payloads.ndjson`: for each entry with a payload one line, opened, or the mark that it is gone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::COMMITMENT_PREFIX;
use tlog::Hash;

use crate::model::Payload;

/// One line, without its newline: `None` for a payload that is no longer there.
pub(crate) fn line(seq: u64, payload: Option<&Payload>) -> String {
    match payload {
        Some(Payload { salt, bytes }) => {
            let (salt, bytes) = (STANDARD.encode(salt), STANDARD.encode(bytes));
            format!("{{\"seq\":{seq},\"salt\":\"{salt}\",\"payload\":\"{bytes}\"}}")
        }
        None => format!("{{\"seq\":{seq},\"erased\":true}}"),
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    /// What salt and payload commit to; `None` for a payload that is gone.
    pub(crate) commitment: Option<Hash>,
}

impl Line {
    /// Reads a line in the one form that [`line`] writes. `scratch` is reused from line to line.
    pub(crate) fn parse(text: &[u8], scratch: &mut Vec<u8>) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (digits, rest) = text.strip_prefix("{\"seq\":")?.split_once(',')?;
        let seq: u64 = digits.parse().ok()?;
        if seq.to_string() != digits {
            return None;
        }
        if rest == "\"erased\":true}" {
            return Some(Self { seq, commitment: None });
        }
        let (salt, payload) = rest.strip_prefix("\"salt\":\"")?.split_once("\",\"payload\":\"")?;
        let payload = payload.strip_suffix("\"}")?;
        scratch.clear();
        scratch.extend_from_slice(COMMITMENT_PREFIX);
        STANDARD.decode_vec(salt, scratch).ok().filter(|()| scratch.len() == COMMITMENT_PREFIX.len() + 32)?;
        STANDARD.decode_vec(payload, scratch).ok()?;
        Some(Self { seq, commitment: Some(tlog::sha256(scratch)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_spelling() {
        let payload = Payload { salt: [7; 32], bytes: b"{}".to_vec() };
        let text = line(12, Some(&payload));
        let read = Line::parse(text.as_bytes(), &mut Vec::new()).unwrap();
        let commitment = tlog::sha256(&[COMMITMENT_PREFIX, &[7; 32], b"{}"].concat());
        assert_eq!(read, Line { seq: 12, commitment: Some(commitment) });
        assert_eq!(Line::parse(line(3, None).as_bytes(), &mut Vec::new()), Some(Line { seq: 3, commitment: None }));
        for (from, to) in
            [("12", "012"), ("12", "+12"), ("\"salt\"", " \"salt\""), ("\"}", "\"} "), ("BwcH", "BwcHBwcH")]
        {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text);
            assert_eq!(Line::parse(other.as_bytes(), &mut Vec::new()), None, "{other}");
        }
    }
}
