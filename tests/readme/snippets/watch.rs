use etcd_http::{
    Client, Result,
    v3::{EventKind, KeyRange, Range, Watch},
};
use futures::TryStreamExt;

async fn follow(client: &Client) -> Result<()> {
    // Read, then watch what comes after: no event is missed.
    let jobs = KeyRange::prefix("jobs/");
    let now = client.send(Range::new(jobs.clone())).await?;
    println!("{} jobs", now.kvs.len());

    let watch = Watch::new(jobs).after_revision(now.header.revision);
    let mut changes = client.open(watch);
    while let Some(changes) = changes.try_next().await? {
        for event in &changes.events {
            println!("{:?} {:?}", event.kind, event.key());
            if event.kind == EventKind::Delete {
                return Ok(()); // Dropping the stream ends the request.
            }
        }
    }
    Ok(())
}
