//! What the client does when things go wrong, step by step: a scripted transport, a clock that moves by itself, no waiting.

mod clock;
mod deadlines;
mod endpoints;
mod guard;
mod ledger;
mod limits;
mod live;
mod once;
mod outcome;
mod retry;
mod script;
mod secrets;
mod seeing;
mod shapes;
#[cfg(feature = "tracing")]
mod spans;
mod sync;
mod v3_calls;
mod v3_control;
mod v3_control_churn;
mod v3_gateway;
mod v3_guard;
mod v3_lease;
mod v3_missing;
mod v3_store;
mod v3_streams;
mod v3_tokens;
mod v3_watch;
mod v3_watch_outages;
mod watch;
