//! How a real etcd behaves, asked through every backend: one suite, one named test for each case and backend.
//!
//! A case is `async fn name<T: Transport>(etcd: Etcd<T>)`. It knows neither the backend nor the runtime; time and sleep are
//! the transport's. `v2_44_…` names the rule of etcd's behaviour that the case shows.
//!
//! Most cases wait more than they work: with `RUST_TEST_THREADS=16` the suite takes half the time.
//! `ETCD_BIN` chooses another etcd than the one that [`etcd_http::server::install`] finds.
//!
//! Each feature among `fake`, `reqwest` and `isahc` adds its backends; the latter two need `server`.

#![cfg(any(
    feature = "fake",
    all(feature = "server", any(feature = "reqwest", feature = "isahc"))
))]
#![cfg_attr(
    not(any(feature = "reqwest", feature = "isahc")),
    allow(
        dead_code,
        unused_imports,
        reason = "some cases need a server over HTTP"
    )
)]

/// Stamps the cases of a family for every backend: `any` are asked of every etcd, the fake included; `http` need a server
/// over HTTP. Within these they stand by what they start: see [`Start`](harness::Start).
macro_rules! behaviour {
    ($(any { $($any:tt)* })? $(http { $($http:tt)* })?) => {
        #[cfg(feature = "fake")]
        stamp!(fake_3_4, $crate::harness::Fake34: $($($any)*)?);
        #[cfg(feature = "fake")]
        stamp!(fake_3_5, $crate::harness::Fake35: $($($any)*)?);
        #[cfg(all(feature = "reqwest", feature = "server"))]
        stamp!(reqwest, $crate::harness::Reqwest: $($($any)*)? $($($http)*)?);
        #[cfg(all(feature = "isahc", feature = "server"))]
        stamp!(isahc, $crate::harness::Isahc: $($($any)*)? $($($http)*)?);
    };
}

#[macro_use]
#[allow(unused_macros)] // `cases` is for the suites of v3.
mod stamp;

mod auth;
mod bad_input;
mod compare;
mod directories;
mod disabled;
mod endurance;
mod errors;
#[cfg(feature = "server")]
mod garbage;
mod harness;
mod in_order;
mod keys;
mod listing;
mod members;
#[expect(non_snake_case, reason = "the names are those of Etcd.jl")]
mod model;
mod raw;
mod road;
#[cfg(feature = "server")]
mod scripted;
mod stats;
mod ttl;
mod watch;
