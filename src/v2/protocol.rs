//! What the v2 API looks like on the wire: paths, queries, forms, and the answers that are none of its own.

use std::fmt::Write;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result, Unsupported},
    operation::Reply,
};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// etcd's own limit on a form, in bytes. It answers a larger one with code 210.
const FORM_LIMIT: usize = 10 << 20;

/// `prefix`, then the segments of `key`, percent-encoded.
///
/// A trailing slash stays: with v2's auth, `/dir/?recursive=true` and `/dir?recursive=true` are not the same.
pub(crate) fn key_path(operation: &'static str, key: &str) -> Result<String> {
    let mut path = String::with_capacity("/v2/keys/".len() + key.len());
    path.push_str("/v2/keys");
    let segments = key.strip_prefix('/').unwrap_or(key);
    if segments.is_empty() {
        return Ok(path);
    }
    let inner = segments.strip_suffix('/').unwrap_or(segments);
    for segment in inner.split('/') {
        if matches!(segment, "" | "." | "..") {
            let reason = format!(
                "the key {key:?} has an empty, `.` or `..` segment, which no etcd can store: \
                 leave it out, or give it another name"
            );
            return Err(Error::invalid(operation, reason));
        }
        path.push('/');
        path.extend(utf8_percent_encode(segment, RESERVED));
    }
    if inner.len() < segments.len() {
        path.push('/');
    }
    Ok(path)
}

/// One name as a single path segment: of a user, a role, a member.
pub(crate) fn segment(operation: &'static str, what: &str, name: &str) -> Result<String> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        let reason = format!(
            "the {what} {name:?} cannot be part of a path: it must not be empty, `.` or `..`, nor have a `/`"
        );
        return Err(Error::invalid(operation, reason));
    }
    Ok(utf8_percent_encode(name, RESERVED).to_string())
}

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

    /// `name=true`, where it is true.
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
/// Only what a form parser reads as its own is escaped. The server's limit counts the encoded bytes: with every space and
/// every letter beyond ASCII escaped, a text of 4 MiB could be too large for it.
pub(crate) fn push_form_pair(form: &mut String, name: &str, value: &str) {
    form.reserve(name.len() + value.len() + "&=".len());
    if !form.is_empty() {
        form.push('&');
    }
    form.extend(utf8_percent_encode(name, RESERVED));
    form.push('=');
    let mut rest = value;
    while let Some(at) = rest.find(['%', '&', '+', ';']) {
        let (plain, escaped) = rest.split_at(at);
        form.push_str(plain);
        // The four are ASCII: one byte each.
        let _ = write!(form, "%{:02X}", escaped.as_bytes()[0]);
        rest = &escaped[1..];
    }
    form.push_str(rest);
}

/// The form, unless etcd would refuse it for its size.
pub(crate) fn checked_form(operation: &'static str, form: String) -> Result<String> {
    if form.len() > FORM_LIMIT {
        let reason = format!(
            "the value makes a form of {} bytes, and etcd takes {FORM_LIMIT} at most: store less in one key",
            form.len()
        );
        return Err(Error::invalid(operation, reason));
    }
    Ok(form)
}

/// A body as JSON.
pub(crate) fn to_json(operation: &'static str, body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body)
        .map_err(|error| Error::invalid(operation, format!("cannot be written as JSON: {error}")))
}

/// This reply, if it is a success of the v2 API; the error it stands for, otherwise.
pub(crate) fn success(reply: Reply) -> Result<Reply> {
    if reply.status == StatusCode::NOT_FOUND && !reply.is_json() {
        return Err(Error::Unsupported(Unsupported::new(
            reply.context,
            "the v2 API is not enabled on this server: start it with --enable-v2 (etcd 3.4 and 3.5; 3.6 has none)",
        )));
    }
    let error = match reply.success() {
        Ok(reply) => return Ok(reply),
        Err(error) => error,
    };
    match error {
        // https://github.com/etcd-io/etcd/issues/13589: says «internal error», and nothing has changed.
        Error::Etcd(etcd) if etcd.code() == Some(300) && etcd.cause().contains("Not a file (") => {
            Err(Error::Unsupported(Unsupported::new(
                etcd.context(),
                "this server (etcd 3.5) cannot update a directory, nor refresh its TTL: \
                 see etcd issue 13589",
            )))
        }
        error => Err(error),
    }
}

/// The body of a success of the v2 API.
pub(crate) fn json<D: DeserializeOwned>(reply: Reply) -> Result<D> {
    success(reply)?.json()
}

/// A success of the v2 API that says nothing more.
pub(crate) fn empty(reply: Reply) -> Result<()> {
    success(reply).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_key_is_encoded_but_its_slashes() {
        for (key, path) in [
            ("", "/v2/keys"),
            ("/", "/v2/keys"),
            ("a", "/v2/keys/a"),
            ("/a/b", "/v2/keys/a/b"),
            ("/a/b/", "/v2/keys/a/b/"),
            ("/a b%?#+;&=", "/v2/keys/a%20b%25%3F%23%2B%3B%26%3D"),
            ("/ключ", "/v2/keys/%D0%BA%D0%BB%D1%8E%D1%87"),
            ("/\0\r\n\\", "/v2/keys/%00%0D%0A%5C"),
            ("/.../.a/_hidden~", "/v2/keys/.../.a/_hidden~"),
            ("/%2e%2e", "/v2/keys/%252e%252e"),
        ] {
            assert_eq!(key_path("test", key).unwrap(), path, "{key:?}");
        }
    }

    #[test]
    fn keys_that_the_server_would_redirect_are_refused() {
        for key in [
            "//",
            "/a//b",
            "/a/./b",
            "..",
            "/../members",
            "/a//",
            "//a",
            "/a/..",
        ] {
            assert_eq!(
                key_path("v2.keys.get", key).unwrap_err().to_string(),
                format!(
                    "v2.keys.get: the key {key:?} has an empty, `.` or `..` segment, which no etcd \
                     can store: leave it out, or give it another name"
                )
            );
        }
    }

    #[test]
    fn a_form_escapes_only_what_a_form_parser_reads_as_its_own() {
        let mut form = String::new();
        push_form_pair(&mut form, "value", "100% & a+b; c=d\n€");
        push_form_pair(&mut form, "ttl", "");
        assert_eq!(form, "value=100%25 %26 a%2Bb%3B c=d\n€&ttl=");
    }

    #[test]
    fn a_name_is_one_segment_or_refused() {
        assert_eq!(segment("t", "user", "a b").unwrap(), "a%20b");
        for name in ["", ".", "..", "a/b"] {
            assert!(segment("t", "user", name).is_err(), "{name:?}");
        }
    }
}
