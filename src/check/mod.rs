//! Finds out what is wrong with endpoints that do not work, or not as they could: [`Client::check`].
//!
//! ```
//! # use etcd_http::{Client, Error};
//! # #[cfg(feature = "fake")]
//! # futures::executor::block_on(async {
//! use etcd_http::check::{Problem, Severity};
//!
//! # let etcd = etcd_http::fake::FakeEtcd::builder().v2(false).build();
//! # let client = Client::new(etcd.clone(), etcd.endpoints())?;
//! let report = client.check().await;
//! // An endpoint a line, and below it what is to be done.
//! println!("{report}");
//! assert!(report.severity() < Some(Severity::Warning));
//! assert_eq!(report.problems(), [Problem::NoV2]);
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! [`examples/doctor.rs`](https://github.com/etcd-http/etcd-http/blob/main/examples/doctor.rs) is a program of it.

mod cluster;
mod credentials;
mod endpoint;
mod finding;
mod identity;
mod lease_clock;
mod options;
mod probe;
mod report;

pub use finding::{Finding, Problem, Severity};
pub use options::CheckOptions;
pub use report::{EndpointReport, Report};

use etcd_transport::Transport;
use futures::future::join_all;

use crate::{client::Client, endpoints::state::EndpointState};

/// # What is wrong
impl<T: Transport> Client<T> {
    /// Examines each endpoint, and whether they fit together: is it an etcd, and which version; a client port, or that of
    /// peers; the right path and scheme; by what its certificate is refused; which APIs it serves, and by which protocol; a
    /// voter or a learner; whether the client's credentials are good; whether a proxy withholds streams; whether all
    /// endpoints are of one cluster, and whether the addresses that its members advertise can be reached from here.
    ///
    /// It only reads; [`check_with`](Self::check_with) grants a lease, too. All endpoints are examined at the same time, by requests that are sent once, each for at most 5 s or
    /// the client's [time limit](crate::ClientBuilder::timeout), if that is shorter: it takes a second where all is well,
    /// and at most four of these limits where nothing responds. What the client knows of its endpoints is neither used nor changed, and the
    /// [observer](crate::ClientBuilder::observe) is not called. Credentials are sent to the endpoints only, as with any
    /// other call.
    ///
    /// What is wrong is in the report: the call itself does not fail. `Display` of the report is a short text for
    /// an operator; it has no credentials.
    #[doc(alias = "diagnose")]
    #[doc(alias = "doctor")]
    pub async fn check(&self) -> Report {
        self.check_with(&CheckOptions::new()).await
    }

    /// As [`check`](Self::check), and examines what takes more than reading, if these options say so.
    ///
    /// ```
    /// # use etcd_http::{Client, Error};
    /// # #[cfg(feature = "fake")]
    /// # futures::executor::block_on(async {
    /// use etcd_http::check::CheckOptions;
    ///
    /// # let etcd = etcd_http::fake::FakeEtcd::builder().clock(etcd_http::fake::Clock::auto()).build();
    /// # let client = Client::new(etcd.clone(), etcd.endpoints())?;
    /// let options = CheckOptions::new().lease_clock(true);
    /// let report = client.check_with(&options).await;
    /// assert_eq!(report.endpoints[0].keeps_lease_time, Some(true));
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn check_with(&self, options: &CheckOptions) -> Report {
        let prober = probe::Prober::new(self);
        let set = self.pipeline().endpoints.current();
        let endpoints = set.iter().map(EndpointState::endpoint);
        let examined = endpoints.map(|it| endpoint::examine(&prober, it.clone()));
        let mut report = cluster::compare(&prober, join_all(examined).await).await;
        if options.lease_clock {
            lease_clock::examine(&prober, &mut report).await;
        }
        report
    }
}
