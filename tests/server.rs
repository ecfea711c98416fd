//! A local etcd, started, stopped and broken on purpose.
use etcd_http::server::{Cluster, Server};
use std::time::Instant;

#[test]
fn a_server_starts() {
    for _ in 0..8 {
        let t = Instant::now();
        let server = Server::start().unwrap();
        println!("\nTT single {:?}", t.elapsed());
        let t = Instant::now();
        drop(server);
        println!("\nTT drop {:?}", t.elapsed());
    }
}
#[test]
fn a_cluster_starts() {
    for _ in 0..8 {
        let t = Instant::now();
        let c = Cluster::start(3).unwrap();
        println!("\nTT cluster {:?} {}", t.elapsed(), c.leader().unwrap());
        println!(
            "{:?} {:?}",
            t.elapsed(),
            std::process::Command::new("curl")
                .args(["-s", &format!("{}/version", c.member(0).client_url())])
                .output()
                .unwrap()
                .stdout
                .escape_ascii()
                .to_string()
        );
    }
}
