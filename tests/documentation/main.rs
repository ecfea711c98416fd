//! Checks of the repository itself: its rules, its layers, its files and its prose.
//!
//! They read the sources and need no server and no feature: `cargo test --test documentation`.

mod code;
mod dependencies;
mod fake_layering;
mod imports;
mod layering;
mod links;
mod names;
mod packages;
mod pages;
mod pictures;
mod prose;
mod readmes;
mod rules;
mod size;
mod sources;
