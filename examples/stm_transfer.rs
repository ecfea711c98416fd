//! Transfers between accounts, by four tellers at once, while responses are lost: no money is lost or made.
//!
//! ```text
//! cargo run --example stm_transfer --features fake
//! ```

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd, Fault, When},
    recipes::{RecipeError, Session, Stm},
};
use futures::{executor::block_on, future::try_join_all};

const ACCOUNTS: [&str; 3] = ["accounts/ada", "accounts/brian", "accounts/carol"];

/// Moves some money, if it is there.
async fn transfer(
    stm: &Stm<FakeEtcd>,
    from: &str,
    to: &str,
    amount: i64,
) -> Result<u32, RecipeError> {
    let moved = stm
        .run(async |txn| {
            let source: i64 = txn.get_parsed(from).await?.unwrap_or(0);
            let target: i64 = txn.get_parsed(to).await?.unwrap_or(0);
            if source < amount {
                return Err(RecipeError::abort("not enough"));
            }
            txn.put(from, (source - amount).to_string());
            txn.put(to, (target + amount).to_string());
            Ok(())
        })
        .await?;
    Ok(moved.tries)
}

async fn teller(etcd: &FakeEtcd, number: usize) -> Result<u32, RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (session, driver) = Session::open(client.v3(), Duration::from_secs(30)).await?;
    let stm = Stm::new(client.v3()).exactly_once(&session);
    let work = async {
        let mut tries = 0;
        for round in 0..5 {
            let from = ACCOUNTS[(number + round) % 3];
            let to = ACCOUNTS[(number + round + 1) % 3];
            match transfer(&stm, from, to, 30).await {
                Ok(taken) => tries += taken,
                Err(RecipeError::Aborted(reason)) => println!("{from}: {reason}"),
                Err(error) => return Err(error),
            }
        }
        Ok(tries)
    };
    session.run(driver, work).await
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    block_on(try_join_all(
        ACCOUNTS.map(|account| client.v3().kv().put(account, "100")),
    ))?;
    etcd.inject(
        When::any().path("/v3/kv/txn").every(5),
        Fault::break_after(),
    );

    let tries = block_on(try_join_all((0..4).map(|number| teller(&etcd, number))))?;
    println!("tries: {tries:?}");
    let mut sum = 0;
    for account in etcd.get_prefix("accounts/") {
        let balance = String::from_utf8(account.value.to_vec())?;
        println!("{}: {balance}", String::from_utf8_lossy(&account.key));
        sum += balance.parse::<i64>()?;
    }
    assert_eq!(sum, 300);
    Ok(())
}
