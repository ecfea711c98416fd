use arc_swap::ArcSwap;
use etcd_transport::{
    TransportError,
    http::{
        Uri,
        uri::{Authority, Scheme},
    },
};
use reqwest::Url;

/// How many origins are cached: far more than a cluster has members.
const MAX_ORIGINS: usize = 100;

/// Makes the URLs of requests. Each origin is parsed once: that is most of the work, and a cluster has few of them.
#[derive(Default)]
pub(crate) struct Targets(ArcSwap<Vec<Origin>>);

#[derive(Clone)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
    url: Url,
}

impl Targets {
    /// Returns the URL for a request.
    ///
    /// reqwest uses [`Url`], which follows browsers: it resolves `.` and `..`, escaped or not, and escapes some bytes that a
    /// [`Uri`] may contain.
    ///
    /// # Errors
    /// [`Rejected`](etcd_transport::TransportErrorKind::Rejected) if the URL differs from the URI: on the server it may name
    /// another key.
    pub(crate) fn url(&self, uri: &Uri) -> Result<Url, TransportError> {
        let mut url = self.origin(uri)?;
        url.set_path(uri.path());
        url.set_query(uri.query());
        if url.path() == uri.path() && url.query() == uri.query() {
            Ok(url)
        } else {
            Err(TransportError::rejected(
                "reqwest would change the path or the query of the URI",
            ))
        }
    }

    /// Returns the URL without path and query.
    fn origin(&self, uri: &Uri) -> Result<Url, TransportError> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(TransportError::rejected("the URI has no authority"));
        };
        let known = self.0.load();
        let is_it = |origin: &&Origin| origin.scheme == *scheme && origin.authority == *authority;
        if let Some(origin) = known.iter().find(is_it) {
            return Ok(origin.url.clone());
        }
        let url = parse(scheme, authority)?;
        self.0.rcu(|known| {
            let mut known = Vec::clone(known);
            if known.len() < MAX_ORIGINS {
                known.push(Origin {
                    scheme: scheme.clone(),
                    authority: authority.clone(),
                    url: url.clone(),
                });
            }
            known
        });
        Ok(url)
    }
}

fn parse(scheme: &Scheme, authority: &Authority) -> Result<Url, TransportError> {
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err(TransportError::rejected(
            "the URI's scheme is neither http nor https",
        ));
    }
    if authority.as_str().contains('@') {
        return Err(TransportError::rejected("the URI has credentials"));
    }
    // Only the text of the parser's error: its `Debug` may quote the URI.
    Url::parse(&format!("{scheme}://{authority}"))
        .map_err(|error| TransportError::rejected(format!("reqwest cannot use the URI: {error}")))
}

#[cfg(test)]
mod tests {
    use etcd_transport::TransportErrorKind;

    use super::*;

    #[test]
    fn a_uri_that_reqwest_would_change_is_rejected() {
        for path in ["/a/../b", "/a/./b", "/a/%2e%2E/b", "/a?b='c'"] {
            let uri = format!("http://etcd:2379{path}").parse().unwrap();
            let error = Targets::default().url(&uri).unwrap_err();
            assert_eq!(error.kind(), TransportErrorKind::Rejected, "{path}");
        }
    }

    #[test]
    fn a_uri_that_reqwest_leaves_unchanged_is_accepted() {
        for uri in [
            "http://etcd:2379/v2/keys/a%2Fb//c?wait=true",
            "https://[::1]:2379/v3/kv/range",
            "http://ETCD",
        ] {
            let uri = uri.parse().unwrap();
            let expected: Url = Uri::to_string(&uri).parse().unwrap();
            let targets = Targets::default();
            for _ in 0..2 {
                assert_eq!(targets.url(&uri).unwrap(), expected);
            }
        }
    }

    #[test]
    fn each_origin_is_parsed_once_and_not_confused_with_another() {
        let targets = Targets::default();
        for _ in 0..2 {
            for uri in [
                "http://etcd:2379/a?b",
                "https://etcd:2379/a",
                "http://etcd:2380/c",
                "http://etcd2:2379/a?d",
            ] {
                assert_eq!(targets.url(&uri.parse().unwrap()).unwrap().as_str(), uri);
            }
        }
        assert_eq!(targets.0.load().len(), 4);
        for port in 0..2 * MAX_ORIGINS {
            let uri = format!("http://etcd:{port}/").parse().unwrap();
            assert!(targets.url(&uri).is_ok());
        }
        assert_eq!(targets.0.load().len(), MAX_ORIGINS);
    }

    #[test]
    fn credentials_in_a_uri_are_rejected_and_not_shown() {
        let uri = "http://root:secret@etcd:2379/".parse().unwrap();
        let error = Targets::default().url(&uri).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"));
    }
}
