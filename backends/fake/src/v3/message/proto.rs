//! Protobuf as far as etcd measures and hashes it: encoding.

use super::Message;

pub(crate) fn encode(message: &dyn Message) -> Vec<u8> {
    let mut out = Vec::new();
    for (position, field) in message.descriptor().fields.iter().enumerate() {
        message.field(position).write_proto(field.tag, &mut out);
    }
    out
}

pub(super) fn push_number(out: &mut Vec<u8>, tag: u32, number: u64) {
    push_varint(out, u64::from(tag) << 3);
    push_varint(out, number);
}

pub(super) fn push_bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    push_varint(out, u64::from(tag) << 3 | 2);
    push_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn push_message(out: &mut Vec<u8>, tag: u32, message: &dyn Message) {
    push_bytes(out, tag, &encode(message));
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
