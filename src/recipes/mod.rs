//! Recipes for v3: locks, elections, queues and transactions that hold under faults.
//!
//! Built on the public API alone. Key layouts are those of Go's packages `concurrency` and `recipe`, so that programs in Rust
//! and in Go can share a lock. None of them spawns a task or needs a runtime, and time is the transport's: each can be
//! tested on the [fake](crate#features), hours in milliseconds.
//!
//! Each type says what it promises, and what it cannot. `docs/cookbook.md` says when to use which.

mod error;
mod held;
mod mutex;
mod session;
mod wait;

pub use error::RecipeError;
pub use held::Held;
pub use mutex::Mutex;
pub use session::{Session, SessionBuilder, SessionDriver};
