//! The client on the fake, with faults: every request fails in every way, and hours pass without waiting.
//!
//! The individual steps of the client are tested in `tests/scripted`; these tests check the results.

mod check;
mod closed;
mod closing;
mod cluster;
mod credential_failures;
mod histories;
mod once;
mod overload;
mod recipes;
mod size;
mod stats;
mod support;
mod time;
mod v2_credentials;
mod v2_cursors;
mod v3_compaction;
mod v3_credentials;
mod v3_cursors;
mod v3_deletes;
mod v3_elections;
mod v3_examinations;
mod v3_frames;
mod v3_histories;
mod v3_idle;
mod v3_learners;
mod v3_mirror_states;
mod v3_pages;
mod v3_renewals;
mod v3_tokens;
mod watch;
mod watch_transfers;
mod writes;
