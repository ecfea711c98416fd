//! A local etcd, started, stopped and broken on purpose.
use etcd_http::server::{Cluster, Server};
use std::time::Instant;

#[test]
fn a_server_starts() {
    let t = Instant::now();
    let server = Server::start().unwrap();
    eprintln!("single {:?} {server:?}", t.elapsed());
    println!(
        "{:?}",
        std::process::Command::new("curl")
            .args(["-s", &format!("{}/version", server.client_url())])
            .output()
    );
}
#[test]
fn a_cluster_starts() {
    let t = Instant::now();
    let c = Cluster::start(3).unwrap();
    eprintln!("cluster {:?}", t.elapsed());
    for _ in 0..3 {
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
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let t = Instant::now();
    eprintln!("leader {:?} {:?}", c.leader().unwrap(), t.elapsed());
    eprintln!("{}", c.member(0).log());
}
