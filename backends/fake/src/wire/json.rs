//! JSON as Go's `encoding/json` writes it, HTML-safe.

use std::sync::Arc;

use crate::{
    Profile,
    rng::Rng,
    store::{Event, Expiry, KEYS, NodeId, NodeView, StoreError, Tree, push_segment},
    wire::date::push_rfc3339,
};

/// Writes a string, quotes included, with Go's escapes.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8], profile: Profile) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        push_escaped(out, chunk.valid(), profile);
        // Go replaces an invalid sequence byte by byte.
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

/// Writes an unsigned number.
pub(crate) fn push_u64(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Writes an error of the keys endpoint.
pub(crate) fn push_error(out: &mut Vec<u8>, error: &StoreError, profile: Profile) {
    out.extend_from_slice(b"{\"errorCode\":");
    push_u64(out, error.code.number().into());
    out.extend_from_slice(b",\"message\":");
    push_string(out, error.code.message().as_bytes(), profile);
    let cause = key(&error.cause);
    if !cause.is_empty() {
        out.extend_from_slice(b",\"cause\":");
        push_string(out, cause, profile);
    }
    out.extend_from_slice(b",\"index\":");
    push_u64(out, error.index);
    out.extend_from_slice(b"}\n");
}

/// Writes an event; `brief` leaves out its nodes.
pub(crate) fn push_event(out: &mut Vec<u8>, event: &Event, brief: bool, profile: Profile) {
    out.extend_from_slice(b"{\"action\":\"");
    out.extend_from_slice(event.action.name().as_bytes());
    out.push(b'"');
    if !brief {
        out.extend_from_slice(b",\"node\":");
        push_view(out, &event.node, profile);
        if let Some(prev) = &event.prev {
            out.extend_from_slice(b",\"prevNode\":");
            push_view(out, prev, profile);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// How a listing is written.
pub(crate) struct Listing<'a> {
    pub(crate) recursive: bool,
    pub(crate) sorted: bool,
    pub(crate) now: i64,
    pub(crate) profile: Profile,
    /// Chooses the order of what is not sorted.
    pub(crate) rng: &'a mut Rng,
}

/// Writes the answer to a get.
pub(crate) fn push_get(out: &mut Vec<u8>, tree: &Tree, id: NodeId, mut listing: Listing<'_>) {
    out.extend_from_slice(b"{\"action\":\"get\",\"node\":");
    let mut path = tree.path(id);
    push_opening(out, tree, id, &path, &listing);
    let mut open = vec![OpenDir::new(out, tree, id, &mut listing)];
    while let Some(dir) = open.last_mut() {
        if let Some(child) = dir.rest.pop() {
            if dir.begun {
                out.push(b',');
            }
            dir.begun = true;
            let length = path.len();
            push_segment(&mut path, tree.name(child));
            push_opening(out, tree, child, &path, &listing);
            if listing.recursive && tree.is_dir(child) {
                open.push(OpenDir::new(out, tree, child, &mut listing));
            } else {
                path.truncate(length);
                push_indexes(out, tree.modified(child), tree.created(child));
            }
        } else {
            if dir.begun {
                out.push(b']');
            }
            push_indexes(out, tree.modified(dir.id), tree.created(dir.id));
            path.truncate(path.len() - tree.name(dir.id).len() - 1);
            open.pop();
        }
    }
    out.extend_from_slice(b"}\n");
}

/// A node whose children are being written.
struct OpenDir {
    id: NodeId,
    /// The children that are still to come, last first.
    rest: Vec<NodeId>,
    begun: bool,
}

impl OpenDir {
    /// Begins the list of a node's visible children, if it has any.
    fn new(out: &mut Vec<u8>, tree: &Tree, id: NodeId, listing: &mut Listing<'_>) -> Self {
        let children = tree.children(id).iter().copied();
        let mut rest: Vec<NodeId> = children.filter(|&child| !tree.is_hidden(child)).collect();
        if listing.sorted {
            rest.sort_unstable_by(|&a, &b| tree.name(b).cmp(tree.name(a)));
        } else {
            listing.rng.shuffle(&mut rest);
        }
        if !rest.is_empty() {
            out.extend_from_slice(b",\"nodes\":[");
        }
        Self {
            id,
            rest,
            begun: false,
        }
    }
}

/// Writes what comes before a node's children.
fn push_opening(out: &mut Vec<u8>, tree: &Tree, id: NodeId, path: &[u8], listing: &Listing<'_>) {
    let value = tree.value(id).map(Arc::as_ref);
    let expiry = tree.expiry(id).map(|at| Expiry::seen(at, listing.now));
    push_fields(out, path, value, value.is_none(), expiry, listing.profile);
}

fn push_view(out: &mut Vec<u8>, node: &NodeView, profile: Profile) {
    let value = node.value.as_deref();
    push_fields(out, &node.path, value, node.dir, node.expiry, profile);
    push_indexes(out, node.modified, node.created);
}

/// Begins a node with the fields that come before `nodes`.
fn push_fields(
    out: &mut Vec<u8>,
    path: &[u8],
    value: Option<&[u8]>,
    dir: bool,
    expiry: Option<Expiry>,
    profile: Profile,
) {
    out.push(b'{');
    let key = key(path);
    if !key.is_empty() {
        out.extend_from_slice(b"\"key\":");
        push_string(out, key, profile);
    }
    // Only the root has no key, and it is a directory.
    let comma: &[u8] = if key.is_empty() { b"" } else { b"," };
    if let Some(value) = value {
        out.extend_from_slice(comma);
        out.extend_from_slice(b"\"value\":");
        push_string(out, value, profile);
    }
    if dir {
        out.extend_from_slice(comma);
        out.extend_from_slice(b"\"dir\":true");
    }
    if let Some(expiry) = expiry {
        out.extend_from_slice(b",\"expiration\":\"");
        push_rfc3339(out, expiry.at);
        out.push(b'"');
        if expiry.ttl != 0 {
            out.extend_from_slice(b",\"ttl\":");
            if expiry.ttl < 0 {
                out.push(b'-');
            }
            push_u64(out, expiry.ttl.unsigned_abs());
        }
    }
}

/// Ends a node.
fn push_indexes(out: &mut Vec<u8>, modified: u64, created: u64) {
    for (name, index) in [("modifiedIndex", modified), ("createdIndex", created)] {
        if index != 0 {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            push_u64(out, index);
        }
    }
    out.push(b'}');
}

/// The key of a path in the store: without the namespace.
fn key(path: &[u8]) -> &[u8] {
    path.strip_prefix(KEYS).unwrap_or(path)
}

fn push_escaped(out: &mut Vec<u8>, text: &str, profile: Profile) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !NEEDS_A_LOOK[byte as usize] {
            continue;
        }
        let mut unicode = [b'\\', b'u', b'0', b'0', 0, 0];
        let (escape, length): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            b'\t' => (b"\\t", 1),
            0x08 if profile == Profile::V3_5 => (b"\\b", 1),
            0x0c if profile == Profile::V3_5 => (b"\\f", 1),
            // U+2028 and U+2029, which JavaScript takes for ends of a line.
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8]) => (b"\\u2028", 3),
                Some([0x80, 0xa9]) => (b"\\u2029", 3),
                _ => continue,
            },
            _ => {
                unicode[4] = HEX[usize::from(byte >> 4)];
                unicode[5] = HEX[usize::from(byte & 15)];
                (&unicode, 1)
            }
        };
        out.extend_from_slice(&bytes[start..at]);
        out.extend_from_slice(escape);
        start = at + length;
    }
    out.extend_from_slice(&bytes[start..]);
}

/// Bytes that may have to be escaped.
const NEEDS_A_LOOK: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'&' as usize] = true;
    table[0xe2] = true;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &[u8], profile: Profile) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text, profile);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let text = "<a href=\"x\">&\\\n\r\t\u{1}\u{7f}\u{2028}\u{2029}\u{20ac}é";
        let expected = "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\\\\\n\\r\\t\\u0001\u{7f}\\u2028\\u2029\u{20ac}é\"";
        assert_eq!(string(text.as_bytes(), Profile::V3_4), expected);
    }

    #[test]
    fn backspace_and_form_feed_depend_on_the_version() {
        assert_eq!(string(b"\x08\x0c", Profile::V3_4), r#""\u0008\u000c""#);
        assert_eq!(string(b"\x08\x0c", Profile::V3_5), r#""\b\f""#);
    }

    #[test]
    fn invalid_bytes_are_replaced_one_by_one() {
        assert_eq!(
            string(b"a\xe2\x82b\xff", Profile::V3_4),
            r#""a\ufffd\ufffdb\ufffd""#
        );
    }

    #[test]
    fn numbers_have_no_leading_zeros() {
        for number in [0, 7, 10, u64::MAX] {
            let mut out = Vec::new();
            push_u64(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
