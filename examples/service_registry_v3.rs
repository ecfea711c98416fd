//! A web service that registers itself, and a gateway that knows who is there: the state of its handlers has a cache of the
//! registry, which they read without a request. An instance ends with ctrl-c, and its registration with it.
//! `service_registry` is the same on v2.
//!
//! ```text
//! cargo run --example service_registry_v3 --features fake
//! ```

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd},
    recipes::{Cache, RecipeError, Registry, Session},
    transport::Transport,
    v3::KeyRange,
};
use futures::{executor::block_on, future::join};

const TTL: Duration = Duration::from_secs(10);

/// What each handler gets, as a clone. With axum: `Router::new().route("/", get(handle)).with_state(state)`, and
/// `State(state)` as the argument of the handler.
#[derive(Clone)]
struct AppState {
    services: Cache<String>,
    requests: Arc<AtomicUsize>,
}

/// A handler: passes requests on to the instances in turn.
async fn handle(state: AppState) -> String {
    let number = state.requests.fetch_add(1, Relaxed);
    // Of one revision, without a request and without a lock.
    let services = state.services.snapshot();
    let nth = number % services.len().max(1);
    match services.iter().nth(nth) {
        Some(service) => format!("200, by {}", service.value),
        None => "503".to_owned(),
    }
}

/// The gateway: here, eight requests arrive, one each ten seconds.
async fn gateway(etcd: &FakeEtcd) -> Result<Vec<String>, RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let range = KeyRange::prefix("services/web/");
    let (services, driver) = Cache::new(client.v3(), range, |kv| kv.value_str().map(str::to_owned));
    let state = AppState {
        services: services.clone(),
        requests: Arc::default(),
    };
    let serve = async {
        services.ready().await?;
        let mut answers = Vec::new();
        for _ in 0..8 {
            etcd.sleep(Duration::from_secs(10)).await;
            answers.push(handle(state.clone()).await);
        }
        Ok(answers)
    };
    // With tokio: `tokio::spawn(driver)`.
    services.run(driver, serve).await
}

/// An instance: registered until ctrl-c, and again after a loss.
async fn instance(etcd: &FakeEtcd, name: &str, stop: Duration) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), TTL).await?;
    let registry = Registry::new(&session, "services/web");
    // With tokio and axum: `axum::serve(listener, app).with_graceful_shutdown(ctrl_c)`, with `tokio::signal::ctrl_c()`.
    let ctrl_c = etcd.sleep(stop);
    let work = registry.run_registered(name, format!("http://{name}:8080"), ctrl_c);
    // The session ends with the work, and its keys with it, at once.
    session.run(driver, work).await
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    let instances = async {
        let long = instance(&etcd, "a", Duration::from_secs(65));
        let short = instance(&etcd, "b", Duration::from_secs(35));
        let revoke = async {
            etcd.sleep(Duration::from_secs(45)).await;
            // An operator ends the lease of an instance, which registers again.
            let held = etcd.get("services/web/a").expect("registered");
            let client = Client::new(etcd.clone(), etcd.endpoints())?;
            client.v3().leases().revoke(held.lease).await
        };
        futures::join!(long, short, revoke)
    };
    let (answers, (long, short, revoked)) = block_on(join(gateway(&etcd), instances));
    let answers = answers?;
    long?;
    short?;
    revoked?;
    for answer in &answers {
        println!("{answer}");
    }
    let count = |text: &str| answers.iter().filter(|it| it.ends_with(text)).count();
    // Three requests in turn, three to the one that is left, and two to none.
    assert_eq!((count("a:8080"), count("b:8080"), count("503")), (5, 1, 2));
    Ok(())
}
