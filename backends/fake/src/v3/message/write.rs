//! Messages as JSON, in the spelling of a release.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Message;
use crate::{
    go::json::{push_string, push_u64},
    profile::Profile,
};

/// More bytes than the response to a put, or to a read of a key, usually takes.
const USUAL_SIZE: usize = 512;

/// Writes a message as the gateway does.
///
/// 3.5 writes a space after each comma, except in the messages of a stream: those pass through `encoding/json`.
pub(crate) fn json(message: &dyn Message, profile: Profile, is_streamed: bool) -> Vec<u8> {
    let is_protojson = profile == Profile::V3_5 && !is_streamed;
    let mut writer = Writer {
        out: Vec::with_capacity(USUAL_SIZE),
        comma: if is_protojson { b", " } else { b"," },
        is_html_safe: !is_protojson,
        profile,
    };
    writer.message(message);
    writer.out
}

/// JSON under construction.
pub(crate) struct Writer {
    out: Vec<u8>,
    comma: &'static [u8],
    /// Whether `<`, `>` and `&` are escaped.
    is_html_safe: bool,
    profile: Profile,
}

impl Writer {
    pub(super) fn message(&mut self, message: &dyn Message) {
        self.out.push(b'{');
        let mut is_first = true;
        for (position, descriptor) in message.descriptor().fields.iter().enumerate() {
            let field = message.field(position);
            if field.is_absent() {
                continue;
            }
            if !is_first {
                self.out.extend_from_slice(self.comma);
            }
            is_first = false;
            self.out.push(b'"');
            self.out.extend_from_slice(descriptor.name.as_bytes());
            self.out.extend_from_slice(b"\":");
            field.write_json(self);
        }
        self.out.push(b'}');
    }

    pub(super) fn list(&mut self, length: usize, write: impl Fn(&mut Self, usize)) {
        self.out.push(b'[');
        for position in 0..length {
            if position > 0 {
                self.out.extend_from_slice(self.comma);
            }
            write(self, position);
        }
        self.out.push(b']');
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        let start = self.out.len();
        self.out.resize(start + bytes.len().div_ceil(3) * 4, 0);
        // The buffer has exactly the length that is needed.
        let _ = STANDARD.encode_slice(bytes, &mut self.out[start..]);
        self.out.push(b'"');
    }

    pub(super) fn string(&mut self, text: &str) {
        if self.is_html_safe {
            push_string(&mut self.out, text.as_bytes(), self.profile);
        } else {
            push_protojson_string(&mut self.out, text);
        }
    }

    /// A number of 64 bits, which JSON has as a string.
    pub(super) fn long(&mut self, is_negative: bool, magnitude: u64) {
        self.out.push(b'"');
        if is_negative {
            self.out.push(b'-');
        }
        push_u64(&mut self.out, magnitude);
        self.out.push(b'"');
    }

    pub(super) fn word(&mut self, word: &str) {
        self.out.extend_from_slice(word.as_bytes());
    }
}

/// Writes a string as protojson does: it escapes as little as it may.
pub(crate) fn push_protojson_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
