//! Users and roles: root creates a user that may read one part of the keys and write another.
//!
//! Enables authentication, and disables it at the end: run it against a disposable server.
//!
//! ```text
//! cargo run --example v3_auth --features reqwest,server
//! ```

mod common;

use std::error::Error;

use etcd_http::{
    Client,
    reqwest::ReqwestTransport,
    v3::{KeyRange, Permission},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let etcd = common::etcd()?;
    let client = |user: &str, password: &str| {
        Client::builder(ReqwestTransport::default())
            .endpoints([&etcd.url])
            .v3_auth(user, password)
            .build()
    };

    // While authentication is disabled, a client with a user works like one without.
    let root = client("root", "root's password")?;
    let auth = root.v3();
    let auth = auth.auth();
    auth.add_user("root", "root's password").await?;
    auth.add_role("root").await?;
    auth.grant_role("root", "root").await?;
    auth.enable().await?;

    auth.add_role("worker").await?;
    let reads = Permission::read(KeyRange::prefix("config/"));
    auth.grant_permission("worker", reads).await?;
    let writes = Permission::read_write(KeyRange::prefix("results/"));
    auth.grant_permission("worker", writes).await?;
    auth.add_user("ada", "ada's password").await?;
    auth.grant_role("ada", "worker").await?;
    root.v3().kv().put("config/color", "red").await?;

    // Its token is fetched with the first call, and renewed when etcd no longer accepts it.
    let ada = client("ada", "ada's password")?;
    let color = ada
        .v3()
        .kv()
        .get("config/color")
        .await?
        .ok_or("there is one")?;
    println!("ada reads {}", color.value_str()?);
    ada.v3().kv().put("results/1", "42").await?;
    println!("ada writes her results");
    match ada.v3().kv().put("config/color", "blue").await {
        Err(error) if error.is_permission_denied() => {
            println!("ada is not allowed to write there: {error}");
        }
        other => return Err(format!("unexpected: {other:?}").into()),
    }
    match client("ada", "a guess")?
        .v3()
        .kv()
        .get("config/color")
        .await
    {
        Err(error) if error.is_unauthorized() => println!("a wrong password is rejected: {error}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }

    auth.disable().await?;
    auth.delete_user("ada").await?;
    auth.delete_user("root").await?;
    for role in auth.list_roles().await? {
        auth.delete_role(role).await?;
    }
    Ok(())
}
