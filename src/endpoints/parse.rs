use std::str::FromStr;

use http::{Uri, uri::Scheme};

use crate::{
    base::endpoint::Endpoint,
    error::{Api, Error, Result},
};

const OPERATION: &str = "endpoint";

/// Parses a URL. The error says what is wrong with it, and what to write instead.
impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            // A URL may contain a password: the part before an `@` must not be quoted.
            let shown = text.rsplit('@').next().unwrap_or_default();
            Err(Error::invalid(OPERATION, format!("`{shown}` {why}")))
        };
        if text.trim() != text {
            return refuse("has spaces around it: remove them");
        }
        if text.contains(',') {
            return refuse("is a list: give each endpoint on its own");
        }
        if text.starts_with("unix:") || text.starts_with("unixs:") {
            return refuse(
                "is a Unix socket: write http://localhost, and set the socket in the transport \
                 (`unix_socket` of hyper's builder, or of reqwest's)",
            );
        }
        if text.contains('[') && text.contains('%') {
            return refuse(
                "has an IPv6 zone id, which a URL of HTTP cannot have: use a name, or another address",
            );
        }
        if text.contains('@') {
            return refuse("contains a user name: use the client's credentials instead");
        }
        if text.contains(['?', '#']) {
            return refuse("has a query or a fragment: remove it");
        }
        let parts = match Uri::from_str(text) {
            Ok(uri) => uri.into_parts(),
            Err(error) => return refuse(&format!("is not a URL: {error}")),
        };
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            Some(_) => return refuse("is neither http:// nor https://"),
            None => return refuse("has no scheme: prefix it with http:// or https://"),
        };
        let authority = match parts.authority {
            Some(authority) if !authority.host().is_empty() => authority,
            _ => return refuse("has no host"),
        };
        // `http` accepts `host:` as a host without a port, and any digits as a port.
        let after_host = authority.as_str().strip_prefix(authority.host());
        if after_host.is_some_and(|rest| !rest.is_empty()) && authority.port_u16().is_none() {
            return refuse("has a port that is not a number from 1 to 65535");
        }
        let path = parts.path_and_query.as_ref().map_or("", |path| path.path());
        let base = path.trim_end_matches('/');
        if base
            .split('/')
            .skip(1)
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return refuse("has an empty, `.` or `..` segment in its path");
        }
        if Api::of_path(base).is_some() {
            return refuse(
                "has a path of etcd's own API, which the client adds by itself: leave it out",
            );
        }
        Ok(Self::new(scheme, authority, base.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_endpoints_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "endpoint: `` is not a URL"),
            (
                "127.0.0.1:2379",
                "endpoint: `127.0.0.1:2379` has no scheme: prefix it with http:// or https://",
            ),
            (
                "localhost",
                "endpoint: `localhost` has no scheme: prefix it with http:// or https://",
            ),
            (
                "ftp://h",
                "endpoint: `ftp://h` is neither http:// nor https://",
            ),
            ("http://", "endpoint: `http://` is not a URL"),
            ("http://:2379", "endpoint: `http://:2379` has no host"),
            (
                "http://h:x",
                "endpoint: `http://h:x` has a port that is not a number from 1 to 65535",
            ),
            (
                "http://h:99999",
                "endpoint: `http://h:99999` has a port that is not a number from 1 to 65535",
            ),
            (
                "http://h:/",
                "endpoint: `http://h:/` has a port that is not a number from 1 to 65535",
            ),
            (
                "http://h/a?b",
                "endpoint: `http://h/a?b` has a query or a fragment: remove it",
            ),
            (
                "http://h/a/../b",
                "endpoint: `http://h/a/../b` has an empty, `.` or `..` segment in its path",
            ),
            ("http://h //", "endpoint: `http://h //` is not a URL"),
            (
                "http://h:1 ",
                "endpoint: `http://h:1 ` has spaces around it: remove them",
            ),
            (
                "\thttp://h:1",
                "endpoint: `\thttp://h:1` has spaces around it: remove them",
            ),
            (
                "http://h:1,http://g:1",
                "endpoint: `http://h:1,http://g:1` is a list: give each endpoint on its own",
            ),
            (
                "unix:///run/etcd.sock",
                "endpoint: `unix:///run/etcd.sock` is a Unix socket: write http://localhost, and set the socket in the \
                 transport (`unix_socket` of hyper's builder, or of reqwest's)",
            ),
            (
                "http://[fe80::1%25eth0]:2379",
                "endpoint: `http://[fe80::1%25eth0]:2379` has an IPv6 zone id, which a URL of HTTP cannot have: use a name, \
                 or another address",
            ),
            (
                "http://[fe80::1%eth0]:2379",
                "endpoint: `http://[fe80::1%eth0]:2379` has an IPv6 zone id",
            ),
            (
                "http://h:1/v3",
                "endpoint: `http://h:1/v3` has a path of etcd's own API, which the client adds by itself: leave it out",
            ),
            (
                "http://h:1/v2/keys/",
                "endpoint: `http://h:1/v2/keys/` has a path of etcd's own API, which the client adds by itself",
            ),
            (
                "http://root:secret@h:1",
                "endpoint: `h:1` contains a user name: use the client's credentials instead",
            ),
        ] {
            // The text after "is not a URL" comes from the parser.
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_line_break_or_a_nul_makes_no_endpoint() {
        for text in ["http://h\r\nx: y", "http://h/\0", "http://h:1/\r\n"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }
}
