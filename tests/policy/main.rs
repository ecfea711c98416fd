//! What the client does when things go wrong, step by step: a scripted transport, a clock that moves by itself, no waiting.

mod ledger;
mod once;
mod outcome;
mod retry;
mod script;
mod watch;
