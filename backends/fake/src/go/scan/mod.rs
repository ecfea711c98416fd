//! JSON as Go's `encoding/json` scans it: the first value of a text, or the words in which Go refuses it.

mod unquote;

use std::borrow::Cow;

use unquote::unquote;

/// Deeper nesting is refused. Go's own limit is 10,000, which would not fit into the stack of every thread.
const MAX_DEPTH: usize = 500;

/// A value that was scanned: what it is, and where it stands in the text.
#[derive(Debug)]
pub(crate) struct Json<'a> {
    /// The value as it is written.
    pub(crate) raw: &'a [u8],
    /// Where it begins in the text.
    pub(crate) at: usize,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug)]
pub(crate) enum Kind<'a> {
    Null,
    Bool(bool),
    Number,
    String,
    Array(Vec<Json<'a>>),
    Object(Vec<(Name<'a>, Json<'a>)>),
}

/// The name of a member of an object.
#[derive(Debug)]
pub(crate) struct Name<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) at: usize,
}

/// Why there is no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// The text ends before a value begins.
    End,
    Invalid(String),
}

/// Scans the first value of a text from `start`; returns it, and where it ends.
pub(crate) fn scan(text: &[u8], start: usize) -> Result<(Json<'_>, usize), ScanError> {
    let mut scanner = Scanner { text, at: start };
    scanner.skip_space();
    if scanner.at == text.len() {
        return Err(ScanError::End);
    }
    let value = scanner.value(0).map_err(ScanError::Invalid)?;
    Ok((value, scanner.at))
}

/// Scans a text that must be one value, as `json.Unmarshal` does.
pub(crate) fn scan_whole(text: &[u8]) -> Result<Json<'_>, String> {
    let (value, end) = scan(text, 0).map_err(|error| match error {
        ScanError::Invalid(message) if message != EOF => message,
        ScanError::End | ScanError::Invalid(_) => at_end(text),
    })?;
    let mut scanner = Scanner { text, at: end };
    scanner.skip_space();
    match scanner.peek() {
        None => Ok(value),
        Some(byte) => Err(unexpected(byte, "after top-level value")),
    }
}

/// What is wrong with a text that ends too early: Go first looks whether a space could follow.
fn at_end(text: &[u8]) -> String {
    match scan(&[text, b" "].concat(), 0) {
        Err(ScanError::Invalid(message)) if message != EOF => message,
        _ => "unexpected end of JSON input".to_owned(),
    }
}

impl Json<'_> {
    /// The text of a string without escapes; `None` for what is not a string.
    pub(crate) fn text(&self) -> Option<Cow<'_, [u8]>> {
        matches!(self.kind, Kind::String).then(|| unquote(self.raw))
    }

    /// What Go calls this kind of value.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "bool",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array(_) => "array",
            Kind::Object(_) => "object",
        }
    }
}

impl Name<'_> {
    pub(crate) fn text(&self) -> Cow<'_, [u8]> {
        unquote(self.raw)
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte, which must be there.
    fn next(&mut self) -> Result<u8, String> {
        let byte = self.peek().ok_or(EOF)?;
        self.at += 1;
        Ok(byte)
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, String> {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.skip_space();
        let start = self.at;
        let first = self.peek().ok_or(EOF)?;
        let kind = match first {
            b'{' => self.object(depth)?,
            b'[' => self.array(depth)?,
            b'"' => {
                self.string()?;
                Kind::String
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Kind::Number
            }
            b't' => self.literal("true", Kind::Bool(true))?,
            b'f' => self.literal("false", Kind::Bool(false))?,
            b'n' => self.literal("null", Kind::Null)?,
            byte => return Err(unexpected(byte, "looking for beginning of value")),
        };
        let raw = self.text.get(start..self.at).unwrap_or_default();
        Ok(Json {
            raw,
            at: start,
            kind,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Kind<'a>, String> {
        let mut members = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Object(members));
        }
        loop {
            self.skip_space();
            let at = self.at;
            match self.peek().ok_or(EOF)? {
                b'"' => self.string()?,
                byte => {
                    return Err(unexpected(
                        byte,
                        "looking for beginning of object key string",
                    ));
                }
            }
            let raw = self.text.get(at..self.at).unwrap_or_default();
            self.skip_space();
            match self.next()? {
                b':' => {}
                byte => return Err(unexpected(byte, "after object key")),
            }
            members.push((Name { raw, at }, self.value(depth + 1)?));
            self.skip_space();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(Kind::Object(members)),
                byte => return Err(unexpected(byte, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind<'a>, String> {
        let mut elements = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.skip_space();
            match self.next()? {
                b',' => {}
                b']' => return Ok(Kind::Array(elements)),
                byte => return Err(unexpected(byte, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        let is_plain = |&byte: &u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at += rest.iter().take_while(|byte| is_plain(byte)).count();
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = self.next()?;
                            if !digit.is_ascii_hexdigit() {
                                let place = "in \\u hexadecimal character escape";
                                return Err(unexpected(digit, place));
                            }
                        }
                    }
                    byte => return Err(unexpected(byte, "in string escape code")),
                },
                byte => return Err(unexpected(byte, "in string literal")),
            }
        }
    }

    fn number(&mut self) -> Result<(), String> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            byte => return Err(unexpected(byte, "in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            match self.next()? {
                b'0'..=b'9' => self.digits(),
                byte => return Err(unexpected(byte, "after decimal point in numeric literal")),
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            match self.next()? {
                b'0'..=b'9' => self.digits(),
                byte => return Err(unexpected(byte, "in exponent of numeric literal")),
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str, kind: Kind<'a>) -> Result<Kind<'a>, String> {
        for expected in word.bytes() {
            let byte = self.next()?;
            if byte != expected {
                let expected = char::from(expected);
                let place = format!("in literal {word} (expecting '{expected}')");
                return Err(unexpected(byte, &place));
            }
        }
        Ok(kind)
    }
}

const EOF: &str = "unexpected EOF";

fn unexpected(byte: u8, place: &str) -> String {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        0x07 => "\\a".to_owned(),
        0x08 => "\\b".to_owned(),
        0x0c => "\\f".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        0x0b => "\\v".to_owned(),
        0..0x20 | 0x7f => format!("\\x{byte:02x}"),
        // Go takes the byte for a character of Latin-1, and escapes those that it does not print.
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}"),
        _ => char::from(byte).to_string(),
    };
    format!("invalid character '{shown}' {place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match scan(text.as_bytes(), 0) {
            Err(ScanError::Invalid(message)) => message,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn errors_have_the_words_of_go() {
        for (text, message) in [
            ("{", "unexpected EOF"),
            (
                "nope",
                "invalid character 'o' in literal null (expecting 'u')",
            ),
            (
                "{'a':1}",
                "invalid character '\\'' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            (
                "{\"a\":01}",
                "invalid character '1' after object key:value pair",
            ),
            (
                "{\"a\":1.}",
                "invalid character '}' after decimal point in numeric literal",
            ),
            (
                "{\"a\":1e}",
                "invalid character '}' in exponent of numeric literal",
            ),
            (
                "{\"a\":\u{e9}}",
                "invalid character '\u{c3}' looking for beginning of value",
            ),
            (
                "{\"a\":\u{1}}",
                "invalid character '\\x01' looking for beginning of value",
            ),
            ("\"\\x\"", "invalid character 'x' in string escape code"),
            (
                "\"\\u00z\"",
                "invalid character 'z' in \\u hexadecimal character escape",
            ),
        ] {
            assert_eq!(refused(text), message, "{text}");
        }
        assert!(matches!(scan(b" \n", 0), Err(ScanError::End)));
    }

    #[test]
    fn a_whole_text_has_nothing_after_its_value() {
        assert_eq!(
            scan_whole(b"1 2").unwrap_err(),
            "invalid character '2' after top-level value"
        );
        for (text, message) in [
            ("", "unexpected end of JSON input"),
            ("[1", "unexpected end of JSON input"),
            ("\"a", "unexpected end of JSON input"),
            ("-", "invalid character ' ' in numeric literal"),
            (
                "1.",
                "invalid character ' ' after decimal point in numeric literal",
            ),
            ("1e", "invalid character ' ' in exponent of numeric literal"),
            (
                "tru",
                "invalid character ' ' in literal true (expecting 'e')",
            ),
            ("\"\\", "invalid character ' ' in string escape code"),
        ] {
            assert_eq!(scan_whole(text.as_bytes()).unwrap_err(), message, "{text}");
        }
        assert!(scan_whole(b" 12 ").is_ok());
    }
}
