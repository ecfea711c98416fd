//! Protobuf as the Go code reads it that etcd generates from its `.proto` files, with its errors.

use bytes::Bytes;

use super::{FieldDescriptor, Message, Slot};

/// How deeply messages may be nested. Go has no limit but that of its stack, a gigabyte.
const MAX_DEPTH: usize = 100;

const END: &str = "unexpected EOF";
const OVERFLOW: &str = "proto: integer overflow";
const NEGATIVE_LENGTH: &str = "proto: negative length found during unmarshaling";
const UNEXPECTED_END_GROUP: &str = "proto: unexpected end of group";
const TOO_DEEP: &str = "proto: exceeded max recursion depth";

const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED_32: u8 = 5;

/// Reads a message.
///
/// # Errors
/// With the text that Go would print.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, String> {
    let mut message = M::default();
    Reader { bytes, at: 0 }.message(&mut message, 0)?;
    Ok(message)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads the fields up to the end. Singular messages are merged, and repeated fields appended.
    fn message(&mut self, message: &mut dyn Message, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        let descriptor = message.descriptor();
        while self.at < self.bytes.len() {
            let start = self.at;
            let wire = self.varint()?;
            // Go keeps 32 bits of the tag.
            let tag = ((wire >> 3) as u32).cast_signed();
            let kind = (wire & 7) as u8;
            let name = descriptor.name;
            if kind == END_GROUP {
                return Err(format!("proto: {name}: wiretype end group for non-group"));
            }
            if tag <= 0 {
                return Err(format!(
                    "proto: {name}: illegal tag {tag} (wire type {wire})"
                ));
            }
            let tag = tag.unsigned_abs();
            let mut fields = descriptor.fields.iter();
            let Some(position) = fields.position(|field| field.tag == tag) else {
                self.at = start;
                self.skip()?;
                continue;
            };
            let field = &descriptor.fields[position];
            if field.oneof.is_some() {
                clear(message, field);
            }
            let slot = message.field_mut(position).slot();
            self.field(slot, kind, field, depth)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        slot: Slot<'_>,
        kind: u8,
        field: &FieldDescriptor,
        depth: usize,
    ) -> Result<(), String> {
        let list = match slot {
            Slot::List(list) => list,
            slot => return self.value(slot, kind, field, depth),
        };
        let is_packed = kind == LENGTH && {
            let is_number = list.push().is_number();
            list.pop();
            is_number
        };
        if !is_packed {
            return self.value(list.push(), kind, field, depth);
        }
        // Go looks for the end of the list only between two numbers.
        let end = self.length()?;
        while self.at < end {
            self.value(list.push(), VARINT, field, depth)?;
        }
        Ok(())
    }

    fn value(
        &mut self,
        slot: Slot<'_>,
        kind: u8,
        field: &FieldDescriptor,
        depth: usize,
    ) -> Result<(), String> {
        let expected = if slot.is_number() { VARINT } else { LENGTH };
        if kind != expected {
            let name = field.go_name();
            return Err(format!("proto: wrong wireType = {kind} for field {name}"));
        }
        match slot {
            Slot::Bool(truth) => *truth = self.varint()? != 0,
            Slot::I64(number) => *number = self.varint()?.cast_signed(),
            Slot::U64(number) => *number = self.varint()?,
            // Go keeps as many bits as the type has.
            Slot::U32(number) => *number = self.varint()? as u32,
            Slot::Enumeration(number, _) => *number = (self.varint()? as u32).cast_signed(),
            Slot::Bytes(bytes) => *bytes = Bytes::copy_from_slice(self.delimited()?),
            Slot::String(text) => {
                *text = String::from_utf8_lossy(self.delimited()?).into_owned();
            }
            Slot::Message(message) => {
                let bytes = self.delimited()?;
                Reader { bytes, at: 0 }.message(message, depth + 1)?;
            }
            // No field is a list of lists.
            Slot::List(_) => {}
        }
        Ok(())
    }

    /// Skips a field that the message does not have.
    fn skip(&mut self) -> Result<(), String> {
        let mut depth = 0_usize;
        loop {
            let wire = self.varint()?;
            match (wire & 7) as u8 {
                VARINT => drop(self.varint()?),
                FIXED_64 => self.advance(8)?,
                LENGTH => self.at = self.length()?,
                START_GROUP => depth += 1,
                END_GROUP => depth = depth.checked_sub(1).ok_or(UNEXPECTED_END_GROUP)?,
                FIXED_32 => self.advance(4)?,
                kind => return Err(format!("proto: illegal wireType {kind}")),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn advance(&mut self, count: usize) -> Result<(), String> {
        self.at += count;
        if self.at > self.bytes.len() {
            return Err(END.to_owned());
        }
        Ok(())
    }

    /// The bytes that follow their length.
    fn delimited(&mut self) -> Result<&'a [u8], String> {
        let end = self.length()?;
        let bytes = self.bytes.get(self.at..end).ok_or(END)?;
        self.at = end;
        Ok(bytes)
    }

    /// Reads a length; returns where it ends, which is not beyond the end of the message.
    fn length(&mut self) -> Result<usize, String> {
        let length = self.varint()?.cast_signed();
        // 3.4 crashes where the sum is too large for 64 bits.
        let end = (self.at as i64).checked_add(length).filter(|_| length >= 0);
        let end = usize::try_from(end.ok_or(NEGATIVE_LENGTH)?);
        let end = end.ok().filter(|&end| end <= self.bytes.len());
        Ok(end.ok_or(END)?)
    }

    /// Reads a number of up to ten bytes, of which the last loses what does not fit in 64 bits.
    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(END)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(OVERFLOW.to_owned())
    }
}

/// Unsets all members of a field's oneof: the last that is sent counts.
fn clear(message: &mut dyn Message, field: &FieldDescriptor) {
    for (position, other) in message.descriptor().fields.iter().enumerate() {
        if other.oneof == field.oneof {
            message.field_mut(position).clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::message::{
        auth::{AuthUserAddRequest, UserAddOptions},
        kv::{Compare, PutRequest, RangeRequest, RequestOp, TxnRequest},
        maintenance::HashKvRequest,
        proto::encode,
        watch::{FilterType, WatchCreateRequest},
    };

    fn range(bytes: &[u8]) -> Result<RangeRequest, String> {
        decode(bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let put = PutRequest {
            key: Bytes::from_static(b"k"),
            value: Bytes::from(vec![0xff; 300]),
            lease: -1,
            ignore_value: true,
            ..PutRequest::default()
        };
        let txn = TxnRequest {
            compare: vec![Compare {
                key: Bytes::from_static(b"c"),
                version: Some(0),
                range_end: Bytes::from_static(b"d"),
                ..Compare::default()
            }],
            success: vec![RequestOp {
                request_put: Some(put),
                ..RequestOp::default()
            }],
            failure: vec![RequestOp {
                request_txn: Some(TxnRequest::default()),
                ..RequestOp::default()
            }],
        };
        assert_eq!(decode(&encode(&txn)), Ok(txn));
        let user = AuthUserAddRequest {
            name: "ü".to_owned(),
            options: Some(UserAddOptions { no_password: true }),
            ..AuthUserAddRequest::default()
        };
        assert_eq!(decode(&encode(&user)), Ok(user));
    }

    #[test]
    fn a_list_of_numbers_is_packed_or_not() {
        let watch = WatchCreateRequest {
            filters: vec![FilterType::NOPUT, FilterType::NODELETE, FilterType(7)],
            ..WatchCreateRequest::default()
        };
        for bytes in [
            b"\x2a\x03\x00\x01\x07".as_slice(),
            b"\x28\x00\x2a\x02\x01\x07",
        ] {
            assert_eq!(decode(bytes).as_ref(), Ok(&watch));
        }
        assert_eq!(decode(&encode(&watch)), Ok(watch));
    }

    #[test]
    fn a_message_is_merged_and_a_oneof_replaced() {
        let parts = b"\x1a\x02\x08\x01\x1a\x00";
        let merged: AuthUserAddRequest = decode(parts).unwrap();
        assert_eq!(merged.options, Some(UserAddOptions { no_password: true }));
        let op: RequestOp = decode(b"\x0a\x03\x0a\x01a\x0a\x00\x12\x00\x0a\x00").unwrap();
        let expected = RequestOp {
            request_range: Some(RangeRequest::default()),
            ..RequestOp::default()
        };
        assert_eq!(op, expected);
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let unknown: [&[u8]; 7] = [
            b"\x78\xff\x01",
            b"\x79\0\0\0\0\0\0\0\0",
            b"\x7a\x02ab",
            b"\x7d\0\0\0\0",
            b"\x7b\x7c",
            b"\x7b\x7a\x01\x7c\x7c",
            b"\x7b\x7b\x7c\x74",
        ];
        for bytes in unknown {
            let around = [b"\x0a\x01a", bytes, b"\x18\x05"].concat();
            let read = range(&around).unwrap();
            assert_eq!((&read.key[..], read.limit), (&b"a"[..], 5), "{bytes:x?}");
        }
    }

    #[test]
    fn errors_are_gos() {
        let longest = [&b"\x18"[..], &[0xff; 11]].concat();
        let huge = [&b"\x12"[..], &[0xff; 8], b"\x7f"].concat();
        let negative = [&b"\x12"[..], &[0xff; 9], b"\x01"].concat();
        let cases: [(&[u8], &str); 15] = [
            (b"\x0a\x05a", "unexpected EOF"),
            (b"\x0a", "unexpected EOF"),
            (b"\x7b\x08\x01", "unexpected EOF"),
            (b"\x7900000", "unexpected EOF"),
            (b"\x08\x05", "proto: wrong wireType = 0 for field Key"),
            (
                b"\x12\x00\x16",
                "proto: wrong wireType = 6 for field RangeEnd",
            ),
            (b"\x00", "proto: RangeRequest: illegal tag 0 (wire type 0)"),
            (
                b"\xf8\xff\xff\xff\x7f\x05",
                "proto: RangeRequest: illegal tag -1 (wire type 34359738360)",
            ),
            (
                b"\x0c",
                "proto: RangeRequest: wiretype end group for non-group",
            ),
            (b"\x7e", "proto: illegal wireType 6"),
            (
                b"\x88\x80\x80\x80\x80\x01\x05",
                "proto: wrong wireType = 0 for field Key",
            ),
            (&longest, "proto: integer overflow"),
            (&huge, "proto: negative length found during unmarshaling"),
            (
                &negative,
                "proto: negative length found during unmarshaling",
            ),
            (b"\x7a\x09a", "unexpected EOF"),
        ];
        for (bytes, error) in cases {
            assert_eq!(range(bytes), Err(error.to_owned()), "{bytes:x?}");
        }
        let named = decode::<HashKvRequest>(b"\0").unwrap_err();
        assert_eq!(named, "proto: HashKVRequest: illegal tag 0 (wire type 0)");
    }

    #[test]
    fn numbers_lose_what_does_not_fit() {
        let read = range(b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f").unwrap();
        assert_eq!(read.limit, -1);
        let read = range(b"\x28\x81\x80\x80\x80\x10").unwrap();
        assert_eq!(read.sort_order.0, 1);
        assert!(range(b"\x38\x02").unwrap().serializable);
    }

    #[test]
    fn messages_are_not_nested_without_end() {
        let mut bytes = Vec::new();
        for _ in 0..300 {
            let mut op = vec![0x22];
            push_length(&mut op, bytes.len());
            op.extend_from_slice(&bytes);
            let mut txn = vec![0x12];
            push_length(&mut txn, op.len());
            txn.extend_from_slice(&op);
            bytes = txn;
        }
        assert_eq!(decode::<TxnRequest>(&bytes), Err(TOO_DEEP.to_owned()));
    }

    fn push_length(out: &mut Vec<u8>, mut length: usize) {
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
    }
}
