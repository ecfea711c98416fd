//! A cluster of three servers.

use std::time::Duration;

use etcd_server::{Cluster, Error, Result, Server};

use crate::support::{put, read};

type Step = fn(&Server) -> Result<()>;

#[test]
fn a_cluster_survives_the_loss_of_its_leader() {
    let cluster = Cluster::start(3).unwrap();
    assert_eq!(
        (cluster.members().len(), cluster.client_urls().len()),
        (3, 3)
    );
    put(cluster.member(0), "a2V5", "dmFsdWU=");
    assert!(
        cluster
            .members()
            .iter()
            .all(|member| read(member, "a2V5").contains("dmFsdWU="))
    );
    for (fail, recover) in [
        (Server::kill as Step, Server::restart as Step),
        (Server::pause, Server::resume),
    ] {
        let old = cluster.leader().unwrap();
        fail(cluster.member(old)).unwrap();
        assert_ne!(cluster.leader().unwrap(), old);
        recover(cluster.member(old)).unwrap();
        cluster.wait_healthy(Duration::from_secs(20)).unwrap();
        // Usually still the new one, but a busy machine may hold another election.
        cluster.leader().unwrap();
    }
}

#[test]
fn a_cluster_recovers_with_its_majority() {
    let cluster = Server::builder().name("node").start_cluster(3).unwrap();
    assert_eq!(cluster.member(2).name(), "node-2");
    cluster
        .members()
        .iter()
        .for_each(|member| member.kill().unwrap());
    let first = cluster.member(0);
    first.launch().unwrap();
    assert!(first.is_running());
    assert!(matches!(
        first.wait_healthy(Duration::from_secs(1)),
        Err(Error::Unhealthy { .. })
    ));
    cluster.member(1).launch().unwrap();
    first.wait_healthy(Duration::from_secs(20)).unwrap();
    assert!(matches!(
        cluster.wait_healthy(Duration::from_secs(1)),
        Err(Error::NotRunning { .. })
    ));
}
