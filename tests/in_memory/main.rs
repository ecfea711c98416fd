//! The client on the fake, with faults: every request fails in every way, and hours pass without waiting.
//!
//! What the client does step by step is tested in `tests/scripted`; here it is the result.

mod cluster;
mod histories;
mod once;
mod support;
mod time;
mod watch;
mod writes;
