use etcd_http::server::Cluster;
use std::{error::Error, time::Duration};

#[test]
fn survives_its_leader() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start(3)?;
    let leader = cluster.leader()?;
    cluster.member(leader).kill()?;
    assert_ne!(cluster.leader()?, leader);
    cluster.member(leader).restart()?;
    cluster.wait_healthy(Duration::from_secs(10))?;
    Ok(())
}
