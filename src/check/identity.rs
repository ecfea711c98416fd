//! What an endpoint is that does not report the version of an etcd.

use etcd_transport::Transport;
use http::StatusCode;

use crate::{
    base::endpoint::Endpoint,
    check::{Finding, Problem, probe::Prober},
    error::{Error, Outcome},
};

/// Finds out why an endpoint does not report a version.
pub(super) async fn explain<T: Transport>(
    prober: &Prober<'_, T>,
    endpoint: &Endpoint,
    error: &Error,
) -> Finding {
    let what = error.reason();
    match error {
        Error::Timeout(_) => Finding::new(
            Problem::Silent,
            what,
            "something accepts connections there and does not respond: is the server halted, overloaded, or out of disk? See \
             its log; a firewall may drop what is sent",
        ),
        Error::Transport(_) if error.is_untrusted() => {
            let advice = about_certificate(&what);
            Finding::new(Problem::Untrusted, what, advice)
        }
        Error::Transport(_) if error.is_rejected() => Finding::new(
            Problem::Rejected,
            what,
            "the HTTP stack cannot send to this endpoint: `https://` needs a feature with TLS, such as `hyper-rustls`",
        ),
        Error::Invalid(_) => Finding::new(
            Problem::Rejected,
            what,
            "this client sends no more requests: make another one",
        ),
        Error::Transport(_) => without_response(prober, endpoint, error, what).await,
        _ => foreign(prober, endpoint, error, what).await,
    }
}

/// A server was found, or none, and there was no response: the other scheme may have one.
async fn without_response<T: Transport>(
    prober: &Prober<'_, T>,
    endpoint: &Endpoint,
    error: &Error,
    what: String,
) -> Finding {
    if let Some(other) = with_other_scheme(endpoint)
        && is_server(prober, &other).await
    {
        return if other.is_https() {
            Finding::new(
                Problem::TlsRequired,
                format!("{what}; {other} takes TLS"),
                format!("use {other}, over a transport with TLS"),
            )
        } else {
            Finding::new(
                Problem::NoTls,
                format!("{what}; {other} is an etcd without TLS"),
                format!("use {other}, or start etcd with --cert-file and --key-file"),
            )
        };
    }
    let is_refused = endpoint.is_https() && is_certificate_refused(error);
    if error.outcome() == Outcome::NotSent && !is_refused {
        return Finding::new(
            Problem::Unreachable,
            what,
            "are host and port right, is the server up, and does it listen on this address (--listen-client-urls)?",
        );
    }
    if endpoint.is_https() {
        // By TLS 1.3, a client has connected before it learns this, and not every stack says so then.
        return Finding::new(
            Problem::ClientCertificate,
            format!("{what}, after a connection by TLS"),
            "does etcd run with --client-cert-auth? Then give the transport a certificate of an authority that is in its \
             --trusted-ca-file, and that has not expired; otherwise see the log of the server, or of a proxy before it",
        );
    }
    Finding::new(
        Problem::Broken,
        what,
        "the server, or a proxy before it, closes the connection: see its log; if it takes TLS, use https://",
    )
}

/// Whether a server responds there, or would if its certificate were accepted.
async fn is_server<T: Transport>(prober: &Prober<'_, T>, endpoint: &Endpoint) -> bool {
    match prober.version(endpoint).await {
        Ok(_) => true,
        Err(error) => {
            endpoint.is_https() && (error.is_untrusted() || is_certificate_refused(&error))
        }
    }
}

/// Whether the error is a server's alert that it does not accept the client's certificate, in the words of the TLS library.
fn is_certificate_refused(error: &Error) -> bool {
    let reason = error.reason().to_lowercase();
    ["certificate", "unknownca", "unknown ca"]
        .iter()
        .any(|word| reason.contains(word))
}

/// Something responded that is not the version of an etcd.
async fn foreign<T: Transport>(
    prober: &Prober<'_, T>,
    endpoint: &Endpoint,
    error: &Error,
    what: String,
) -> Finding {
    if let Error::Http(refused) = error {
        let status = refused.status();
        if is_refusal(status) {
            return Finding::new(
                Problem::Refused,
                what,
                "a proxy before etcd does not let this client through: see its rules",
            );
        }
        if status.is_server_error() {
            return Finding::new(
                Problem::Refused,
                what,
                "a proxy responds, and does not reach etcd: see its log, and whether the members are up",
            );
        }
    }
    if let Some(root) = without_path(endpoint)
        && prober.version(&root).await.is_ok()
    {
        return Finding::new(
            Problem::WrongPath,
            format!("{what}; {root} is an etcd"),
            format!("use {root}: etcd itself has no path, and the client adds /v2 and /v3"),
        );
    }
    Finding::new(
        Problem::NotEtcd,
        what,
        "what responds is not an etcd: are host and port right? A proxy that serves etcd below a path needs that path in the \
         endpoint",
    )
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 407 | 421 | 429)
}

/// What to do about a certificate, by the words of the HTTP stack.
fn about_certificate(what: &str) -> &'static str {
    let what = what.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| what.contains(word));
    if has(&["expired", "not valid yet", "notvalidyet"]) {
        "the server's certificate has expired, or is not valid yet: renew it, or set the clock of this machine"
    } else if has(&["name", "hostname", "ip address"]) {
        "the certificate is not for this host: use a name or an address that it has, or issue one with this name (subjectAltName)"
    } else if has(&[
        "unknown",
        "issuer",
        "self-signed",
        "self signed",
        "unable to get",
    ]) {
        "the certificate is of an authority that the transport does not trust: give it the authority's own certificate, such \
         as `HyperTransport::builder().root_certificates(pem)`"
    } else {
        "the server's certificate is of an authority that the transport does not trust, has another name, or has expired: \
         `openssl s_client -connect HOST:PORT -showcerts` shows it"
    }
}

/// The same endpoint with the other scheme. Without a port it would be another server.
fn with_other_scheme(endpoint: &Endpoint) -> Option<Endpoint> {
    let text = endpoint.to_string();
    let (scheme, rest) = text.split_once("://")?;
    let other = if scheme == "https" { "http" } else { "https" };
    let other = format!("{other}://{rest}").parse().ok()?;
    endpoint.has_port().then_some(other)
}

/// The same endpoint without its path, if it has one.
fn without_path(endpoint: &Endpoint) -> Option<Endpoint> {
    let text = endpoint.to_string();
    let (scheme, rest) = text.split_once("://")?;
    let (authority, _) = rest.split_once('/')?;
    format!("{scheme}://{authority}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn other_urls_of_an_endpoint() {
        let other = |text| with_other_scheme(&endpoint(text));
        assert_eq!(other("http://h:1/e"), Some(endpoint("https://h:1/e")));
        assert_eq!(other("https://[::1]:1"), Some(endpoint("http://[::1]:1")));
        assert_eq!(other("https://h"), None, "443 is not 80");
        let root = |text| without_path(&endpoint(text));
        assert_eq!(root("http://h:1/e/f"), Some(endpoint("http://h:1")));
        assert_eq!(root("http://h:1"), None);
    }

    #[test]
    fn advice_follows_the_words_of_each_stack() {
        for (what, advice) in [
            (
                "could not connect: invalid peer certificate: Expired",
                "has expired, or",
            ),
            (
                "certificate not valid for name \"h\"",
                "is not for this host",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "does not trust: give",
            ),
            (
                "the server certificate could not be validated",
                "openssl s_client",
            ),
        ] {
            let given = about_certificate(what);
            assert!(given.contains(advice), "{what}: {given}");
        }
    }
}
