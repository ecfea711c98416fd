//! Protobuf as far as etcd measures and hashes it: encoding.

use super::Message;

/// More bytes than a usual message takes.
pub(crate) const USUAL_SIZE: usize = 192;

pub(crate) fn encode(message: &dyn Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_SIZE);
    push_fields(&mut out, message);
    out
}

/// Appends the fields of a message.
pub(crate) fn push_fields(out: &mut Vec<u8>, message: &dyn Message) {
    for (position, field) in message.descriptor().fields.iter().enumerate() {
        message.field(position).write_proto(field.tag, out);
    }
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
    push_varint(out, u64::from(tag) << 3 | 2);
    // The length is known when the fields are written. Most are short: theirs takes a byte.
    let place = out.len();
    out.push(0);
    push_fields(out, message);
    let length = out.len() - place - 1;
    match u8::try_from(length) {
        Ok(short @ ..0x80) => out[place] = short,
        _ => {
            let mut varint = Vec::with_capacity(10);
            push_varint(&mut varint, length as u64);
            out.splice(place..=place, varint);
        }
    }
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
