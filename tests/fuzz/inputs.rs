//! The inputs of the decoders: noise, JSON of etcd's names in the wrong order, and mutated responses of etcd.

use etcd_http::transport::http::{HeaderName, HeaderValue};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use crate::{
    api::Api,
    canned::{Answer, Ending},
};

const LOCATIONS: &[&str] = &[
    "/v2/keys/x",
    "http://a/v2/keys/x",
    "http://b/v2/keys/x",
    "http://A:80/v2/keys/x",
    "https://a/v2/keys/x",
    "http://evil/v2/keys/x",
    "//evil/v2/keys",
    "/v2/keys/%2e%2e/members",
    "/v2/../v3/kv",
    "http://[::1",
    "http://a:99999/",
    "http://a@evil/v2/keys/x",
    "v2/keys/x",
    "?x",
    "#",
    "",
    "/",
    "http://",
    "http://a/v2/keys/\u{fc}",
    "javascript:x",
];

/// A few responses, as one server would send them one after the other.
pub(crate) fn answers(api: &Api) -> impl Strategy<Value = Vec<Answer>> + use<> {
    vec(answer(api), 1..4)
}

fn answer(api: &Api) -> impl Strategy<Value = Answer> + use<> {
    let frames = vec(prop_oneof![3 => 0..8_usize, 1 => 0..70_000_usize], 0..6);
    let ending = prop_oneof![
        6 => Just(Ending::Clean),
        1 => Just(Ending::Trailers),
        1 => Just(Ending::Break),
        1 => Just(Ending::Open),
    ];
    (status(), headers(), body(api), frames, ending).prop_map(
        |(status, headers, body, frames, ending)| Answer {
            status,
            headers,
            body,
            frames,
            ending,
        },
    )
}

fn status() -> impl Strategy<Value = u16> {
    let usual = select(vec![
        200, 201, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 412, 500, 503,
    ]);
    prop_oneof![6 => Just(200), 6 => usual, 1 => 100..=999_u16]
}

fn headers() -> impl Strategy<Value = Vec<(HeaderName, HeaderValue)>> {
    let number = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        (0..20_u64).prop_map(|number| number.to_string()),
        "[-+0-9a-f ]{0,25}",
    ];
    let known = prop_oneof![
        (Just("x-etcd-index"), number.clone()),
        (Just("x-raft-index"), number.clone()),
        (Just("x-raft-term"), number),
        (Just("x-etcd-cluster-id"), "[0-9a-fA-F]{0,17}"),
        (
            Just("content-type"),
            prop_oneof![Just("application/json".to_owned()), "[ -~]{0,20}"]
        ),
        (
            Just("location"),
            prop_oneof![select(LOCATIONS).prop_map(str::to_owned), "[ -~]{0,40}"]
        ),
        (
            Just("content-encoding"),
            prop_oneof![Just("gzip".to_owned()), Just("identity".to_owned())]
        ),
        (Just("retry-after"), "[ -~]{0,20}"),
    ];
    let known = known.prop_map(|(name, value)| (name, value.into_bytes()));
    let noise = (
        select(vec!["x-etcd-index", "location", "content-type", "x-noise"]),
        vec(any::<u8>(), 0..40),
    );
    let json = Just(("content-type", b"application/json".to_vec()));
    vec(prop_oneof![6 => known, 1 => noise, 3 => json], 0..6).prop_map(|headers| {
        let valid = |(name, value): (&'static str, Vec<u8>)| {
            // Headers that no HTTP stack would pass on are left out.
            let value = HeaderValue::from_bytes(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        };
        headers.into_iter().filter_map(valid).collect()
    })
}

fn body(api: &Api) -> impl Strategy<Value = Vec<u8>> + use<> {
    let words = api.words;
    let sample = || select(api.samples.clone());
    let mutated =
        |text: String, mutations: Vec<Mutation>| mutations.iter().fold(text.into_bytes(), mutate);
    prop_oneof![
        2 => vec(any::<u8>(), 0..200),
        4 => value(words).prop_map(|value| value.to_string().into_bytes()),
        6 => (sample(), vec(mutation(), 0..4)).prop_map(move |(text, by)| mutated(text, by)),
        2 => (vec(sample(), 2..5), vec(mutation(), 0..4))
            .prop_map(move |(texts, by)| mutated(texts.concat(), by)),
        1 => nested(api),
    ]
}

/// JSON of etcd's names.
fn value(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(words).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let object = vec((select(words), inner.clone()), 0..6).prop_map(|fields| {
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        });
        prop_oneof![
            3 => object,
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            1 => (select(words), inner).prop_map(|(name, value)| json!({name: value})),
        ]
    })
}

/// Deeper than any store, complete or cut off.
fn nested(api: &Api) -> impl Strategy<Value = Vec<u8>> + use<> {
    let openings = [&["[", r#"{"a":"#], api.openings].concat();
    (select(openings), 0..4000_usize)
        .prop_map(|(opening, depth)| opening.repeat(depth).into_bytes())
}

/// Whether a value of this JSON begins here: roughly, behind a colon or a bracket.
pub(crate) fn begins_value(json: &[u8], at: usize) -> bool {
    json[..at].ends_with(b":") || json[..at].ends_with(b"[")
}

/// With another value in the place of the one that begins here.
pub(crate) fn with_value(json: &[u8], start: usize, value: &str) -> Vec<u8> {
    let rest = json[start..].iter();
    let end = start + rest.take_while(|byte| !b",}]".contains(byte)).count();
    [&json[..start], value.as_bytes(), &json[end..]].concat()
}

/// Of the wrong type, out of range, and invalid base64.
pub(crate) const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "\"\"",
    "\"-1\"",
    "\"9223372036854775807\"",
    "\"9223372036854775808\"",
    "\"18446744073709551616\"",
    "\"YQ\"",
    "\"Y===\"",
    "\"Y\\u0000Q\"",
    "\"\\ud800\"",
    "\"*\"",
    "\"NEITHER\"",
    "{}",
    "[]",
    "[{}]",
    "{\"a\":{\"b\":[]}}",
];

#[derive(Clone, Debug)]
enum Mutation {
    Cut(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    /// A part, again, elsewhere.
    Copy(Index, Index, Index),
    Remove(Index, Index),
    /// Every number becomes this one.
    Numbers(&'static str),
    /// Replaces this value by another one that JSON has, or almost has.
    Value(Index, &'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let numbers = select(vec![
        "0",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1e309",
        "1.5",
        "1e-9",
        "00",
    ]);
    prop_oneof![
        index().prop_map(Mutation::Cut),
        (index(), 1..=255_u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (index(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (index(), index(), index()).prop_map(|(from, to, at)| Mutation::Copy(from, to, at)),
        (index(), index()).prop_map(|(from, to)| Mutation::Remove(from, to)),
        numbers.prop_map(Mutation::Numbers),
        (index(), select(VALUES)).prop_map(|(at, value)| Mutation::Value(at, value)),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutation: &Mutation) -> Vec<u8> {
    let length = bytes.len() + 1;
    let range = |from: &Index, to: &Index| {
        let (from, to) = (from.index(length), to.index(length));
        from.min(to)..from.max(to)
    };
    match mutation {
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Flip(at, bits) => {
            let at = at.index(length);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Mutation::Insert(at, new) => {
            let at = at.index(length);
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Copy(from, to, at) => {
            let part = bytes[range(from, to)].to_vec();
            let at = at.index(length);
            bytes.splice(at..at, part);
        }
        Mutation::Remove(from, to) => drop(bytes.drain(range(from, to))),
        Mutation::Numbers(number) => {
            let mut out = Vec::new();
            let mut within = false;
            for byte in bytes {
                if !byte.is_ascii_digit() {
                    out.push(byte);
                } else if !within {
                    out.extend(number.bytes());
                }
                within = byte.is_ascii_digit();
            }
            bytes = out;
        }
        Mutation::Value(at, value) => {
            let begins = |at: &usize| begins_value(&bytes, *at);
            let begins: Vec<usize> = (1..bytes.len()).filter(begins).collect();
            if !begins.is_empty() {
                bytes = with_value(&bytes, begins[at.index(begins.len())], value);
            }
        }
    }
    bytes
}
