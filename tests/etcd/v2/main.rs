//! The v2 API of real servers and of the fake: one test for each case and backend.
//!
//! A case is `async fn name<T: Transport>(etcd: Etcd<T>)`. It knows neither the backend nor the runtime; time and sleep
//! are the transport's. The number in `v2_44_…` is that of the rule that the case shows.
//!
//! Most cases wait most of the time: with `RUST_TEST_THREADS=16` the suite takes half the time. `ETCD_BIN` chooses
//! another etcd than the one that [`etcd_http::server::install`] finds.
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

mod auth;
mod bad_input;
#[cfg(feature = "server")]
mod bad_responses;
mod compare;
mod directories;
mod disabled;
mod endpoints;
mod errors;
#[expect(non_snake_case, reason = "the names are those of Etcd.jl")]
mod etcd_jl;
mod in_order;
mod keys;
mod listing;
mod members;
mod raw;
mod stats;
mod ttl;
mod watch;
mod watch_recovery;
