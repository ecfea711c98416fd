//! The client against an etcd in memory that does everything an etcd does, at the times it does it, and fails where it is
//! told to. Nothing waits, and everything is exact: hours of traffic, and every request failed in every way.
//!
//! What the client does step by step is told in `tests/scripted`; here it is what comes of it.

mod cluster;
mod histories;
mod once;
mod support;
mod time;
mod watch;
mod writes;
