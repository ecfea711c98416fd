//! A job that is due every minute, on three machines: one of them does it, once for each time.
//!
//! ```text
//! cargo run --example cron_once --features fake
//! ```

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd},
    recipes::{Mutex, RecipeError, Session},
    transport::Transport,
    v3::{Compare, Put, Txn},
};
use futures::{executor::block_on, future::try_join_all};

const MINUTE: Duration = Duration::from_secs(60);

/// A machine: at each full minute, tries to be the one that does the job.
async fn machine(etcd: &FakeEtcd, name: &str) -> Result<usize, RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), Duration::from_secs(10)).await?;
    let mutex = Mutex::new(&session, "cron/report");
    let work = async {
        let mut done = 0;
        for minute in 1..=3 {
            etcd.sleep(MINUTE).await;
            // Another machine works on it.
            let Some(held) = mutex.try_lock().await? else {
                continue;
            };
            let marker = format!("cron/report-done/{minute}");
            if client.v3().kv().get(&marker).await?.is_some() {
                held.release().await?;
                continue;
            }
            held.run(etcd.sleep(Duration::from_secs(1))).await?;
            // Done, unless the lock was lost, or another machine was first.
            let mark = Txn::new()
                .when(held.is_held_compare())
                .when(Compare::missing(&marker))
                .then(Put::new(&marker, name));
            if client.send(mark).await?.succeeded {
                println!("{:?} minute {minute}: {name}", etcd.elapsed());
                done += 1;
            }
            held.release().await?;
        }
        Ok(done)
    };
    session.run(driver, work).await
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    let machines = ["ada", "brian", "carol"].map(|name| machine(&etcd, name));
    let done: usize = block_on(try_join_all(machines))?.into_iter().sum();
    println!("{done} reports in three minutes");
    assert_eq!(done, 3);
    Ok(())
}
