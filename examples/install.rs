//! Finds an etcd, or gets one, and prints where it is.
//!
//! `cargo run --example install --features server`

use std::error::Error;

use etcd_http::server;

fn main() -> Result<(), Box<dyn Error>> {
    let installed = server::install()?;
    eprintln!("etcd {} ({:?})", installed.version, installed.source);
    println!("{}", installed.etcd.display());
    Ok(())
}
