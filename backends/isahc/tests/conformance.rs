//! The contract of `etcd-transport`, kept over isahc, with no tokio in sight, and with the limits that isahc has.

use etcd_transport_conformance::Limits;
use etcd_transport_isahc::IsahcTransport;

/// The README of the crate says why.
const LIMITS: Limits = Limits::strict()
    .head_with_first_byte()
    .fresh_connections_for_writes_without_body()
    .resends_reads()
    .refuses_odd_headers()
    .joins_trailers()
    .half_duplex()
    .takes_a_cut_head();

etcd_transport_conformance::test_suite!(
    IsahcTransport::default(),
    futures::executor::block_on,
    LIMITS,
);
