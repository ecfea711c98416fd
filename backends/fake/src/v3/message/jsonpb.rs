//! JSON as 3.4 reads it: golang/protobuf's `jsonpb`, which looks for each field of the message in the object.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

use super::{Message, Slot};
use crate::go::scan::{Json, Kind, scan_whole};

/// Reads a message from a value.
pub(crate) fn read(message: &mut dyn Message, json: &Json<'_>) -> Result<(), String> {
    let members = match &json.kind {
        Kind::Object(members) => members,
        Kind::Null => return Ok(()),
        _ => return Err(mismatch(json, "map[string]json.RawMessage")),
    };
    // The last of several equal names counts, and of the two spellings of a name that in camel case.
    let find = |name: &str| {
        let mut members = members.iter().rev();
        let found = members.find(|(other, _)| *other.text() == *name.as_bytes());
        found.map(|(_, value)| value)
    };
    let fields = message.descriptor().fields;
    // Members of a oneof come last.
    for is_oneof in [false, true] {
        for (position, field) in fields.iter().enumerate() {
            if field.oneof.is_some() != is_oneof {
                continue;
            }
            let Some(value) = find(&field.camel_name()).or_else(|| find(field.name)) else {
                continue;
            };
            if is_oneof {
                clear(message, field.oneof);
            }
            if !matches!(value.kind, Kind::Null) {
                read_slot(message.field_mut(position).slot(), value)?;
            }
        }
    }
    Ok(())
}

/// Unsets all members of a oneof: setting one of them to null leaves none.
fn clear(message: &mut dyn Message, oneof: Option<&str>) {
    for (position, field) in message.descriptor().fields.iter().enumerate() {
        if field.oneof == oneof {
            message.field_mut(position).clear();
        }
    }
}

fn read_slot(slot: Slot<'_>, json: &Json<'_>) -> Result<(), String> {
    match slot {
        Slot::Message(message) => read(message, json),
        Slot::List(list) => match &json.kind {
            Kind::Array(elements) => elements
                .iter()
                .try_for_each(|element| read_slot(list.push(), element)),
            Kind::Null => Ok(()),
            _ => Err(mismatch(json, "[]json.RawMessage")),
        },
        Slot::Enumeration(number, kind) => {
            if !matches!(json.kind, Kind::String) {
                return read_number(number, json, kind.name);
            }
            // The name is looked up as it is written, with its escapes.
            let name = json.raw.get(1..json.raw.len() - 1).unwrap_or_default();
            *number = kind.number(name).ok_or_else(|| {
                let shown = quote(name);
                format!("unknown value {shown} for enum {}", kind.name)
            })?;
            Ok(())
        }
        Slot::I64(number) => read_long(number, json, "int64"),
        Slot::U64(number) => read_long(number, json, "uint64"),
        Slot::U32(number) => read_long(number, json, "uint32"),
        Slot::Bool(truth) => match json.kind {
            Kind::Bool(value) => {
                *truth = value;
                Ok(())
            }
            Kind::Null => Ok(()),
            _ => Err(mismatch(json, "bool")),
        },
        Slot::String(text) => match json.text() {
            Some(value) => {
                *text = String::from_utf8_lossy(&value).into_owned();
                Ok(())
            }
            None if matches!(json.kind, Kind::Null) => Ok(()),
            None => Err(mismatch(json, "string")),
        },
        Slot::Bytes(bytes) => read_bytes(bytes, json),
    }
}

/// A number that may stand in quotes, which are taken off without further ado.
fn read_long<N: std::str::FromStr>(
    number: &mut N,
    json: &Json<'_>,
    kind: &str,
) -> Result<(), String> {
    if !matches!(json.kind, Kind::String) {
        return read_number(number, json, kind);
    }
    let inner = json.raw.get(1..json.raw.len() - 1).unwrap_or_default();
    read_number(number, &scan_whole(inner)?, kind)
}

fn read_number<N: std::str::FromStr>(
    number: &mut N,
    json: &Json<'_>,
    kind: &str,
) -> Result<(), String> {
    match json.kind {
        Kind::Null => Ok(()),
        Kind::Number => {
            let text = String::from_utf8_lossy(json.raw);
            *number = text.parse().map_err(|_| {
                format!("json: cannot unmarshal number {text} into Go value of type {kind}")
            })?;
            Ok(())
        }
        _ => Err(mismatch(json, kind)),
    }
}

/// Bytes are base64, or an array of small numbers, as any slice of bytes in Go.
fn read_bytes(bytes: &mut Bytes, json: &Json<'_>) -> Result<(), String> {
    if let Some(text) = json.text() {
        *bytes = decode(&text)?.into();
        return Ok(());
    }
    match &json.kind {
        Kind::Null => Ok(()),
        Kind::Array(elements) => {
            let mut out = Vec::with_capacity(elements.len());
            let mut first_error = Ok(());
            for element in elements {
                let mut byte = 0_u8;
                let read = read_number(&mut byte, element, "uint8");
                first_error = first_error.and(read);
                out.push(byte);
            }
            *bytes = out.into();
            first_error
        }
        _ => Err(mismatch(json, "[]uint8")),
    }
}

/// Decodes as Go's `base64.StdEncoding`: line ends are skipped, padding is required, and the last bits may be anything.
fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    static LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    LENIENT.decode(without_line_ends(text)).map_err(|_| {
        let at = corrupt_at(text);
        format!("illegal base64 data at input byte {at}")
    })
}

pub(super) fn without_line_ends(text: &[u8]) -> Cow<'_, [u8]> {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if !text.iter().any(is_line_end) {
        return Cow::Borrowed(text);
    }
    let kept = text.iter().copied().filter(|byte| !is_line_end(byte));
    Cow::Owned(kept.collect())
}

/// Where Go finds a text corrupt.
pub(crate) fn corrupt_at(text: &[u8]) -> usize {
    let is_line_end = |at: usize| matches!(text.get(at), Some(b'\r' | b'\n'));
    let mut at = 0;
    loop {
        // One quantum of four characters.
        let mut digits = 0;
        while digits < 4 {
            let Some(&byte) = text.get(at) else {
                return at - digits;
            };
            at += 1;
            match byte {
                b'\r' | b'\n' => {}
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => digits += 1,
                b'=' if digits >= 2 => {
                    if digits == 2 {
                        while is_line_end(at) {
                            at += 1;
                        }
                        match text.get(at) {
                            None => return text.len(),
                            Some(b'=') => at += 1,
                            Some(_) => return at - 1,
                        }
                    }
                    while is_line_end(at) {
                        at += 1;
                    }
                    return at;
                }
                _ => return at - 1,
            }
        }
    }
}

fn mismatch(json: &Json<'_>, kind: &str) -> String {
    let found = json.kind_name();
    format!("json: cannot unmarshal {found} into Go value of type {kind}")
}

/// As Go's `%q` writes plain text.
fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
