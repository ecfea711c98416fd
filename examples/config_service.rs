//! A service whose settings change while it runs: typed, checked, with defaults, and without a restart. A typing error leaves the
//! last valid ones. `typed_config_tests` tests such a service.
//!
//! ```text
//! cargo run --example config_service --features fake
//! ```

use std::{error::Error, time::Duration};

use etcd_http::{
    Client,
    fake::{Clock, FakeEtcd},
    recipes::{Config, ConfigChange, RecipeError},
    transport::Transport,
};
use futures::{StreamExt, executor::block_on, future::join};
use serde::{Deserialize, Serialize};

/// Each field is a key: `config/greeter/greeting`, `config/greeter/limits/rate`.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    greeting: String,
    limits: Limits,
}

#[derive(Debug, Serialize, Deserialize)]
struct Limits {
    rate: u32,
}

fn defaults() -> Settings {
    Settings {
        greeting: "hello".to_owned(),
        limits: Limits { rate: 10 },
    }
}

fn check(settings: &Settings) -> Result<(), &'static str> {
    match settings.limits.rate {
        0 => Err("nothing would be served at a rate of 0"),
        _ => Ok(()),
    }
}

/// Answers requests with the present settings, each in no time.
async fn serve(etcd: &FakeEtcd, config: &Config<Settings>) {
    for request in 1..=5 {
        let settings = config.get();
        println!(
            "request {request}: {}, at most {}/s",
            settings.greeting, settings.limits.rate
        );
        etcd.sleep(Duration::from_secs(10)).await;
    }
}

/// Logs what operators change.
async fn log(config: &Config<Settings>, changes: usize) {
    let changes = config.changes().take(changes);
    changes
        .for_each(async |change| match change {
            ConfigChange::Changed { new, .. } => println!("now {new:?}"),
            ConfigChange::Rejected(invalid) => println!("{invalid}"),
            other => println!("{other:?}"),
        })
        .await;
}

/// Changes keys, as `etcdctl put` does.
async fn operate(etcd: &FakeEtcd) {
    for (key, value) in [
        ("greeting", "good morning"),
        ("limits/rate", "1O0"),
        ("limits/rate", "100"),
        ("limits/rate", "0"),
    ] {
        etcd.sleep(Duration::from_secs(10)).await;
        etcd.put(format!("config/greeter/{key}"), value);
    }
}

async fn run(etcd: &FakeEtcd) -> Result<(), RecipeError> {
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (config, driver) = Config::new(client.v3(), "config/greeter", defaults(), check);
    let work = async {
        // A service that must not start with defaults waits for the first read.
        config.ready().await?;
        join(serve(etcd, &config), join(log(&config, 4), operate(etcd))).await;
        let settings = config.get();
        assert_eq!(
            (&settings.greeting[..], settings.limits.rate),
            ("good morning", 100)
        );
        Ok(())
    };
    // With tokio: `tokio::spawn(driver)`.
    config.run(driver, work).await
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::Auto {
        grace: Duration::ZERO,
    };
    let etcd = FakeEtcd::builder().clock(clock).build();
    block_on(run(&etcd))?;
    Ok(())
}
