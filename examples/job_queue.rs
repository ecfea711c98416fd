//! A queue of jobs with priorities, two workers, and ids from a counter: each job is done by one worker, though every tenth
//! response is lost.
//!
//! ```text
//! cargo run --example job_queue --features fake
//! ```

use std::{cell::RefCell, error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd, Fault, When},
    recipes::{Counter, PriorityQueue, RecipeError, Session},
    transport::Transport,
};
use futures::{
    executor::block_on,
    future::{try_join, try_join_all},
};

const TTL: Duration = Duration::from_secs(30);
const JOBS: usize = 12;

async fn produce(etcd: &FakeEtcd) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), TTL).await?;
    let (jobs, ids) = (
        PriorityQueue::new(&session, "jobs"),
        Counter::new(&session, "ids"),
    );
    let work = async {
        for number in 0..JOBS {
            let id = ids.add(1).await?;
            let priority = if number % 4 == 0 { 1 } else { 10 };
            jobs.push(format!("job {id}"), priority).await?;
        }
        Ok(())
    };
    session.run(driver, work).await
}

async fn consume(
    etcd: &FakeEtcd,
    name: &str,
    done: &RefCell<Vec<String>>,
) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), TTL).await?;
    let jobs = PriorityQueue::new(&session, "jobs");
    let work = async {
        while done.borrow().len() < JOBS {
            let Some(job) = jobs.try_pop().await? else {
                etcd.sleep(Duration::from_secs(1)).await;
                continue;
            };
            let job = String::from_utf8_lossy(&job.value).into_owned();
            println!("{name}: {job}");
            done.borrow_mut().push(job);
            etcd.sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    session.run(driver, work).await
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    etcd.inject(When::any().path("/v3/kv/*").every(10), Fault::break_after());
    let done = RefCell::default();
    let workers = ["ada", "brian"].map(|name| consume(&etcd, name, &done));
    block_on(try_join(produce(&etcd), try_join_all(workers)))?;
    let mut done = done.into_inner();
    done.sort_unstable();
    done.dedup();
    println!("{} jobs, each done once", done.len());
    assert_eq!(done.len(), JOBS);
    Ok(())
}
