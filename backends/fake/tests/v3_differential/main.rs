//! Random requests to the v3 API of the fake and of real servers: the responses must be the same, those of the JSON
//! gateway byte for byte, those of gRPC message for message.
//!
//! The ids of cluster and member are translated, the remaining time of a lease is one that is possible between the moments
//! at which it was granted and asked for, and what etcd promises no order of (the keys of a lease, leases that end at the same
//! time) is sorted. A user may be found by 3.5 as he was (V3-151). If that changes what he may do, or the machine stalls for
//! longer than a lease lives, the history begins again on new servers.
//!
//! - `ETCD_BIN_3_4`, `ETCD_BIN_3_5`, `ETCD_BIN`: the servers.
//! - `ETCD_FAKE_REQUESTS`: how many requests for each of them. Defaults to 20,000.
//! - `ETCD_FAKE_SEED`: where to begin. Defaults to 1.
//!
//! A divergence is reported with its seed and with the shortest history that still shows it.

mod compare;
mod generate;
mod grpc;
mod leases;
mod run;
mod users;

#[test]
fn random_v3_requests_are_answered_as_the_real_servers_do() {
    fake_harness::differential::compare_with_each::<run::V3<run::Gateway>>();
}

#[test]
fn random_v3_requests_are_answered_by_grpc_as_the_real_servers_do() {
    fake_harness::differential::compare_with_each::<run::V3<grpc::Grpc>>();
}
