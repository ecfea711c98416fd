use bytes::Bytes;

use super::*;
use crate::v3::{
    Header, KeyRange, KeyValue, PutResponse, Range, SortOrder, SortTarget, Txn, TxnOpResponse,
    TxnResponse,
    kv::Put,
    protocol::message::{self, Decode, Encode, Fields},
};

fn read<M: Decode>(bytes: &[u8]) -> Result<M, ProtobufError> {
    parse(&Bytes::copy_from_slice(bytes))
}

#[derive(Debug, Default, PartialEq)]
struct Lists {
    numbers: Vec<i64>,
    texts: Vec<String>,
    flags: Vec<bool>,
    headers: Vec<Header>,
    after: u64,
}

message::message!(Inner { 1 "number" => number });
message::decode!(Lists {
    1 "numbers" => numbers,
    2 "texts" => texts,
    3 "flags" => flags,
    4 "headers" => headers,
    500_000_000 "after" => after,
});

#[derive(Debug, Default, PartialEq)]
struct Inner {
    number: i64,
}

struct Outer {
    inner: Vec<Inner>,
    numbers: Vec<i64>,
    none: Option<Inner>,
    some: Option<Inner>,
}

impl Encode for Outer {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "inner", &self.inner)
            .put(2, "numbers", &self.numbers)
            .put(3, "none", &self.none)
            .put(4, "some", &self.some);
    }
}

#[test]
fn a_request_is_written_as_protobuf_writes_it() {
    let put = Put::new("foo", "bar").lease(300).prev_kv(true);
    assert_eq!(
        to_protobuf(&put),
        b"\x0a\x03foo\x12\x03bar\x18\xac\x02\x20\x01"
    );
    let range = Range::new(KeyRange::from("a")).sort(SortTarget::Value, SortOrder::Descend);
    assert_eq!(to_protobuf(&range), b"\x0a\x01a\x28\x02\x30\x04");
    let negative = Put::new("a", "").lease(-1);
    assert_eq!(
        to_protobuf(&negative),
        b"\x0a\x01a\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    );
}

#[test]
fn an_empty_message_is_written_and_a_missing_one_is_not() {
    let outer = Outer {
        inner: vec![Inner { number: 0 }, Inner { number: 1 }],
        numbers: vec![0, 300],
        none: None,
        some: Some(Inner { number: 0 }),
    };
    assert_eq!(
        to_protobuf(&outer),
        b"\x0a\x00\x0a\x02\x08\x01\x12\x03\x00\xac\x02\x22\x00"
    );
}

#[test]
fn sizes_of_nested_messages_are_measured_once_for_each() {
    let mut txn = Txn::new().then(Put::new("a", vec![7; 300]));
    for _ in 0..10 {
        txn = Txn::new()
            .then(Put::new("b", "c"))
            .then(txn)
            .otherwise(Range::new("d"));
    }
    let measured = Measured::new(&txn);
    let mut buffer = b"prefix".to_vec();
    measured.write(&mut buffer);
    assert_eq!(buffer.len(), "prefix".len() + measured.len());
    assert_eq!(&buffer["prefix".len()..], to_protobuf(&txn));
}

#[test]
fn bytes_share_the_input() {
    let input = Bytes::from_static(b"\x0a\x03foo\x2a\x03bar");
    let kv: KeyValue = parse(&input).unwrap();
    assert_eq!((&kv.key[..], &kv.value[..]), (&b"foo"[..], &b"bar"[..]));
    assert_eq!(kv.value.as_ptr(), input[7..].as_ptr());
}

#[test]
fn lists_are_read_packed_or_not() {
    for numbers in [
        &b"\x0a\x04\x01\xac\x02\x00"[..],
        b"\x08\x01\x08\xac\x02\x08\x00",
        b"\x0a\x01\x01\x08\xac\x02\x0a\x00\x0a\x01\x00",
    ] {
        let lists: Lists = read(numbers).unwrap();
        assert_eq!(lists.numbers, [1, 300, 0], "{numbers:?}");
    }
    let lists: Lists = read(b"\x12\x00\x12\x01a\x1a\x02\x00\x01\x22\x00\x22\x02\x18\x05").unwrap();
    assert_eq!(lists.texts, ["", "a"]);
    assert_eq!(lists.flags, [false, true]);
    let revisions: Vec<_> = lists.headers.iter().map(|header| header.revision).collect();
    assert_eq!(revisions, [0, 5]);
}

#[test]
fn the_last_of_several_values_counts_and_messages_are_merged() {
    let header: Header = read(b"\x08\x01\x08\x02\x18\x03").unwrap();
    assert_eq!((header.cluster_id, header.revision), (2, 3));
    let put: PutResponse = read(b"\x0a\x02\x08\x01\x0a\x02\x18\x03").unwrap();
    assert_eq!((put.header.cluster_id, put.header.revision), (1, 3));
    let put: PutResponse = read(b"\x12\x03\x0a\x01a\x12\x05\x0a\x01b\x20\x02").unwrap();
    let kv = put.prev_kv.unwrap();
    assert_eq!((&kv.key[..], kv.version), (&b"b"[..], 2));
}

#[test]
fn the_last_of_the_fields_counts_of_which_one_may_be_set() {
    let response = |operation: &[u8]| {
        let mut bytes = vec![0x1a, u8::try_from(operation.len()).unwrap()];
        bytes.extend_from_slice(operation);
        read::<TxnResponse>(&bytes).map(|response| response.responses)
    };
    let range_then_put = response(b"\x0a\x02\x20\x05\x12\x00").unwrap();
    assert!(matches!(range_then_put[..], [TxnOpResponse::Put(_)]));
    let merged = response(b"\x0a\x02\x20\x05\x0a\x02\x18\x01").unwrap();
    let [TxnOpResponse::Range(found)] = &merged[..] else {
        panic!("{merged:?}")
    };
    assert_eq!((found.count, found.more), (5, true));
    let what = "the response of an operation is of an unknown kind";
    assert_eq!(response(b""), Err(ProtobufError::Invalid(what)));
    assert_eq!(response(b"\x2a\x00"), Err(ProtobufError::Invalid(what)));
}

#[test]
fn unknown_fields_are_skipped_and_groups_are_not_supported() {
    let unknown = b"\x80\x08\x07\x81\x08\x01\x02\x03\x04\x05\x06\x07\x08\x82\x08\x02ab\x85\x08\x01\x02\x03\x04";
    let mut bytes = unknown.to_vec();
    bytes.extend_from_slice(b"\x18\x07");
    assert_eq!(read::<Header>(&bytes).unwrap().revision, 7);
    for (wire_type, bytes) in [
        (3, b"\x83\x08"),
        (4, b"\x84\x08"),
        (6, b"\x86\x08"),
        (7, b"\x87\x08"),
    ] {
        let error = ProtobufError::UnsupportedWireType(wire_type);
        assert_eq!(read::<Header>(bytes), Err(error));
    }
}

#[test]
fn tags_of_any_size_are_read() {
    let lists: Lists = read(b"\x80\xd0\xac\xf3\x0e\x09").unwrap();
    assert_eq!(lists.after, 9);
    assert_eq!(read::<Header>(b"\x00\x01"), Err(ProtobufError::Key(0)));
    let large = read::<Header>(b"\x80\x80\x80\x80\x10\x01");
    assert_eq!(large, Err(ProtobufError::Key(1 << 32)));
}

#[test]
fn integers_have_all_their_bits() {
    let kv = |bytes: &[u8]| read::<KeyValue>(&[b"\x0a\x01a\x20", bytes].concat());
    let max = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    assert_eq!(kv(max).unwrap().version, i64::MAX);
    let min = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01";
    assert_eq!(kv(min).unwrap().version, i64::MIN);
    assert_eq!(kv(b"\x81\x80\x00").unwrap().version, 1);
    let long = b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02";
    assert_eq!(kv(long), Err(ProtobufError::Varint));
    let endless = [0x80; 11];
    assert_eq!(kv(&endless), Err(ProtobufError::Varint));
}

#[test]
fn what_is_no_message_is_an_error() {
    for (bytes, error) in [
        (&b"\x0a"[..], ProtobufError::Truncated),
        (b"\x0a\x02a", ProtobufError::Truncated),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            ProtobufError::Truncated,
        ),
        (
            b"\x08\x01",
            ProtobufError::WireType {
                found: 0,
                expected: 2,
            },
        ),
        (
            b"\x0a\x01a\x22\x00",
            ProtobufError::WireType {
                found: 2,
                expected: 0,
            },
        ),
        (b"", ProtobufError::Missing("key")),
    ] {
        assert_eq!(read::<KeyValue>(bytes), Err(error), "{bytes:?}");
    }
    assert_eq!(read::<Lists>(b"\x12\x01\xff"), Err(ProtobufError::Utf8));
}

#[test]
fn a_message_that_is_cut_anywhere_is_an_error_or_a_shorter_message_but_no_panic() {
    let whole = b"\x0a\x08\x08\x07\x10\x08\x18\x09\x20\x02\x12\x08\x0a\x01a\x2a\x03bar";
    let mut ends = Vec::new();
    for end in 0..=whole.len() {
        match read::<PutResponse>(&whole[..end]) {
            Ok(_) => ends.push(end),
            Err(error) => assert_eq!(error, ProtobufError::Truncated, "{end}"),
        }
    }
    // Between fields, nothing tells that more was to come: the length before a message does.
    assert_eq!(ends, [0, 10, 20]);
}

#[test]
fn messages_that_are_nested_too_deeply_are_an_error() {
    let nested = |depth: usize| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            // A transaction's response in a list of responses.
            for tag in [b'\x22', b'\x1a'] {
                let mut outer = vec![tag];
                let length = bytes.len();
                outer.push((length & 0x7f) as u8 | 0x80);
                outer.push((length >> 7) as u8);
                outer.append(&mut bytes);
                bytes = outer;
            }
        }
        read::<TxnResponse>(&bytes)
    };
    assert!(nested(50).is_ok());
    assert_eq!(nested(51), Err(ProtobufError::TooDeep));
}

#[test]
fn r_22_the_cluster_is_found_without_reading_the_rest() {
    for (bytes, cluster) in [
        (&b"\x0a\x04\x08\x07\x10\x08"[..], Some(7)),
        (b"\x12\x00\x0a\x02\x08\x07", Some(7)),
        (b"\x0a\x02\x08\x07\x12\x7f", Some(7)),
        (b"\x0a\x00", None),
        (b"", None),
        (b"<html>", None),
    ] {
        assert_eq!(
            origin(&Bytes::copy_from_slice(bytes)).cluster,
            cluster,
            "{bytes:?}"
        );
    }
}

#[test]
fn many_small_elements_are_refused_beyond_the_budget() {
    // Each element has two bytes, and a header has 32 in memory.
    let bytes = Bytes::from(b"\x22\x00".repeat(1000));
    let decode = || parse::<Lists>(&bytes);
    let (lists, is_exhausted) = crate::base::budget::within(100_000, decode);
    assert_eq!((lists.unwrap().headers.len(), is_exhausted), (1000, false));
    let (refused, is_exhausted) = crate::base::budget::within(2000, decode);
    assert_eq!(
        (refused, is_exhausted),
        (Err(ProtobufError::TooLarge), true)
    );
    // So are numbers in one packed field.
    let packed = [&b"\x0a\xe8\x07"[..], &[1; 1000]].concat();
    let (refused, _) = crate::base::budget::within(1000, || read::<Lists>(&packed));
    assert_eq!(refused, Err(ProtobufError::TooLarge));
}
