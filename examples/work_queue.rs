//! A queue that several workers share: in-order keys are the jobs, and the worker that deletes one has it.
//!
//! `cargo run --example work_queue --features reqwest,server [-- --endpoint URL]`

mod common;

use std::error::Error;

use etcd_http::{
    Client, Result,
    reqwest::ReqwestTransport,
    v2::{Condition, Get, Watch},
};
use futures::StreamExt;
use tokio::sync::mpsc;

const QUEUE: &str = "/work-queue";
const JOBS: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = Client::<ReqwestTransport>::connect([&etcd.url])?;
    // Removes the keys of an interrupted run.
    let _ = client.v2().delete_tree(QUEUE).await;
    client.v2().set_dir(QUEUE).await?;

    let (done, mut all_done) = mpsc::unbounded_channel();
    let workers = ["anna", "bert", "cleo"].map(|name| {
        let (client, done) = (client.clone(), done.clone());
        tokio::spawn(async move {
            loop {
                let job = take(&client).await?;
                if done.send((name, job)).is_err() {
                    return Ok::<_, etcd_http::Error>(());
                }
            }
        })
    });

    // Each key is greater than all before, so etcd keeps the order.
    for number in 1..=JOBS {
        let job = format!("job {number}");
        client.v2().create_in_order(QUEUE, job).await?;
    }

    let mut jobs = Vec::new();
    while jobs.len() < JOBS {
        let (worker, job) = all_done.recv().await.ok_or("the workers are gone")?;
        println!("{worker} did {job}");
        jobs.push(job);
    }
    // Each worker waits for the next job. Dropping a future cancels its request.
    for worker in workers {
        worker.abort();
    }
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), JOBS, "each job once");
    client.v2().delete_tree(QUEUE).await?;
    Ok(())
}

/// Takes the oldest job, or waits for one.
///
/// A job is done at most once: if its worker dies, it is lost. For at least once, leave the job in the queue, claim it
/// with `Create::new("/claims/…", me).ttl(…)`, and delete it when it is done.
async fn take(client: &Client<ReqwestTransport>) -> Result<String> {
    loop {
        let list = client.send(Get::new(QUEUE).sorted(true)).await?;
        for job in &list.node.nodes {
            let unchanged = Condition::index_is(job.modified_index);
            match client.v2().compare_and_delete(&job.key, unchanged).await {
                // Of several concurrent deletes, one succeeds.
                Ok(_) => return Ok(job.value.clone().unwrap_or_default()),
                Err(error) if error.is_key_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        // Watches from the index after the listing, so that a job that was added since is not missed.
        let from = list.cluster.etcd_index.unwrap_or(0) + 1;
        let watch = Watch::new(QUEUE).recursive(true).from_index(from);
        if let Some(event) = client.open(watch).next().await {
            event?;
        }
    }
}
