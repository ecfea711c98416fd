use etcd_http::{Client, Outcome, Result};

async fn save(client: &Client, value: &str) -> Result<()> {
    match client.v3().kv().put("report", value).await {
        Ok(_) => println!("saved"),
        Err(error) if error.outcome() == Outcome::Unknown => {
            println!("read the key to know whether it is: {error}");
        }
        Err(error) if error.is_no_space() => {
            println!("not saved, the store is full: {error}");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
