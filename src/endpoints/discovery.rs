use std::{collections::BTreeMap, error::Error as StdError};

use async_trait::async_trait;

/// Looks up DNS records of the type SRV. This crate has no DNS library; implement this for the one of your choice.
///
/// With [hickory-resolver](https://docs.rs/hickory-resolver) 0.25, for a `struct Dns(TokioResolver)`, `srv` is
///
/// ```text
/// match self.0.srv_lookup(name).await {
///     Ok(found) => Ok(found.iter().map(|srv| SrvRecord {
///         priority: srv.priority(),
///         weight: srv.weight(),
///         port: srv.port(),
///         target: srv.target().to_utf8(),
///     }).collect()),
///     Err(error) if error.is_no_records_found() => Ok(Vec::new()),
///     Err(error) => Err(error.into()),
/// }
/// ```
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Returns the records of this name, such as `_etcd-client._tcp.example.com`. The list is empty if the name does
    /// not exist or has no records.
    ///
    /// # Errors
    /// Why the lookup failed.
    async fn srv(&self, name: &str) -> Result<Vec<SrvRecord>, Box<dyn StdError + Send + Sync>>;
}

/// A record of the type SRV. <https://www.rfc-editor.org/rfc/rfc2782>
///
/// It has the fields of the standard, and will have no others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SrvRecord {
    /// The priority. Lower ones are tried first.
    pub priority: u16,
    /// The weight. Of records with the same priority, one with a larger weight is more likely to come first.
    pub weight: u16,
    /// The port where etcd listens.
    pub port: u16,
    /// The name of the host, with or without the final dot. A single `.` means that the service does not exist.
    pub target: String,
}

/// Finds a cluster's endpoints by DNS: the SRV records of `_etcd-client-ssl._tcp` and `_etcd-client._tcp`, as etcd's
/// own clients do. <https://etcd.io/docs/v3.5/op-guide/clustering/#dns-discovery>
///
/// ```
/// # use etcd_http::{Client, Resolver, transport::Transport};
/// use etcd_http::Discovery;
///
/// # async fn example<T: Transport>(transport: T, dns: impl Resolver) -> Result<(), Box<dyn std::error::Error>> {
/// let urls = Discovery::new("example.com").urls(&dns).await?;
/// let client = Client::new(transport, urls)?;
/// # Ok(())
/// # }
/// ```
///
/// Pass the result of a later lookup to [`Client::merge_endpoints`](crate::Client::merge_endpoints).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    domain: String,
    service_name: Option<String>,
    seed: Option<u64>,
}

impl Discovery {
    /// Finds the cluster of this domain.
    pub fn new(domain: impl Into<String>) -> Self {
        Self {
            domain: domain.into(),
            service_name: None,
            seed: None,
        }
    }

    /// Finds one of several clusters of the domain: `_etcd-client-NAME._tcp`. etcdctl calls it `--discovery-srv-name`.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Orders endpoints of the same priority by this seed instead of randomly.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Returns the URLs in the order in which to try them. All are `https://` if there are records for it, and
    /// `http://` otherwise. DNS responses are not authenticated; only the certificate of an `https://` endpoint is.
    ///
    /// # Errors
    /// If the resolver fails, or if there is no record.
    pub async fn urls(&self, resolver: &impl Resolver) -> Result<Vec<String>, DiscoveryError> {
        for (scheme, service) in [("https", "etcd-client-ssl"), ("http", "etcd-client")] {
            let name = self.name(service);
            let records = match resolver.srv(&name).await {
                Ok(records) => records,
                Err(source) => return Err(DiscoveryError::Resolver { name, source }),
            };
            let urls: Vec<_> = self
                .in_order(records)
                .into_iter()
                .map(|SrvRecord { target, port, .. }| {
                    format!("{scheme}://{}:{port}", target.trim_end_matches('.'))
                })
                .collect();
            if !urls.is_empty() {
                return Ok(urls);
            }
        }
        Err(DiscoveryError::NotFound {
            name: self.name("etcd-client"),
        })
    }

    fn name(&self, service: &str) -> String {
        let domain = self.domain.trim_matches('.');
        match &self.service_name {
            Some(name) => format!("_{service}-{name}._tcp.{domain}"),
            None => format!("_{service}._tcp.{domain}"),
        }
    }

    /// Sorts by priority, and randomly within one, as RFC 2782 describes: a larger weight makes an earlier position
    /// more likely.
    fn in_order(&self, records: Vec<SrvRecord>) -> Vec<SrvRecord> {
        let mut lots = match self.seed {
            Some(seed) => fastrand::Rng::with_seed(seed),
            None => fastrand::Rng::new(),
        };
        let mut priorities = BTreeMap::<u16, Vec<SrvRecord>>::new();
        for record in records {
            if !record.target.trim_matches('.').is_empty() {
                priorities.entry(record.priority).or_default().push(record);
            }
        }
        let mut ordered = Vec::new();
        for mut equals in priorities.into_values() {
            while !equals.is_empty() {
                let sum: u64 = equals.iter().map(|record| u64::from(record.weight)).sum();
                let lot = lots.u64(0..=sum);
                let mut running = 0;
                let drawn = equals.iter().position(|record| {
                    running += u64::from(record.weight);
                    running >= lot
                });
                ordered.push(equals.swap_remove(drawn.unwrap_or(0)));
            }
        }
        ordered
    }
}

/// Why [`Discovery`] found no endpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// There is no record of this name, nor of the one with `-ssl`.
    #[error("no SRV record of {name} or its -ssl variant")]
    NotFound {
        /// The name that was looked up last.
        name: String,
    },
    /// The resolver failed.
    #[error("cannot look up {name}")]
    Resolver {
        /// The name that was looked up.
        name: String,
        /// The resolver's error.
        source: Box<dyn StdError + Send + Sync>,
    },
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    /// A resolver with a table.
    struct Table(Vec<(&'static str, Vec<SrvRecord>)>);

    #[async_trait]
    impl Resolver for Table {
        async fn srv(&self, name: &str) -> Result<Vec<SrvRecord>, Box<dyn StdError + Send + Sync>> {
            if name.ends_with(".broken.example") {
                return Err("no response from 10.0.0.53".into());
            }
            let found = self.0.iter().find(|(known, _)| *known == name);
            Ok(found
                .map(|(_, records)| records.clone())
                .unwrap_or_default())
        }
    }

    fn record(priority: u16, weight: u16, target: &str) -> SrvRecord {
        SrvRecord {
            priority,
            weight,
            port: 2379,
            target: target.to_owned(),
        }
    }

    fn table() -> Table {
        Table(vec![
            (
                "_etcd-client-ssl._tcp.both.example",
                vec![record(0, 0, "a.both.example.")],
            ),
            (
                "_etcd-client._tcp.both.example",
                vec![record(0, 0, "b.both.example.")],
            ),
            (
                "_etcd-client._tcp.plain.example",
                vec![
                    record(20, 65_535, "last."),
                    record(0, 0, "first"),
                    record(10, 500, "second."),
                    record(0, 0, "."),
                ],
            ),
            (
                "_etcd-client-ssl-green._tcp.plain.example",
                vec![record(0, 0, "green")],
            ),
        ])
    }

    fn urls(discovery: &Discovery) -> Result<Vec<String>, DiscoveryError> {
        block_on(discovery.urls(&table()))
    }

    #[test]
    fn https_comes_alone_where_there_is_any() {
        let found = urls(&Discovery::new("both.example")).unwrap();
        assert_eq!(found, ["https://a.both.example:2379"]);
    }

    #[test]
    fn plain_endpoints_come_by_priority_and_without_their_dots() {
        let found = urls(&Discovery::new(".plain.example.")).unwrap();
        assert_eq!(
            found,
            [
                "http://first:2379",
                "http://second:2379",
                "http://last:2379"
            ]
        );
    }

    #[test]
    fn a_service_name_is_part_of_the_name() {
        let found = urls(&Discovery::new("plain.example").service_name("green")).unwrap();
        assert_eq!(found, ["https://green:2379"]);
    }

    #[test]
    fn failures_say_what_was_looked_up() {
        let error = urls(&Discovery::new("nowhere.example")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no SRV record of _etcd-client._tcp.nowhere.example or its -ssl variant"
        );
        let error = urls(&Discovery::new("broken.example")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot look up _etcd-client-ssl._tcp.broken.example"
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "no response from 10.0.0.53"
        );
    }

    #[test]
    fn weights_decide_how_often_one_comes_first() {
        let records = || vec![record(0, 10, "rare"), record(0, 90, "often")];
        let first = |seed| {
            Discovery::new("x")
                .seed(seed)
                .in_order(records())
                .remove(0)
                .target
        };
        let often = (0..1000).filter(|&seed| first(seed) == "often").count();
        assert!((850..950).contains(&often), "{often}");
        assert_eq!(first(1), first(1));
    }
}
