//! Random requests to the fake and to real servers: the responses must be the same, byte for byte.
//!
//! What cannot be the same is translated first: times (compared with a tolerance of one second), the ids, the Raft
//! index, and the order of what etcd does not sort.
//!
//! - `ETCD_BIN_3_4`, `ETCD_BIN_3_5`, `ETCD_BIN`: the servers.
//! - `ETCD_FAKE_REQUESTS`: how many requests for each of them. Defaults to 20,000.
//! - `ETCD_FAKE_SEED`: the first seed. Defaults to 1.
//!
//! A divergence is reported with its seed and with the shortest history that still shows it.

mod compare;
mod generate;
mod run;

#[test]
fn random_requests_are_answered_as_the_real_servers_do() {
    fake_harness::differential::compare_with_each::<run::Keys>();
}
