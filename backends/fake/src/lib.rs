#![doc = include_str!("../README.md")]

mod profile;
mod rng;
mod store;
mod wire;

pub use profile::Profile;
