#![doc = include_str!("../README.md")]

mod black_hole;
#[doc(hidden)]
pub mod clauses;
mod frames;
mod http2;
mod limits;
#[doc(hidden)]
pub mod on_tokio;
mod runner;
mod server;
mod suite;

pub use black_hole::BlackHole;
pub use limits::Limits;
#[doc(hidden)]
pub use runner::{run, run_with_proxies_in_the_environment};
pub use server::{Connection, Received, Server};

/// Compiles the examples of "Write a transport".
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WriteATransport;
