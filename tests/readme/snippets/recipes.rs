use etcd_http::{
    Client,
    recipes::{Election, RecipeError, Session},
};
use std::time::Duration;

async fn lead(client: &Client) -> Result<(), RecipeError> {
    let ttl = Duration::from_secs(10);
    // With tokio, `tokio::spawn(driver)` instead of `run`.
    let (session, driver) = Session::open(client.v3(), ttl).await?;
    let election = Election::new(&session, "scheduler");
    let work = election.run_while_leader("10.0.0.7", async |leader| {
        println!("leads, with token {}", leader.fencing_token());
        // Dropped at once when leadership is lost.
    });
    session.run(driver, work).await
}
