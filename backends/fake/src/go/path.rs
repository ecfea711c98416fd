//! Paths as Go's `path` and `net/url` treat them.

use std::borrow::Cow;

/// The shortest equivalent of an absolute path: no `.`, no `..`, no empty segment.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(parent);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

/// The same, but a trailing slash stays. A request for another path is redirected to this one.
pub(crate) fn clean_keeping_slash(path: &[u8]) -> Cow<'_, [u8]> {
    if is_clean(path) {
        return path.into();
    }
    let mut out = clean(path);
    if path.ends_with(b"/") && out.len() > 1 {
        out.push(b'/');
    }
    out.into()
}

/// Whether a path is clean but for a trailing slash, as nearly all are. One that is not may be clean, too.
pub(crate) fn is_clean(path: &[u8]) -> bool {
    let may_change = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    path.starts_with(b"/") && !path.windows(2).any(may_change)
}

/// Percent-encodes a path.
pub(crate) fn escape(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("//a///b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/...", "/a/..."),
        ] {
            assert_eq!(clean(path.as_bytes()), expected.as_bytes(), "{path}");
        }
        for (path, expected) in [
            ("//a/", "/a/"),
            ("//", "/"),
            ("/", "/"),
            ("", "/"),
            ("a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/.", "/a"),
            ("/.a/b", "/.a/b"),
        ] {
            let clean = clean_keeping_slash(path.as_bytes());
            assert_eq!(*clean, *expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_path_is_escaped() {
        assert_eq!(escape(b"/a b?!\xff;:@"), "/a%20b%3F%21%FF;:@");
    }
}
