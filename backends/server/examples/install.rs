//! Finds an etcd, or downloads one, and prints its path.
//!
//! `cargo run -p etcd-server --example install`

fn main() -> etcd_server::Result<()> {
    let installed = etcd_server::install()?;
    eprintln!("etcd {} ({:?})", installed.version, installed.source);
    println!("{}", installed.etcd.display());
    Ok(())
}
