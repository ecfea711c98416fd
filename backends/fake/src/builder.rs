use std::time::{Duration, SystemTime};

use crate::{
    Clock, Expiry, FakeEtcd, Profile,
    cluster::Cluster,
    core::{Core, Shared},
    endpoint::Endpoint,
    log::Log,
    server::Server,
    time::Timeline,
};

/// 2020-01-01T00:00:00Z: where a clock begins that nothing else tells the time.
const DEFAULT_START: u64 = 1_577_836_800;

/// Says what a fake is to be like.
///
/// ```
/// # use std::time::Duration;
/// # use etcd_fake::{Clock, FakeEtcd, Profile};
/// let etcd = FakeEtcd::builder()
///     .profile(Profile::V3_4)
///     .members(3)
///     .clock(Clock::auto())
///     .seed(42)
///     .build();
/// assert_eq!(etcd.endpoints().len(), 3);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FakeEtcdBuilder {
    profile: Profile,
    v2: bool,
    seed: u64,
    members: Vec<(String, String)>,
    clock: Clock,
    expiry: Expiry,
    start: Option<SystemTime>,
    log_capacity: usize,
}

impl Default for FakeEtcdBuilder {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            v2: true,
            seed: 0,
            members: Vec::new(),
            clock: Clock::default(),
            expiry: Expiry::default(),
            start: None,
            log_capacity: 10_000,
        }
    }
}

impl FakeEtcdBuilder {
    /// The version to answer as; 3.5 unless said otherwise.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Whether the v2 API is on (`--enable-v2`); it is unless said otherwise.
    pub fn v2(mut self, on: bool) -> Self {
        self.v2 = on;
        self
    }

    /// Chooses wherever etcd promises nothing: the order of unsorted listings, ids, faults by chance. 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A cluster of `count` members, `infra0` at `http://127.0.0.1:2379` and on from there, instead of those so far.
    pub fn members(mut self, count: usize) -> Self {
        self.members = (0..count)
            .map(|place| {
                let decade = if place == 0 {
                    String::new()
                } else {
                    place.to_string()
                };
                (
                    format!("infra{place}"),
                    format!("http://127.0.0.1:{decade}2379"),
                )
            })
            .collect();
        self
    }

    /// One more member, with its name and the URL that clients reach it by.
    pub fn member(mut self, name: &str, url: &str) -> Self {
        self.members.push((name.to_owned(), url.to_owned()));
        self
    }

    /// What moves the clock; nothing but [`FakeEtcd::advance`] unless said otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// When keys expire: as in etcd at the next look of the leader, unless said otherwise.
    pub fn expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// The time of day at which the fake begins: 2020-01-01, or with [`Clock::Real`] the present.
    pub fn start_time(mut self, start: SystemTime) -> Self {
        self.start = Some(start);
        self
    }

    /// How many requests the log keeps; 10,000 unless said otherwise.
    pub fn log_capacity(mut self, requests: usize) -> Self {
        self.log_capacity = requests;
        self
    }

    /// Makes the fake.
    pub fn build(self) -> FakeEtcd {
        let mut members = self.members;
        if members.is_empty() {
            members.push(("default".to_owned(), "http://localhost:2379".to_owned()));
        }
        let start = self.start.unwrap_or_else(|| match self.clock {
            Clock::Real => SystemTime::now(),
            _ => SystemTime::UNIX_EPOCH + Duration::from_secs(DEFAULT_START),
        });
        let start = start.duration_since(SystemTime::UNIX_EPOCH);
        // A time before the epoch or after 2262 is no time for an etcd.
        let start = start
            .ok()
            .and_then(|start| i64::try_from(start.as_nanos()).ok());
        let start = start.unwrap_or_default();
        let endpoints = members.iter().map(|(_, url)| Endpoint::new(url.clone()));
        let endpoints = endpoints.collect();
        let cluster = Cluster::new(&members, self.seed);
        let server = Server::new(self.profile, self.v2, cluster, start, self.seed);
        let time = Timeline::new(self.clock, self.expiry, start);
        let core = Core::new(server, time, endpoints, Log::new(self.log_capacity));
        FakeEtcd {
            shared: Shared::new(core),
        }
    }
}
