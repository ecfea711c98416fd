//! Percent-encoding of queries and form bodies.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Every character except RFC 3986's unreserved ones.
pub(crate) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The part of a URL after `?`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(utf8_percent_encode(name, RESERVED));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, RESERVED));
    }

    /// Adds `name=true` if the value is true.
    pub(crate) fn flag(&mut self, name: &str, on: bool) {
        if on {
            self.push(name, "true");
        }
    }

    pub(crate) fn append_to(&self, mut path: String) -> String {
        if !self.0.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&self.0);
        }
        path
    }
}

/// Adds a field to a form.
///
/// Escapes only the characters that have a meaning in forms. The server's limit counts encoded bytes: with all spaces
/// and non-ASCII characters escaped, a text of 4 MiB could exceed it.
pub(crate) fn push_form_pair(form: &mut String, name: &str, value: &str) {
    form.reserve(name.len() + value.len() + "&=".len());
    if !form.is_empty() {
        form.push('&');
    }
    form.extend(utf8_percent_encode(name, RESERVED));
    form.push('=');
    let mut rest = value;
    // All four are ASCII, one byte each.
    let has_meaning = |byte| matches!(byte, b'%' | b'&' | b'+' | b';');
    while let Some(at) = rest.bytes().position(has_meaning) {
        let (plain, escaped) = rest.split_at(at);
        form.push_str(plain);
        let _ = write!(form, "%{:02X}", escaped.as_bytes()[0]);
        rest = &escaped[1..];
    }
    form.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_only_what_a_form_parser_reads_as_its_own() {
        let mut form = String::new();
        push_form_pair(&mut form, "value", "100% & a+b; c=d\n€");
        push_form_pair(&mut form, "ttl", "");
        assert_eq!(form, "value=100%25 %26 a%2Bb%3B c=d\n€&ttl=");
    }
}
