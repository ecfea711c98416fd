//! JSON as Go's `encoding/json` writes it, HTML-safe.

use crate::profile::Profile;

/// Writes a string, quotes included, with Go's escapes.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8], profile: Profile) {
    out.push(b'"');
    // Most strings are of plain characters, as they are in the response.
    let is_plain = |&byte: &u8| byte.is_ascii() && !MAY_NEED_ESCAPE[usize::from(byte)];
    if text.iter().all(is_plain) {
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
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
pub(crate) fn push_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(decimal(number, &mut [0; 20]));
}

/// Writes a number into a buffer that has room for any, and returns its digits.
pub(super) fn decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut start = buffer.len();
    // Two at a time: a division takes longest.
    while number >= 10 {
        start -= 2;
        buffer[start..start + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    // Of what was below a hundred, the pair is all there is; it begins with no zero.
    if number > 0 || start == buffer.len() {
        start -= 1;
        buffer[start] = b'0' + number as u8;
    }
    &buffer[start..]
}

/// The numbers below a hundred, in two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

/// Writes a list of strings.
pub(crate) fn push_strings<S: AsRef<str>>(out: &mut Vec<u8>, strings: &[S], profile: Profile) {
    out.push(b'[');
    for (position, string) in strings.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        push_string(out, string.as_ref().as_bytes(), profile);
    }
    out.push(b']');
}

fn push_escaped(out: &mut Vec<u8>, text: &str, profile: Profile) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !MAY_NEED_ESCAPE[usize::from(byte)] {
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
            // U+2028 and U+2029, which end a line in JavaScript.
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

/// The bytes with which a character that needs an escape may begin.
const MAY_NEED_ESCAPE: [bool; 256] = {
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
        for number in [
            0,
            7,
            10,
            99,
            100,
            305,
            1000,
            12_345,
            u64::MAX / 10,
            u64::MAX,
        ] {
            let mut out = Vec::new();
            push_u64(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
