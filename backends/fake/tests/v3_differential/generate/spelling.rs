//! Values as JSON, plain or in every spelling that etcd knows.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};

use fake_harness::random::Random;

use super::Generator;

/// Eleven keys: up to twelve values etcd sorts in an order of its own making, but a stable one.
const KEYS: [&[u8]; 11] = [
    b"a",
    b"aa",
    b"ab",
    b"b",
    b"b\0",
    b"c",
    b"d",
    b"\xc3\xa9",
    b"z",
    b"\xff",
    b"\xff\xff",
];

impl Generator {
    pub(super) fn key_and_end(&mut self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("key", self.key())];
        if self.chance(2) {
            fields.push((self.name("range_end", "rangeEnd"), self.end()));
        }
        fields
    }

    pub(super) fn key(&mut self) -> String {
        let key = KEYS[self.below(KEYS.len())];
        self.bytes(key)
    }

    pub(super) fn end(&mut self) -> String {
        let end: &[u8] = match self.below(5) {
            0..2 if self.has_open_ends => b"\0",
            2 => b"",
            _ => KEYS[self.below(KEYS.len())],
        };
        self.bytes(end)
    }

    pub(super) fn value(&mut self) -> String {
        if self.chance(30) {
            // Go announces the length of a response up to 2,048 bytes.
            let long = vec![b'x'; 700 + self.below(1500)];
            return self.bytes(&long);
        }
        let value = [&b""[..], b"1", b"2", b"2", b"v", b"\0\xff\xfb", b"<&>"][self.below(7)];
        self.bytes(value)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> String {
        let text = match self.below(if self.is_odd { 8 } else { 1 }) {
            0..5 => STANDARD.encode(bytes),
            5 => STANDARD_NO_PAD.encode(bytes),
            6 => URL_SAFE.encode(bytes),
            _ => STANDARD.encode(bytes).replace('=', "\\u003d"),
        };
        format!("\"{text}\"")
    }

    pub(super) fn number(&mut self, choices: &[&str]) -> String {
        let number = choices[self.below(choices.len())];
        match self.below(if self.is_odd { 12 } else { 2 }) {
            0 | 3..8 => number.to_owned(),
            8 => format!("{number}.0"),
            9 => format!("\"{number}e0\""),
            10 => format!("\" {number}\""),
            11 => ["null", "true", "\"\"", "[1]", "{}", "1e30", "\"x\"", "0.5"][self.below(8)]
                .to_owned(),
            _ => format!("\"{number}\""),
        }
    }

    pub(super) fn enumeration(&mut self, names: &[&str]) -> String {
        let at = self.below(names.len());
        match self.below(if self.is_odd { 8 } else { 2 }) {
            0 => at.to_string(),
            2 => format!("\"{}\"", names[at].to_lowercase()),
            3 => "null".to_owned(),
            _ => format!("\"{}\"", names[at]),
        }
    }

    pub(super) fn name(&mut self, name: &'static str, camel: &'static str) -> &'static str {
        if self.is_odd && self.chance(2) {
            camel
        } else {
            name
        }
    }

    pub(super) fn object(&mut self, mut fields: Vec<(&'static str, String)>) -> String {
        if self.is_odd && self.chance(6) {
            let unknown = ["1", "\"x\"", "{\"a\":[1,{}]}", "null"][self.below(4)];
            let at = self.below(fields.len() + 1);
            fields.insert(at, ("unknown", unknown.to_owned()));
        }
        if self.is_odd && self.chance(4) && fields.len() > 1 {
            let (one, other) = (self.below(fields.len()), self.below(fields.len()));
            fields.swap(one, other);
        }
        let space = if self.is_odd && self.chance(6) {
            " \n"
        } else {
            ""
        };
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{space}\"{name}\":{space}{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}
