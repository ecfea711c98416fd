//! Parameters as Go's `net/http` reads them: the form in the body first, then the query.

use std::borrow::Cow;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The largest form that a server reads.
const MAX_FORM: usize = 10 << 20;

/// Names and values in the order in which Go looks them up: the first value of a name wins.
#[derive(Debug, Default)]
pub(crate) struct Form<'a>(Vec<Pair<'a>>);

/// A name and its value, decoded.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Form<'a> {
    /// Reads the parameters of a request. `content_type` and `body` are those of a PUT or POST.
    ///
    /// # Errors
    /// With the error text of Go.
    pub(crate) fn parse(query: &'a [u8], form: Option<(&[u8], &'a [u8])>) -> Result<Self, Vec<u8>> {
        let mut parsed = Self::default();
        let mut error = None;
        if let Some((content_type, body)) = form {
            match media_type(content_type) {
                // A bad parameter leaves the type readable, and is still an error.
                (kind, problem) if *kind == *FORM => {
                    if body.len() > MAX_FORM {
                        error = Some(b"http: POST too large".to_vec());
                    } else {
                        let bad_form = parsed.add(body);
                        error = problem.map(|text| text.as_bytes().to_vec()).or(bad_form);
                    }
                }
                (_, problem) => error = problem.map(|text| text.as_bytes().to_vec()),
            }
        }
        let bad_query = parsed.add(query);
        error.or(bad_query).map_or(Ok(parsed), Err)
    }

    /// Reads a query, and leaves out what is not valid in it.
    pub(crate) fn of_query(query: &'a [u8]) -> Self {
        let mut parsed = Self::default();
        let _ = parsed.add(query);
        parsed
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let pair = self.0.iter().find(|(other, _)| **other == *name.as_bytes());
        pair.map(|(_, value)| &**value)
    }

    /// All names and values, in order.
    pub(crate) fn pairs(&self) -> &[Pair<'a>] {
        &self.0
    }

    /// Adds the pairs of a query. Returns the first error, and keeps the pairs that are valid.
    fn add(&mut self, query: &'a [u8]) -> Option<Vec<u8>> {
        let mut error: Option<Vec<u8>> = None;
        for pair in query.split(|&byte| byte == b'&') {
            if pair.contains(&b';') {
                error = Some(b"invalid semicolon separator in query".to_vec());
                continue;
            }
            if pair.is_empty() {
                continue;
            }
            let equals = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[..0]),
            };
            match (unescape(name, true), unescape(value, true)) {
                (Ok(name), Ok(value)) => self.0.push((name, value)),
                (Err(bad), _) | (_, Err(bad)) => {
                    error.get_or_insert_with(|| bad_escape(bad));
                }
            }
        }
        error
    }
}

/// Decodes percent-encoding. In a query a plus is a space.
///
/// # Errors
/// With the invalid escape.
pub(crate) fn unescape(text: &[u8], is_query: bool) -> Result<Cow<'_, [u8]>, &[u8]> {
    let is_encoded = |&byte: &u8| byte == b'%' || (is_query && byte == b'+');
    let may_be_encoded = text.contains(&b'%') || (is_query && text.contains(&b'+'));
    if !may_be_encoded {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let plain = rest.iter().position(is_encoded).unwrap_or(rest.len());
        let (plain, encoded) = rest.split_at(plain);
        out.extend_from_slice(plain);
        let Some((&byte, after)) = encoded.split_first() else {
            return Ok(Cow::Owned(out));
        };
        rest = after;
        if byte == b'+' {
            out.push(b' ');
            continue;
        }
        let digits = (
            after.first().copied().and_then(hex),
            after.get(1).copied().and_then(hex),
        );
        let (Some(high), Some(low)) = digits else {
            let at = text.len() - after.len() - 1;
            return Err(&text[at..text.len().min(at + 3)]);
        };
        out.push(high << 4 | low);
        rest = &after[2..];
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

fn bad_escape(bad: &[u8]) -> Vec<u8> {
    let mut text = b"invalid URL escape \"".to_vec();
    for chunk in bad.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => text.extend([b'\\', character as u8]),
                '\n' => text.extend_from_slice(b"\\n"),
                '\r' => text.extend_from_slice(b"\\r"),
                '\t' => text.extend_from_slice(b"\\t"),
                '\u{7}' => text.extend_from_slice(b"\\a"),
                '\u{8}' => text.extend_from_slice(b"\\b"),
                '\u{b}' => text.extend_from_slice(b"\\v"),
                '\u{c}' => text.extend_from_slice(b"\\f"),
                '\0'..' ' | '\u{7f}' => {
                    text.extend_from_slice(format!("\\x{:02x}", character as u32).as_bytes());
                }
                _ => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            text.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    text.push(b'"');
    text
}

/// A truth value as `strconv.ParseBool` reads it.
pub(crate) fn parse_bool(value: &[u8]) -> Option<bool> {
    match value {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}

/// A number as `strconv.ParseUint` reads it: no sign, 64 bits.
pub(crate) fn parse_u64(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The type of a `Content-Type` in lower case, and Go's error about the header.
fn media_type(header: &[u8]) -> (Cow<'_, [u8]>, Option<&'static str>) {
    // As nearly all clients write it.
    if header.is_empty() || header == FORM {
        return (Cow::Borrowed(header), None);
    }
    let semicolon = header.iter().position(|&byte| byte == b';');
    let (kind, parameters) = header.split_at(semicolon.unwrap_or(header.len()));
    let kind = kind.trim_ascii().to_ascii_lowercase();
    if let Some(problem) = bad_type(&kind) {
        return (Cow::default(), Some(problem));
    }
    let mut rest = parameters;
    let mut names: Vec<Vec<u8>> = Vec::new();
    while !rest.is_empty() {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
        let Some((name, _, after)) = parameter(rest) else {
            let only_a_semicolon = rest.trim_ascii() == b";";
            let problem = (!only_a_semicolon).then_some("mime: invalid media parameter");
            return (Cow::Owned(kind), problem);
        };
        if names.contains(&name) {
            return (Cow::default(), Some("mime: duplicate parameter name"));
        }
        names.push(name);
        rest = after;
    }
    (Cow::Owned(kind), None)
}

fn bad_type(kind: &[u8]) -> Option<&'static str> {
    let token = |text: &[u8]| text.iter().take_while(|&&byte| is_token(byte)).count();
    let main = token(kind);
    if main == 0 {
        return Some("mime: no media type");
    }
    match kind.get(main) {
        None => None,
        Some(b'/') => {
            let sub = token(&kind[main + 1..]);
            if sub == 0 {
                Some("mime: expected token after slash")
            } else if main + 1 + sub < kind.len() {
                Some("mime: unexpected content after media subtype")
            } else {
                None
            }
        }
        Some(_) => Some("mime: expected slash after first token"),
    }
}

/// Reads `; name=value`: the name in lower case, the value, and what follows.
fn parameter(text: &[u8]) -> Option<(Vec<u8>, &[u8], &[u8])> {
    let rest = text.trim_ascii_start().strip_prefix(b";")?;
    let rest = rest.trim_ascii_start();
    let length = rest.iter().take_while(|&&byte| is_token(byte)).count();
    let (name, rest) = rest.split_at(length);
    let rest = rest.trim_ascii_start().strip_prefix(b"=")?;
    let rest = rest.trim_ascii_start();
    if name.is_empty() {
        return None;
    }
    let name = name.to_ascii_lowercase();
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let mut escaped = false;
        let end = quoted.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        return Some((name, &quoted[..end], &quoted[end + 1..]));
    }
    let length = rest.iter().take_while(|&&byte| is_token(byte)).count();
    let (value, rest) = rest.split_at(length);
    (!value.is_empty()).then_some((name, value, rest))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"application/x-www-form-urlencoded";

    fn error(query: &str) -> String {
        String::from_utf8(Form::parse(query.as_bytes(), None).unwrap_err()).unwrap()
    }

    #[test]
    fn the_body_comes_before_the_query_and_the_first_of_a_name_wins() {
        let form = Form::parse(b"a=q&b=1&b=2", Some((FORM, b"a=b+%2b&c"))).unwrap();
        assert_eq!(form.get("a"), Some(&b"b +"[..]));
        assert_eq!(form.get("b"), Some(&b"1"[..]));
        assert_eq!(form.get("c"), Some(&b""[..]));
    }

    #[test]
    fn a_body_of_another_type_is_ignored() {
        let form = Form::parse(b"", Some((b"application/json", b"a=b"))).unwrap();
        assert_eq!(form.get("a"), None);
        let form = Form::parse(b"", Some((b"", b"a=b"))).unwrap();
        assert_eq!(form.get("a"), None);
    }

    #[test]
    fn a_type_may_have_parameters_and_capitals() {
        let kind = b"Application/X-www-form-urlencoded; charset=utf-8";
        let form = Form::parse(b"", Some((kind, b"a=b"))).unwrap();
        assert_eq!(form.get("a"), Some(&b"b"[..]));
    }

    #[test]
    fn errors_have_the_texts_of_go() {
        assert_eq!(error("a=%zz"), "invalid URL escape \"%zz\"");
        assert_eq!(error("a=%4"), "invalid URL escape \"%4\"");
        assert_eq!(error("a;b"), "invalid semicolon separator in query");
        assert_eq!(error("a=%zz&b;c"), "invalid semicolon separator in query");
    }
}
