//! What several test targets of etcd-http share.
//!
//! - A case of a suite for etcd is a function of an [`Etcd`](case::Etcd). [`cases!`] makes a test of it for each
//!   [`Backend`](backend::Backend): [real servers](real) by each HTTP transport, and the [`fake`].
//! - [`scripted_transport`] and [`clock`] are for tests of the client alone, [`scripted_server`] for those that need a
//!   socket.
//! - [`proxy`] starts proxies between a client and servers, [`certificates`] makes what servers and proxies with TLS need,
//!   and [`trusting!`] transports that trust them.
//! - [`raw_http`] and [`json_lines`] read responses as they are on the wire.
//! - [`linearizability`], [`stall_monitor`] and [`watch_set_churn`] serve tests under load and faults.
//!
//! It depends on etcd-http without features, so that a test target has the features that it asks for and no others. A
//! transport behind a feature is named where a macro is expanded, or is a type parameter.

pub mod backend;
pub mod case;
pub mod certificates;
pub mod clock;
pub mod fake;
pub mod json_lines;
pub mod linearizability;
pub mod proxy;
pub mod raw_http;
pub mod real;
pub mod scripted_server;
pub mod scripted_transport;
pub mod stall_monitor;
mod stamp;
mod trusting;
pub mod watch_set_churn;
