//! Compares the declared messages with etcd's `.proto` files, and both codecs with another implementation.

use std::{collections::BTreeSet, fs, path::Path};

use bytes::Bytes;
use etcd_http_peers as peers;
use peers::{Message, Random};

use crate::{
    endpoints::wire::Wire,
    v3::protocol::{
        json,
        message::{Decode, Encode},
        method,
        protobuf::{self, ProtobufError},
    },
};

/// How many random messages of each kind are compared.
const SAMPLES: u64 = 100;

/// Requests of one kind.
pub(crate) struct Requests {
    name: &'static str,
    sent: BTreeSet<String>,
}

impl Requests {
    /// The message with this full name: `etcdserverpb.PutRequest`.
    pub(crate) fn of(name: &'static str) -> Self {
        Self {
            name,
            sent: BTreeSet::new(),
        }
    }

    /// Checks that the other implementation reads the same message from both forms of this one.
    #[track_caller]
    pub(crate) fn send(mut self, message: &impl Encode) -> Self {
        let bytes = protobuf::to_protobuf(message);
        let by_tag = peers::from_protobuf(self.name, &bytes).unwrap();
        let json = json::to_json(message);
        let by_name = peers::from_json(self.name, &json).unwrap();
        assert_eq!(by_tag, by_name, "{json}");
        assert_eq!(by_tag.unknown_fields().count(), 0, "{json}");
        assert_eq!(by_tag.encoded_len(), bytes.len(), "{json}");
        let fields = by_tag.fields().map(|(field, _)| field.name().to_owned());
        self.sent.extend(fields);
        self
    }

    /// Checks that all fields except these have been sent.
    #[track_caller]
    pub(crate) fn all_fields_but(self, never_sent: &[&str]) {
        let message = peers::message(self.name);
        let fields: BTreeSet<_> = message
            .fields()
            .map(|field| field.name().to_owned())
            .collect();
        let sent_or_not = self.sent.iter().map(String::as_str);
        let sent_or_not: BTreeSet<_> = sent_or_not.chain(never_sent.iter().copied()).collect();
        assert_eq!(
            fields.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            sent_or_not
        );
        for field in never_sent {
            assert!(!self.sent.contains(*field), "{field} is sent");
        }
    }
}

/// Checks that both forms of a random response, as the other implementation writes it, are read as that message, except
/// for the fields that are not read. Also with unknown fields, twice in a row, and cut anywhere. With bytes replaced it
/// is read only if the other implementation reads it, too.
#[track_caller]
pub(crate) fn response<M: Decode + Encode>(name: &'static str, unread: &[&str]) {
    for seed in 0..SAMPLES {
        let mut random = Random::new(seed);
        let sent = random.message(&peers::message(name));
        let json = peers::to_json(&sent);
        let bytes = Bytes::from(sent.encode_to_vec());

        let expected = peers::without(sent, unread);
        let compare = |read: &M, how: &str| {
            assert_eq!(as_peer(name, read, unread), expected, "{how}: {json}");
        };
        compare(&protobuf::parse(&bytes).unwrap(), "protobuf");
        compare(&json::parse(json.as_bytes()).unwrap(), "JSON");

        let unknown = [random.unknown_field(), random.unknown_field()];
        let around = [&unknown[0][..], &bytes, &unknown[1]].concat();
        compare(&protobuf::parse(&around.into()).unwrap(), "unknown fields");

        let other = random.message(&peers::message(name)).encode_to_vec();
        merged::<M>(name, unread, [&bytes[..], &other].concat().into());
        if bytes.len() < 500 {
            cut::<M>(name, unread, &bytes);
        }
        for _ in 0..20 {
            let broken = Bytes::from(random.broken(&bytes));
            let theirs = peers::from_protobuf(name, &broken);
            // Nobody looks into a field that is not read.
            if protobuf::parse::<M>(&broken).is_ok() && unread.is_empty() {
                assert!(theirs.is_ok(), "{broken:?}: {theirs:?}");
            }
        }
    }
}

/// Checks that a message in two parts is read as the other implementation reads it.
fn merged<M: Decode + Encode>(name: &str, unread: &[&str], bytes: Bytes) {
    let expected = peers::from_protobuf(name, &bytes).unwrap();
    let read: M = protobuf::parse(&bytes).unwrap();
    let read = as_peer(name, &read, unread);
    assert_eq!(read, peers::without(expected, unread));
}

/// Checks that a cut message is an error whenever the other implementation says so.
fn cut<M: Decode + Encode>(name: &str, unread: &[&str], bytes: &Bytes) {
    for end in 0..bytes.len() {
        let part = bytes.slice(..end);
        match (
            protobuf::parse::<M>(&part),
            peers::from_protobuf(name, &part),
        ) {
            (Ok(read), Ok(expected)) => {
                let read = as_peer(name, &read, unread);
                assert_eq!(read, peers::without(expected, unread));
            }
            (Err(ProtobufError::Truncated), Err(_)) => {}
            (Err(ProtobufError::Missing(_)), Ok(_)) => {}
            (read, expected) => {
                panic!(
                    "{end} of {bytes:?}: {:?} and {expected:?}",
                    read.map(|_| ())
                );
            }
        }
    }
}

/// Returns what was read, as the other implementation has it: by names, and by tags.
#[track_caller]
fn as_peer(name: &str, message: &(impl Decode + Encode), unread: &[&str]) -> String {
    let by_name = peers::from_json(name, &json::to_json(message)).unwrap();
    let by_name = peers::without(by_name, unread);
    let by_tag = peers::from_protobuf(name, &protobuf::to_protobuf(message)).unwrap();
    assert_eq!(peers::without(by_tag, unread), by_name);
    by_name
}

#[test]
fn every_method_is_one_of_etcd() {
    for method in method::ALL {
        let path = method.target(Wire::Grpc).as_str();
        assert!(peers::has_method(path), "{path}");
    }
    // `KV/RangeStream` came after 3.6.
    let methods: usize = peers::SCHEMA
        .services()
        .map(|service| service.methods().len())
        .sum();
    assert_eq!(method::ALL.len(), methods - 1);
}

#[test]
fn every_message_of_a_method_is_compared() {
    let sources = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/v3")));
    for method in peers::SCHEMA
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        if method.name() == "RangeStream" {
            continue;
        }
        for message in [method.input(), method.output()] {
            let name = format!("\"{}\"", message.full_name());
            assert!(sources.contains(&name), "no test names {name}");
        }
    }
}

/// The text of all files in this directory.
fn sources(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path);
        } else {
            all += &fs::read_to_string(path).unwrap();
        }
    }
    all
}
