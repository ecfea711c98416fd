//! What the client does when things go wrong, step by step: a scripted transport, a clock that moves by itself, no waiting.

mod clock;
mod retry;
mod script;
mod v3_lease;
mod v3_store;
mod v3_watch;
mod watch;
