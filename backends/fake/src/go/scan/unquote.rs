use std::borrow::Cow;

/// The text of a string that was scanned. Go replaces what is no UTF-8, and halves of surrogate pairs.
pub(super) fn unquote(raw: &[u8]) -> Cow<'_, [u8]> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if inner.is_ascii() && !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let code = rest.get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or_default();
        match code {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (character, used) = unicode(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = rest.get(used..).unwrap_or_default();
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text.into_bytes(),
        Err(error) => replace_invalid(error.as_bytes()),
    })
}

fn replace_invalid(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out
}

/// The character of an escape after `\u`, and how many bytes it takes.
fn unicode(rest: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 4)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 4);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, 4);
    }
    let is_pair = first < 0xdc00 && rest.get(4..6) == Some(b"\\u");
    if let Some(second @ 0xdc00..0xe000) = unit(6).filter(|_| is_pair)
        && let Some(pair) = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    {
        return (pair, 10);
    }
    (char::REPLACEMENT_CHARACTER, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lose_their_escapes() {
        let raw = br#""a\n\u0041\ud83d\ude00\ud800""#;
        assert_eq!(*unquote(raw), *"a\nA\u{1f600}\u{fffd}".as_bytes());
    }
}
