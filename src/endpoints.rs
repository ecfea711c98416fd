use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::{Error, Result};

const OPERATION: &str = "endpoint";

/// How long an endpoint that failed is passed over while others are there: doubled with each failure in a row.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
const MAX_COOL_DOWN: Duration = Duration::from_secs(30);

/// Where an etcd listens: scheme, host, port, and the path before `/v2` if a proxy adds one. Parsed once; a cheap clone.
///
/// ```
/// use etcd_http::Endpoint;
///
/// let endpoint: Endpoint = "http://127.0.0.1:2379".parse()?;
/// assert_eq!(endpoint.to_string(), "http://127.0.0.1:2379");
/// assert!("127.0.0.1:2379".parse::<Endpoint>().is_err()); // http or https? say so
/// # Ok::<(), etcd_http::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    scheme: Scheme,
    authority: Authority,
    base: String,
}

impl Endpoint {
    /// The URI of `target` (a path and query from etcd's root) at this endpoint.
    pub(crate) fn uri(&self, target: &PathAndQuery) -> Result<Uri, http::Error> {
        let path_and_query = if self.0.base.is_empty() {
            target.clone()
        } else {
            format!("{}{target}", self.0.base).parse()?
        };
        Uri::builder()
            .scheme(self.0.scheme.clone())
            .authority(self.0.authority.clone())
            .path_and_query(path_and_query)
            .build()
    }

    /// The target within this endpoint that `uri` names, if it names one.
    pub(crate) fn target_of(&self, uri: &Uri) -> Option<PathAndQuery> {
        let same_host = uri.scheme() == Some(&self.0.scheme)
            && uri.authority().is_some_and(|authority| {
                authority
                    .host()
                    .eq_ignore_ascii_case(self.0.authority.host())
                    && port(authority, &self.0.scheme) == port(&self.0.authority, &self.0.scheme)
            });
        let target = uri.path_and_query()?.as_str();
        let within = target.strip_prefix(&self.0.base)?;
        same_host.then(|| within.parse().ok())?
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            // A URL may hold a password: never quote what stands before an `@`.
            let shown = text.rsplit('@').next().unwrap_or_default();
            Err(Error::invalid(OPERATION, format!("`{shown}` {why}")))
        };
        if text.contains('@') {
            return refuse("holds a user name: use the client's credentials instead");
        }
        if text.contains(['?', '#']) {
            return refuse("has a query or a fragment: leave it out");
        }
        let parts = match Uri::from_str(text) {
            Ok(uri) => uri.into_parts(),
            Err(error) => return refuse(&format!("is not a URL: {error}")),
        };
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            Some(_) => return refuse("is neither http:// nor https://"),
            None => return refuse("has no scheme: write http:// or https:// before it"),
        };
        let authority = match parts.authority {
            Some(authority) if !authority.host().is_empty() => authority,
            _ => return refuse("has no host"),
        };
        // `http` takes `host:` for a host without a port, and any digits for one.
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
        Ok(Self(Arc::new(Parts {
            scheme,
            authority,
            base: base.to_owned(),
        })))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            scheme,
            authority,
            base,
        } = &*self.0;
        write!(f, "{scheme}://{authority}{base}")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// The endpoints of one client, and what is known of their health. The good one is kept; a failed one cools down.
#[derive(Debug)]
pub(crate) struct Endpoints {
    all: Vec<Health>,
    /// The endpoint that answered last.
    good: AtomicUsize,
    /// What `Health::down_until` counts from.
    epoch: Instant,
}

#[derive(Debug)]
struct Health {
    endpoint: Endpoint,
    /// Milliseconds since the epoch; 0 is up.
    down_until: AtomicU64,
    failures: AtomicU32,
}

impl Endpoints {
    pub(crate) fn new(endpoints: Vec<Endpoint>, now: Instant) -> Result<Self> {
        if endpoints.is_empty() {
            let reason = "a client needs at least one, such as http://127.0.0.1:2379";
            return Err(Error::invalid(OPERATION, reason));
        }
        let mut all: Vec<Health> = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            if all.iter().all(|known| known.endpoint != endpoint) {
                all.push(Health {
                    endpoint,
                    down_until: AtomicU64::new(0),
                    failures: AtomicU32::new(0),
                });
            }
        }
        Ok(Self {
            all,
            good: AtomicUsize::new(0),
            epoch: now,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.all.iter().map(|health| &health.endpoint)
    }

    pub(crate) fn get(&self, index: usize) -> &Endpoint {
        // Indexes come from `pick` and `position` alone.
        &self.all[index].endpoint
    }

    /// The endpoint to use next: of those not `tried` yet the first that is up, from the good one on; else any of them.
    pub(crate) fn pick(&self, tried: &[usize], now: Instant) -> usize {
        let start = self.good.load(Relaxed);
        let millis = self.millis(now);
        let untried = || {
            (0..self.len())
                .map(|step| (start + step) % self.len())
                .filter(|index| !tried.contains(index))
        };
        untried()
            .find(|&index| self.all[index].down_until.load(Relaxed) <= millis)
            .or_else(|| untried().next())
            .unwrap_or(start)
    }

    pub(crate) fn answered(&self, index: usize) {
        let health = &self.all[index];
        if health.failures.load(Relaxed) != 0 {
            health.failures.store(0, Relaxed);
            health.down_until.store(0, Relaxed);
        }
        if self.good.load(Relaxed) != index {
            self.good.store(index, Relaxed);
        }
    }

    pub(crate) fn failed(&self, index: usize, now: Instant) {
        let health = &self.all[index];
        let failures = health.failures.fetch_add(1, Relaxed).min(16);
        let cool_down = FIRST_COOL_DOWN
            .saturating_mul(1 << failures)
            .min(MAX_COOL_DOWN);
        health
            .down_until
            .store(self.millis(now + cool_down), Relaxed);
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

fn port(authority: &Authority, scheme: &Scheme) -> u16 {
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority.port_u16().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    fn endpoints(count: usize) -> (Endpoints, Instant) {
        let now = Instant::now();
        let all = (0..count).map(|n| endpoint(&format!("http://127.0.0.1:{}", 1000 + n)));
        (Endpoints::new(all.collect(), now).unwrap(), now)
    }

    #[test]
    fn a_target_is_put_behind_the_endpoint_and_its_base_path() {
        let target = "/v2/keys/a%2Fb?wait=true".parse().unwrap();
        for (text, uri) in [
            ("http://h:1", "http://h:1/v2/keys/a%2Fb?wait=true"),
            ("http://h:1/", "http://h:1/v2/keys/a%2Fb?wait=true"),
            (
                "https://[::1]:1/etcd/",
                "https://[::1]:1/etcd/v2/keys/a%2Fb?wait=true",
            ),
        ] {
            assert_eq!(endpoint(text).uri(&target).unwrap().to_string(), uri);
        }
    }

    #[test]
    fn bad_endpoints_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "endpoint: `` is not a URL"),
            (
                "127.0.0.1:2379",
                "endpoint: `127.0.0.1:2379` has no scheme: write http:// or https:// before it",
            ),
            (
                "localhost",
                "endpoint: `localhost` has no scheme: write http:// or https:// before it",
            ),
            (
                "ftp://h",
                "endpoint: `ftp://h` is neither http:// nor https://",
            ),
            ("http://", "endpoint: `http://` is not a URL"),
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
                "endpoint: `http://h/a?b` has a query or a fragment: leave it out",
            ),
            (
                "http://h/a/../b",
                "endpoint: `http://h/a/../b` has an empty, `.` or `..` segment in its path",
            ),
            ("http://h //", "endpoint: `http://h //` is not a URL"),
            (
                "http://root:secret@h:1",
                "endpoint: `h:1` holds a user name: use the client's credentials instead",
            ),
        ] {
            // What follows «is not a URL» is the parser's own.
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
        let none = Endpoints::new(vec![], Instant::now()).unwrap_err();
        assert_eq!(
            none.to_string(),
            "endpoint: a client needs at least one, such as http://127.0.0.1:2379"
        );
    }

    #[test]
    fn the_good_endpoint_is_kept_and_a_failed_one_cools_down() {
        let (set, now) = endpoints(3);
        assert_eq!(set.pick(&[], now), 0);
        set.failed(0, now);
        assert_eq!(set.pick(&[], now), 1);
        set.answered(1);
        assert_eq!(set.pick(&[], now + FIRST_COOL_DOWN), 1);
        set.failed(1, now);
        assert_eq!(set.pick(&[], now), 2);
        assert_eq!(set.pick(&[2], now + FIRST_COOL_DOWN), 1);
    }

    #[test]
    fn cool_down_doubles_up_to_its_limit_and_ends_with_an_answer() {
        let (set, now) = endpoints(2);
        for _ in 0..20 {
            set.failed(0, now);
        }
        assert_eq!(
            set.pick(&[], now + MAX_COOL_DOWN - Duration::from_millis(1)),
            1
        );
        assert_eq!(set.pick(&[], now + MAX_COOL_DOWN), 0);
        set.answered(0);
        assert_eq!(set.pick(&[], now), 0);
    }

    #[test]
    fn endpoints_that_are_down_are_used_when_no_other_is_left() {
        let (set, now) = endpoints(2);
        set.failed(0, now);
        set.failed(1, now);
        assert_eq!(set.pick(&[], now), 0);
        assert_eq!(set.pick(&[0], now), 1);
    }

    #[test]
    fn an_endpoint_named_twice_is_one() {
        let twice = vec![endpoint("http://h:1"), endpoint("http://h:1/")];
        assert_eq!(Endpoints::new(twice, Instant::now()).unwrap().len(), 1);
    }

    #[test]
    fn a_location_is_within_an_endpoint_only_with_its_scheme_host_port_and_base() {
        let inside = |base: &str, uri: &str| endpoint(base).target_of(&uri.parse().unwrap());
        assert!(inside("http://h:80", "http://H/v2/keys").is_some());
        assert!(inside("https://h", "https://h:443/v2/keys").is_some());
        assert_eq!(inside("http://h/e", "http://h/e/v2").unwrap(), "/v2");
        for (base, uri) in [
            ("http://h", "https://h/v2/keys"),
            ("http://h", "http://h:81/v2/keys"),
            ("http://h", "http://g/v2/keys"),
            ("http://h", "http://u@g/v2/keys"),
            ("http://h/e", "http://h/v2/keys"),
        ] {
            assert_eq!(inside(base, uri), None, "{uri}");
        }
    }
}
