//! The client on a scripted transport, with a clock that moves by itself: retries, endpoints, outcomes, watches, streams.
//!
//! No test waits, and none needs a server.

mod arguments;
mod cluster_identity;
mod constructors;
mod deadlines;
mod doubt;
mod endpoints;
mod foreign;
mod foreign_responses;
mod hedges;
mod long_lived;
mod observe;
mod once;
mod outcome;
mod protocol;
mod protocol_changes;
mod response_limits;
mod retry;
mod secrets;
#[cfg(feature = "tracing")]
mod spans;
mod sync;
mod timed;
mod types;
mod v2_calls;
mod v2_store;
mod v3_acquired;
mod v3_batch;
mod v3_calls;
mod v3_cluster_identity;
mod v3_gateway;
mod v3_grpc_streams;
mod v3_lease;
mod v3_mirrors;
mod v3_refusals;
mod v3_store;
mod v3_stream_tokens;
mod v3_streams;
mod v3_tokens;
mod v3_unsupported;
mod v3_waits;
mod v3_watch;
mod v3_watch_buffered;
mod v3_watch_outages;
mod v3_watch_server;
mod v3_watch_set;
mod v3_watch_set_churn;
mod watch;
mod watch_lost_history;
mod watch_timing;
