//! A backup: the complete database of a member, verified, and renamed only when it is complete.
//!
//! `cargo run --example snapshot --features reqwest,server [-- --endpoint URL]`

mod common;

use std::{env, error::Error, fs, fs::File};

use etcd_http::{Client, reqwest::ReqwestTransport, v3::Snapshot};
use futures::io::AllowStdIo;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;

    let path = env::temp_dir().join("etcd-http-example.snapshot");
    let part = path.with_extension("part");
    // A real program writes with the asynchronous files of its runtime.
    let mut file = AllowStdIo::new(File::create(&part)?);
    match Snapshot::new().write_to(&client, &mut file).await {
        Ok(size) => {
            file.into_inner().sync_all()?;
            fs::rename(&part, &path)?;
            println!("{size} bytes in {}, verified", path.display());
            fs::remove_file(&path)?;
            Ok(())
        }
        Err(error) => {
            fs::remove_file(&part)?;
            Err(error.into())
        }
    }
}
