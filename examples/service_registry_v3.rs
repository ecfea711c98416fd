//! A registry of services on v3: an instance registers with its session, and is listed for as long as the session lives.
//! `service_registry` is the same on v2.
//!
//! ```text
//! cargo run --example service_registry_v3 --features fake
//! ```

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd},
    recipes::{RecipeError, Registry, Session},
    transport::Transport,
    v3::{KeyRange, Mirror},
};
use futures::{executor::block_on, future::join};

const TTL: Duration = Duration::from_secs(10);

/// An instance: registered until it stops, and again after a loss.
async fn instance(etcd: &FakeEtcd, name: &str, stop: Duration) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), TTL).await?;
    let registry = Registry::new(&session, "services/web");
    // In a service, this is the server, until ctrl-c: `tokio::signal::ctrl_c()`.
    let serve = etcd.sleep(stop);
    let work = registry.run_registered(name, "http://10.0.0.7:8080", serve);
    // The key goes with the session, at once.
    session.run(driver, work).await
}

/// A client of the service: sees who is there, without a request.
async fn follow(
    etcd: &FakeEtcd,
    services: &mut Mirror<FakeEtcd>,
    changes: usize,
) -> Result<(), RecipeError> {
    for _ in 0..changes {
        services.next().await?;
        let known: Vec<_> = services.iter().map(|kv| kv.key).collect();
        println!("{:?} {known:?}", etcd.elapsed());
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let mut services = client.v3().mirror(KeyRange::prefix("services/web/"));
    let instances = async {
        // The listing comes first.
        etcd.sleep(Duration::from_millis(1)).await;
        let long = instance(&etcd, "a", Duration::from_secs(60));
        let short = async {
            etcd.sleep(Duration::from_secs(1)).await;
            instance(&etcd, "b", Duration::from_secs(30)).await
        };
        let revoke = async {
            etcd.sleep(Duration::from_secs(20)).await;
            // An operator ends the lease of an instance, which registers again.
            let held = etcd.get("services/web/a").expect("registered");
            client.v3().leases().revoke(held.lease).await
        };
        futures::join!(long, short, revoke)
    };
    // The listing; a and b come; a is lost and comes again; b and a go.
    let (followed, (long, short, revoked)) =
        block_on(join(follow(&etcd, &mut services, 7), instances));
    followed?;
    long?;
    short?;
    revoked?;
    assert_eq!(services.len(), 0);
    Ok(())
}
