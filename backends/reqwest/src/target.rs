use etcd_transport::{
    TransportError,
    http::{
        Uri,
        uri::{Authority, PathAndQuery},
    },
};
use reqwest::Url;

/// The URL of a request, if what reqwest would send for it is what was asked for.
///
/// reqwest works on [`Url`], which follows browsers: it resolves `.` and `..`, their escaped forms included, and escapes
/// some bytes that a [`Uri`] may hold. What would name another key on the server is refused.
pub(crate) fn url(uri: &Uri) -> Result<Url, TransportError> {
    let Some(scheme @ ("http" | "https")) = uri.scheme_str() else {
        return Err(TransportError::rejected(
            "the URI's scheme is neither http nor https",
        ));
    };
    let Some(authority) = uri
        .authority()
        .map(Authority::as_str)
        .filter(|authority| !authority.contains('@'))
    else {
        return Err(TransportError::rejected(
            "the URI has no authority, or one with credentials",
        ));
    };
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    // Once for each request: by hand this takes half the time of `Uri`'s `Display`.
    let text = [scheme, "://", authority, target].concat();
    // Not the parser's error as it is: it may quote the URI.
    let url = Url::parse(&text).map_err(|error| {
        TransportError::rejected(format!("reqwest cannot use the URI: {error}"))
    })?;
    if url.path() == uri.path() && url.query() == uri.query() {
        Ok(url)
    } else {
        Err(TransportError::rejected(
            "reqwest would send another path or query than the URI has",
        ))
    }
}

#[cfg(test)]
mod tests {
    use etcd_transport::TransportErrorKind;

    use super::*;

    #[test]
    fn what_reqwest_would_change_is_refused() {
        for path in ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/a?b='c'"] {
            let uri = format!("http://etcd:2379{path}").parse().unwrap();
            let error = url(&uri).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Rejected, "{path}");
        }
    }

    #[test]
    fn what_reqwest_sends_as_it_is_passes() {
        for uri in [
            "http://etcd:2379/v2/keys/a%2Fb//c?wait=true",
            "https://[::1]:2379/v3/kv/range",
            "http://ETCD",
        ] {
            assert!(url(&uri.parse().unwrap()).is_ok(), "{uri}");
        }
    }

    #[test]
    fn credentials_in_a_uri_are_refused_and_not_shown() {
        let uri = "http://root:secret@etcd:2379/".parse().unwrap();
        let error = url(&uri).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"));
    }
}
