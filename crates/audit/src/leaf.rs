//! Reading a leaf: one line of JSON that has exactly one spelling.

use std::borrow::Cow;

use store::LEAF_VERSION;

/// What a leaf says. It borrows from the leaf's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf<'a> {
    pub(crate) log: Cow<'a, str>,
    pub(crate) seq: u64,
    pub(crate) ts: &'a str,
    pub(crate) actor: Cow<'a, str>,
    pub(crate) tenant: Cow<'a, str>,
    pub(crate) action: &'a str,
    pub(crate) resource_kind: Cow<'a, str>,
    pub(crate) resource: Cow<'a, str>,
    pub(crate) digest: Option<[u8; 32]>,
    pub(crate) outcome: &'a str,
    pub(crate) request_id: Cow<'a, str>,
    pub(crate) payload_commit: Option<[u8; 32]>,
    pub(crate) prev_ts: Option<&'a str>,
}

/// Why bytes are not a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub(crate) struct LeafError {
    at: usize,
    expected: &'static str,
}

/// The words that name an outcome.
const OUTCOMES: [&str; 5] = ["ok", "refused", "failed", "aborted", "unknown"];

/// The words that name a kind of actor.
const ACTORS: [&str; 4] = ["user", "service", "system", "anonymous"];

impl<'a> Leaf<'a> {
    /// Reads a leaf: every field, in order, nothing else, spelled as the ledger spells it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, LeafError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| LeafError { at: error.valid_up_to(), expected: "text in UTF-8" })?;
        let mut reader = Reader { text, rest: text };
        reader.literal("{\"v\":\"")?;
        reader.literal(LEAF_VERSION)?;
        reader.literal("\",\"log\":")?;
        let log = reader.string()?;
        reader.literal(",\"seq\":")?;
        let seq = reader.number()?;
        reader.literal(",\"ts\":")?;
        let ts = reader.timestamp()?;
        let actor = reader.actor()?;
        reader.literal(",\"tenant\":")?;
        let tenant = reader.string()?;
        reader.literal(",\"action\":")?;
        let action = reader.name()?;
        reader.literal(",\"resource\":{\"type\":")?;
        let resource_kind = reader.string()?;
        reader.literal(",\"id\":")?;
        let resource = reader.string()?;
        reader.literal(",\"digest\":")?;
        let digest = reader.optional(Reader::hash)?;
        reader.literal("}")?;
        reader.literal(",\"outcome\":")?;
        let outcome = reader.word(&OUTCOMES, "an outcome")?;
        reader.policy()?;
        reader.literal(",\"request_id\":")?;
        let request_id = reader.string()?;
        reader.literal(",\"idempotency\":")?;
        reader.optional(Reader::string)?;
        reader.literal(",\"payload_commit\":")?;
        let payload_commit = reader.optional(Reader::hash)?;
        reader.literal(",\"prev_ts\":")?;
        let prev_ts = reader.optional(Reader::timestamp)?;
        reader.literal("}")?;
        if !reader.rest.is_empty() {
            return Err(reader.error("the end"));
        }
        let leaf = Self {
            log,
            seq,
            ts,
            actor,
            tenant,
            action,
            resource_kind,
            resource,
            digest,
            outcome,
            request_id,
            payload_commit,
            prev_ts,
        };
        Ok(leaf)
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    const fn error(&self, expected: &'static str) -> LeafError {
        LeafError { at: self.text.len() - self.rest.len(), expected }
    }

    fn literal(&mut self, expected: &'static str) -> Result<(), LeafError> {
        self.rest = self.rest.strip_prefix(expected).ok_or_else(|| self.error(expected))?;
        Ok(())
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, LeafError>) -> Result<Option<T>, LeafError> {
        if let Some(rest) = self.rest.strip_prefix("null") {
            self.rest = rest;
            return Ok(None);
        }
        read(self).map(Some)
    }

    /// An integer below 2^53, which every reader of JSON reads alike.
    fn number(&mut self) -> Result<u64, LeafError> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(length);
        let plain = digits == "0" || !digits.starts_with('0');
        let number = digits.parse().ok().filter(|number| plain && *number < 1 << 53);
        let number = number.ok_or_else(|| self.error("a number"))?;
        self.rest = rest;
        Ok(number)
    }

    /// A string without anything that would have to be escaped.
    fn plain(&mut self) -> Result<&'a str, LeafError> {
        let open = self.rest.strip_prefix('"').ok_or_else(|| self.error("a string"))?;
        let end = open.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20);
        let (value, rest) = end.and_then(|end| open.split_at_checked(end)).ok_or_else(|| self.error("a string"))?;
        self.rest = rest.strip_prefix('"').ok_or_else(|| self.error("a string without escapes"))?;
        Ok(value)
    }

    /// A string. What must be escaped is escaped, in the one way the ledger does it, and nothing else is.
    fn string(&mut self) -> Result<Cow<'a, str>, LeafError> {
        let before = self.rest;
        if let Ok(plain) = self.plain() {
            return Ok(Cow::Borrowed(plain));
        }
        let mut strings = serde_json::Deserializer::from_str(before).into_iter::<String>();
        let value = strings.next().and_then(Result::ok).ok_or_else(|| self.error("a string"))?;
        let (raw, rest) = before.split_at_checked(strings.byte_offset()).ok_or_else(|| self.error("a string"))?;
        if serde_json::to_string(&value).ok().as_deref() != Some(raw) {
            return Err(self.error("a string in its one spelling"));
        }
        self.rest = rest;
        Ok(Cow::Owned(value))
    }

    fn word(&mut self, words: &[&str], expected: &'static str) -> Result<&'a str, LeafError> {
        let error = self.error(expected);
        let word = self.plain()?;
        if words.contains(&word) { Ok(word) } else { Err(error) }
    }

    /// The name of an action: `catalog.version.published`.
    fn name(&mut self) -> Result<&'a str, LeafError> {
        let error = self.error("the name of an action");
        let name = self.plain()?;
        let allowed = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'));
        if allowed && !name.is_empty() { Ok(name) } else { Err(error) }
    }

    fn hash(&mut self) -> Result<[u8; 32], LeafError> {
        let error = self.error("64 hexadecimal digits");
        from_hex(self.plain()?).ok_or(error)
    }

    fn timestamp(&mut self) -> Result<&'a str, LeafError> {
        let error = self.error("a time as 2027-01-15T08:00:00.000Z");
        let text = self.plain()?;
        if is_timestamp(text) { Ok(text) } else { Err(error) }
    }

    fn actor(&mut self) -> Result<Cow<'a, str>, LeafError> {
        self.literal(",\"actor\":{\"type\":")?;
        self.word(&ACTORS, "a kind of actor")?;
        self.literal(",\"id\":")?;
        let id = self.string()?;
        self.literal(",\"via\":")?;
        self.optional(Self::string)?;
        self.literal(",\"act\":")?;
        self.optional(Self::acting)?;
        self.literal("}")?;
        Ok(id)
    }

    /// The chain of those who act for the actor: at least one.
    fn acting(&mut self) -> Result<(), LeafError> {
        self.literal("[")?;
        loop {
            self.literal("{\"type\":")?;
            self.word(&ACTORS, "a kind of actor")?;
            self.literal(",\"id\":")?;
            self.string()?;
            self.literal("}")?;
            let Some(rest) = self.rest.strip_prefix(',') else {
                return self.literal("]");
            };
            self.rest = rest;
        }
    }

    fn policy(&mut self) -> Result<(), LeafError> {
        self.literal(",\"policy\":")?;
        self.optional(|reader| {
            reader.literal("{\"id\":")?;
            reader.string()?;
            reader.literal(",\"version\":")?;
            reader.number()?;
            reader.literal(",\"rule\":")?;
            reader.string()?;
            reader.literal(",\"digest\":")?;
            reader.optional(Self::hash)?;
            reader.literal("}")
        })?;
        Ok(())
    }
}

/// Reads lower-case hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether `text` is an instant in the one form that sorts as text.
pub(crate) fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 24
        && bytes.iter().zip(b"dddd-dd-ddTdd:dd:dd.dddZ").all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u32>().ok()).unwrap_or(99);
    if !shape || part(11, 13) > 23 || part(14, 16) > 59 || part(17, 19) > 59 {
        return false;
    }
    let (year, month, day) =
        (text.get(0..4).and_then(|year| year.parse::<u32>().ok()).unwrap_or(0), part(5, 7), part(8, 10));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &str = r#"{"v":"taskforce/audit/1","log":"tf/taskforce/t/acme-corp","seq":7,"ts":"2027-01-15T08:00:00.000Z","actor":{"type":"user","id":"usr_1","via":"abcdefghijkl","act":[{"type":"service","id":"usr_2"}]},"tenant":"acme-corp","action":"catalog.version.published","resource":{"type":"version","id":"a\"b","digest":"00000000000000000000000000000000000000000000000000000000000000ff"},"outcome":"ok","policy":{"id":"rbac","version":1,"rule":"x","digest":null},"request_id":"req_1","idempotency":"k\u001f","payload_commit":null,"prev_ts":"2027-01-15T07:59:59.999Z"}"#;

    #[test]
    fn a_leaf_is_read_field_by_field() {
        let leaf = Leaf::parse(LEAF.as_bytes()).unwrap();
        assert_eq!((leaf.seq, leaf.action, leaf.outcome), (7, "catalog.version.published", "ok"));
        assert_eq!((&*leaf.resource_kind, &*leaf.resource, leaf.digest.unwrap()[31]), ("version", "a\"b", 255));
        assert_eq!((&*leaf.actor, leaf.ts, leaf.payload_commit), ("usr_1", "2027-01-15T08:00:00.000Z", None));
    }

    #[test]
    fn another_spelling_of_the_same_json_is_refused() {
        let fields: &[(&str, &str)] = &[
            ("{\"v\"", "{ \"v\""),
            ("audit/1", "audit/2"),
            ("\"seq\":7", "\"seq\":07"),
            ("\"seq\":7", "\"seq\":7.0"),
            ("\"seq\":7", "\"seq\":9007199254740992"),
            ("\"seq\":7", "\"seq\":7,\"seq\":7"),
            ("\"tenant\":\"acme-corp\"", "\"tenant\":\"acme\\u002dcorp\""),
            ("a\\\"b", "a\\u0022b"),
            ("k\\u001f", "k\\u001F"),
            ("\"user\"", "\"robot\""),
            ("\"ok\"", "\"fine\""),
            ("catalog.version", "Catalog.version"),
            ("00ff\"", "00FF\""),
            ("00ff\"", "0ff\""),
            ("2027-01-15T08", "2027-02-29T08"),
            ("2027-01-15T08", "2027-01-15t08"),
            ("2027-01-15T08", "2027-01-15T24"),
            ("08:00:00.000Z", "08:00:00.000+00:00"),
            ("\"payload_commit\":null,", ""),
            ("\"prev_ts\"", "\"more\":1,\"prev_ts\""),
            ("999Z\"}", "999Z\"}\n"),
            ("999Z\"}", "999Z\"} "),
        ];
        for (from, to) in fields {
            let other = LEAF.replacen(from, to, 1);
            assert_ne!(other, LEAF, "{from}");
            assert!(Leaf::parse(other.as_bytes()).is_err(), "{to}");
        }
        let error = Leaf::parse(b"{\"v\":\"taskforce/audit/1\",\"log\":7").unwrap_err();
        assert_eq!(error.to_string(), "expected a string at byte 31");
    }

    #[test]
    fn no_prefix_and_no_flip_of_a_leaf_panics() {
        for at in 0..LEAF.len() {
            assert!(Leaf::parse(&LEAF.as_bytes()[..at]).is_err());
            for bit in 0..8 {
                let mut bytes = LEAF.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let _ = Leaf::parse(&bytes);
            }
        }
    }

    #[test]
    fn leap_years_are_known() {
        for (text, valid) in [("2024-02-29", true), ("2000-02-29", true), ("1900-02-29", false), ("2027-13-01", false)]
        {
            assert_eq!(is_timestamp(&format!("{text}T00:00:00.000Z")), valid, "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_survive_a_round_trip() {
        let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8).unwrap());
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
    }
}
