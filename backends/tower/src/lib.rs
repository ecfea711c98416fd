#![doc = include_str!("../README.md")]

mod body;
mod clock;
mod service;
mod services;
mod transport;

pub use clock::Clock;
pub use service::HttpService;
/// tower's trait, in the version that [`TowerTransport`] takes services of.
pub use tower_service;
pub use transport::TowerTransport;
