//! Reads enough of Rust to find the paths that the code names.

/// The code of a source as tokens: identifiers, `::`, and single characters. Comments, strings and blanks are left out.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = ignored(rest);
        if length > 0 {
            rest = &rest[length..];
            continue;
        }
        let is_part = |it: char| it.is_alphanumeric() || it == '_';
        let length = if is_part(first) {
            rest.find(|it| !is_part(it)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
    tokens
}

/// Returns the length of a blank, a comment, a string or a character at the beginning, or 0.
fn ignored(text: &str) -> usize {
    let first = text.chars().next().unwrap_or_default();
    if first.is_whitespace() {
        return first.len_utf8();
    }
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    match first {
        '"' => 1 + closed(&text[1..], '"'),
        'r' => raw_string(text),
        '\'' => character(&text[1..]).map_or(0, |length| 1 + length),
        _ => 0,
    }
}

/// Returns the length up to the end of a string or character that has begun.
fn closed(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (position, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if letter == quote => return position + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns the length of `r#"…"#`, or 0 if this is an identifier.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|it| *it == b'#').count();
    let start = 1 + hashes;
    if !text[start..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = &text[start + 1..];
    body.find(&end)
        .map_or(text.len(), |length| start + 1 + length + end.len())
}

/// Returns the length of the character whose quote was opened, or nothing if this is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.chars();
    let first = letters.next()?;
    if first == '\\' || letters.next() == Some('\'') {
        return Some(closed(text, '\''));
    }
    None
}

#[test]
fn only_code_is_read() {
    let source = r##"
        use crate::{a, v3::b}; // crate::v2
        /* crate::v2 */
        fn f<'a>() { g('"', '\'', "crate::v2 \" //", r#"crate::v2 ""#) }
    "##;
    let read = tokens(source).join(" ");
    assert_eq!(
        read,
        "use crate :: { a , v3 :: b } ; fn f < ' a > ( ) { g ( , , , ) }"
    );
}
