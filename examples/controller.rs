//! A controller on the fake: it starts as many workers as each key says, over failures, a crash of the leader, and a deletion.
//!
//! ```text
//! cargo run --example controller --features fake
//! ```

use std::{
    collections::BTreeMap,
    error::Error,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd},
    recipes::{
        Cache, Controller, ControllerEvent, Election, RecipeError, ReconcileRequest, Reconciled,
        Session,
    },
    transport::Transport,
    v3::KeyRange,
};
use futures::{
    executor::block_on,
    future::{join, join3, select},
};

const TTL: Duration = Duration::from_secs(10);

/// What is to be: a JSON value.
#[derive(Debug, serde::Deserialize)]
struct Site {
    workers: u32,
}

/// What is: the workers that run for each site. Starting some fails every now and then.
#[derive(Clone, Debug, Default)]
struct World(Arc<Mutex<Workers>>);

#[derive(Debug, Default)]
struct Workers {
    running: BTreeMap<String, u32>,
    calls: u32,
}

impl World {
    /// Compares what is with what is to be. It does not matter how often this is called, nor what has changed.
    async fn reconcile(
        self,
        etcd: FakeEtcd,
        request: ReconcileRequest<Site>,
    ) -> Result<Reconciled, &'static str> {
        let name = String::from_utf8_lossy(&request.key).into_owned();
        let wanted = request.entry.as_ref().map_or(0, |site| site.value.workers);
        // To start them takes a while.
        etcd.sleep(Duration::from_millis(200)).await;
        let mut workers = self.0.lock().expect("nothing panics");
        workers.calls += 1;
        if workers.calls.is_multiple_of(3) {
            return Err("no machine is free");
        }
        if wanted == 0 {
            workers.running.remove(&name);
            return Ok(Reconciled::AwaitChange);
        }
        workers.running.insert(name, wanted);
        // Workers die without a change in etcd: look again.
        Ok(Reconciled::RequeueAfter(Duration::from_secs(600)))
    }

    fn running(&self) -> BTreeMap<String, u32> {
        self.0.lock().expect("nothing panics").running.clone()
    }
}

/// A process: a candidate whose controller works while it leads.
async fn process(
    etcd: &FakeEtcd,
    name: &'static str,
    world: &World,
    lives: Duration,
) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, session_driver) = Session::open(client.v3(), TTL).await?;
    let (sites, cache_driver) = Cache::json(client.v3(), KeyRange::prefix("sites/"));
    let (world, clock) = (world.clone(), etcd.clone());
    let (controller, driver) = Controller::builder(&client, &sites)
        .concurrency(2)
        .elected(&Election::new(&session, "controller"), name)
        .on_event(move |event| match event {
            ControllerEvent::Elected { .. } => println!("{name} leads"),
            ControllerEvent::Failed {
                key, error, pause, ..
            } => {
                println!("{name}: {key:?} failed, {error}; again in {pause:.0?}");
            }
            _ => {}
        })
        .reconcile(move |request| world.clone().reconcile(clock.clone(), request));
    let drivers = join3(session_driver, cache_driver, driver);
    // In a service, the drivers are spawned, and `controller.stop` is called before the end. This one crashes.
    select(pin!(drivers), etcd.sleep(lives)).await;
    println!("{name} has ended: {:?}", controller.stats());
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    etcd.put("sites/web", r#"{"workers":3}"#);
    etcd.put("sites/shop", r#"{"workers":2}"#);
    let world = World::default();
    let first = process(&etcd, "the first process", &world, Duration::from_secs(20));
    let second = async {
        etcd.sleep(Duration::from_secs(1)).await;
        process(
            &etcd,
            "the second process",
            &world,
            Duration::from_secs(120),
        )
        .await
    };
    let operator = async {
        etcd.sleep(Duration::from_secs(10)).await;
        println!("running: {:?}", world.running());
        // The leader is gone at 20 s, and its lease has not ended yet.
        etcd.sleep(Duration::from_secs(12)).await;
        etcd.put("sites/web", r#"{"workers":5}"#);
        let client = Client::new(etcd.clone(), etcd.endpoints())?;
        client.v3().kv().delete("sites/shop").await
    };
    let ((first, second), operator) = block_on(join(join(first, second), operator));
    first?;
    second?;
    operator?;
    println!("running: {:?}", world.running());
    assert_eq!(
        world.running(),
        BTreeMap::from([("sites/web".to_owned(), 5)])
    );
    Ok(())
}
