//! Two processes of which one leads: the second takes over when the first is halted, and what the first writes
//! when it goes on is refused by a store that fences.
//!
//! ```text
//! cargo run --example leader --features fake
//! ```

use std::{cell::Cell, error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd},
    recipes::{Election, RecipeError, Session},
    transport::Transport,
};
use futures::{executor::block_on, future::join};

const TTL: Duration = Duration::from_secs(10);

/// A store outside etcd. It refuses what a former leader writes.
#[derive(Debug, Default)]
struct Store {
    greatest_token: Cell<i64>,
    value: Cell<&'static str>,
}

impl Store {
    fn write(&self, token: i64, value: &'static str) -> bool {
        if token < self.greatest_token.get() {
            return false;
        }
        self.greatest_token.set(token);
        self.value.set(value);
        true
    }
}

/// A process: leads when it is elected, and does its work while it leads.
async fn process(etcd: &FakeEtcd, name: &'static str, store: &Store) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), TTL).await?;
    let election = Election::new(&session, "scheduler");
    let work = election.run_while_leader(name, async |leadership| {
        let token = leadership.fencing_token();
        println!("{:?} {name} leads", etcd.elapsed());
        println!("  written by {name}: {}", store.write(token, name));
        etcd.sleep(Duration::from_secs(5)).await;
        token
    });
    let token = session.run(driver, work).await?;
    println!("  written by {name}: {}", store.write(token, name));
    Ok(())
}

/// A process that is halted while it leads: nothing renews its lease.
async fn halted(etcd: &FakeEtcd, store: &Store) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), TTL).await?;
    drop(driver);
    let leadership = Election::new(&session, "scheduler")
        .campaign("halted")
        .await?;
    let token = leadership.fencing_token();
    println!("{:?} the first process leads", etcd.elapsed());
    println!("  written by the first: {}", store.write(token, "first"));
    etcd.sleep(Duration::from_secs(30)).await;
    println!("{:?} the first process goes on", etcd.elapsed());
    println!("  is it the leader: {}", leadership.is_held());
    println!(
        "  written by the first: {}",
        store.write(token, "first, late")
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    // The clock jumps whenever both wait.
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    let store = Store::default();
    let second = async {
        etcd.sleep(Duration::from_secs(1)).await;
        process(&etcd, "the second process", &store).await
    };
    let (first, second) = block_on(join(halted(&etcd, &store), second));
    first?;
    second?;
    println!("the store has: {}", store.value.get());
    assert_eq!(store.value.get(), "the second process");
    Ok(())
}
