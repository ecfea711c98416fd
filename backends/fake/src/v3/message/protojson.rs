//! JSON as 3.5 reads it: `protojson`, which goes through the object in its order. Unknown names are skipped.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{FieldDescriptor, Message, Slot, jsonpb::without_line_ends};
use crate::go::scan::{Json, Kind, scan};

/// Reads a message from a value of a text, whose places the errors name.
pub(crate) fn read(message: &mut dyn Message, json: &Json<'_>, text: &[u8]) -> Result<(), String> {
    Reader {
        text: text.get(json.at..).unwrap_or_default(),
        offset: json.at,
    }
    .message(message, json)
}

struct Reader<'a> {
    text: &'a [u8],
    /// Where the value begins in what was sent: places are counted from there.
    offset: usize,
}

impl Reader<'_> {
    fn message(&self, message: &mut dyn Message, json: &Json<'_>) -> Result<(), String> {
        let Kind::Object(members) = &json.kind else {
            return Err(self.unexpected(json));
        };
        let fields = message.descriptor().fields;
        let mut seen = vec![false; fields.len()];
        let mut oneofs = Vec::new();
        for (name, value) in members {
            let text = name.text();
            let Some(position) = fields.iter().position(|field| field.is_named(&text)) else {
                continue;
            };
            let shown = String::from_utf8_lossy(name.raw);
            if std::mem::replace(&mut seen[position], true) {
                return Err(self.error(name.at, &format!("duplicate field {shown}")));
            }
            if matches!(value.kind, Kind::Null) {
                continue;
            }
            let field = &fields[position];
            if let Some(oneof) = field.oneof {
                if oneofs.contains(&oneof) {
                    let problem = format!("error parsing {shown}, oneof {oneof} is already set");
                    return Err(self.error(name.at, &problem));
                }
                oneofs.push(oneof);
            }
            let slot = message.field_mut(position).slot();
            if !self.slot(slot, value, field)? {
                message.field_mut(position).clear();
            }
        }
        Ok(())
    }

    /// Reads a value. Returns whether there is one: an unknown name of an enumeration is none.
    fn slot(
        &self,
        slot: Slot<'_>,
        json: &Json<'_>,
        field: &FieldDescriptor,
    ) -> Result<bool, String> {
        let (kind, is_read) = match slot {
            Slot::Message(message) => return self.message(message, json).map(|()| true),
            Slot::List(list) => {
                let Kind::Array(elements) = &json.kind else {
                    return Err(self.unexpected(json));
                };
                for element in elements {
                    if !self.slot(list.push(), element, field)? {
                        list.pop();
                    }
                }
                return Ok(true);
            }
            Slot::Enumeration(number, names) => {
                if let Some(name) = json.text() {
                    let known = names.number(&name);
                    *number = known.unwrap_or_default();
                    return Ok(known.is_some());
                }
                let read = integer(json).and_then(|text| text.parse().ok());
                ("enum", read.map(|read| *number = read))
            }
            Slot::I64(number) => {
                let read = long(json).and_then(|text| text.parse().ok());
                ("int64", read.map(|read| *number = read))
            }
            Slot::U64(number) => {
                let read = long(json).and_then(|text| text.parse().ok());
                ("uint64", read.map(|read| *number = read))
            }
            Slot::U32(number) => {
                let read = long(json).and_then(|text| text.parse().ok());
                ("uint32", read.map(|read| *number = read))
            }
            Slot::Bool(truth) => {
                let read = match json.kind {
                    Kind::Bool(value) => Some(value),
                    _ => None,
                };
                ("bool", read.map(|read| *truth = read))
            }
            Slot::String(text) => {
                let read = json.text();
                let read = read.and_then(|text| String::from_utf8(text.into_owned()).ok());
                ("string", read.map(|read| *text = read))
            }
            Slot::Bytes(bytes) => {
                let read = json.text().and_then(|text| decode(&text));
                ("bytes", read.map(|read| *bytes = read.into()))
            }
        };
        if is_read.is_some() {
            return Ok(true);
        }
        let name = field.camel_name();
        let shown = shown(json);
        let problem = format!("invalid value for {kind} field {name}: {shown}");
        Err(self.error(json.at, &problem))
    }

    fn unexpected(&self, json: &Json<'_>) -> String {
        let (line, column) = self.place(json.at);
        let shown = shown(json);
        format!("proto:\u{a0}syntax error (line {line}:{column}): unexpected token {shown}")
    }

    fn error(&self, at: usize, problem: &str) -> String {
        let (line, column) = self.place(at);
        format!("proto:\u{a0}(line {line}:{column}): {problem}")
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at - self.offset).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n');
        let start = start.map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        (line, column)
    }
}

/// A token as it is written: of a list or an object only the first character.
fn shown(json: &Json<'_>) -> String {
    let raw = match json.kind {
        Kind::Array(_) | Kind::Object(_) => json.raw.get(..1).unwrap_or_default(),
        _ => json.raw,
    };
    String::from_utf8_lossy(raw).into_owned()
}

/// The digits of a number of 64 bits, which may stand in quotes.
fn long(json: &Json<'_>) -> Option<String> {
    let Some(text) = json.text() else {
        return integer(json);
    };
    if text.trim_ascii().len() != text.len() {
        return None;
    }
    // Only the first token of the string is looked at, and the character that ends it.
    let (first, end) = scan(&text, 0).ok()?;
    let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"-+._".contains(byte);
    if text.get(end).is_some_and(goes_on) {
        return None;
    }
    integer(&first)
}

/// The digits of a number without a fraction, however it is written.
fn integer(json: &Json<'_>) -> Option<String> {
    if !matches!(json.kind, Kind::Number) {
        return None;
    }
    let text = std::str::from_utf8(json.raw).ok()?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = if whole == "0" { "" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() && fraction.is_empty() {
        return Some("0".to_owned());
    }
    let exponent: i32 = exponent.parse().ok()?;
    let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
    if exponent >= 0 {
        if fraction.len() > shift || whole.len() + shift > 20 {
            return None;
        }
        let zeros = "0".repeat(shift - fraction.len());
        return Some(format!("{sign}{whole}{fraction}{zeros}"));
    }
    let kept = whole.len().checked_sub(shift)?;
    let (kept, rest) = whole.split_at(kept);
    let is_whole = fraction.is_empty() && rest.bytes().all(|digit| digit == b'0');
    is_whole.then(|| format!("{sign}{kept}"))
}

/// Decodes base64 of either alphabet, with or without padding.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    // What most clients send is decoded without being looked at first.
    if let Ok(bytes) = PADDED.decode(text) {
        return Some(bytes);
    }
    let is_url_safe = text.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = match (is_url_safe, text.len().is_multiple_of(4)) {
        (false, true) => &PADDED,
        (false, false) => &BARE,
        (true, true) => &URL_SAFE_PADDED,
        (true, false) => &URL_SAFE_BARE,
    };
    engine.decode(without_line_ends(text)).ok()
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const UNPADDED: GeneralPurposeConfig =
    LENIENT.with_decode_padding_mode(DecodePaddingMode::RequireNone);

// An engine takes longer to make than a key takes to decode.
static PADDED: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
static BARE: GeneralPurpose = GeneralPurpose::new(&STANDARD, UNPADDED);
static URL_SAFE_PADDED: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
static URL_SAFE_BARE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, UNPADDED);
