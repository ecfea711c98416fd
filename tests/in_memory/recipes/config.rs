//! Settings: defaults, what does not fit, and faults.

use std::pin::pin;

use etcd_http::{
    Client,
    fake::{FakeEtcd, Fault, When},
    recipes::{Config, ConfigChange, ConfigDriver, RecipeError},
    transport::Transport,
    v3::{Put, Txn},
};
use futures::{
    StreamExt,
    future::{Either, join, select},
    stream::BoxStream,
};
use serde::{Deserialize, Serialize};

use crate::support::{block_on, client, jumping, misfortunes, seconds};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    name: String,
    port: u16,
    limits: Limits,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Limits {
    low: u32,
    high: u32,
}

/// Whose low limit may not be above the high one.
fn config(client: &Client<FakeEtcd>) -> (Config<Settings>, ConfigDriver) {
    let defaults = Settings {
        name: "web".to_owned(),
        port: 80,
        limits: Limits { low: 1, high: 9 },
    };
    let check = |settings: &Settings| {
        if settings.limits.low > settings.limits.high {
            return Err("the low limit is above the high one");
        }
        Ok(())
    };
    Config::new(client.v3(), "config/web", defaults, check)
}

/// The next change, in a line.
async fn next(changes: &mut BoxStream<'_, ConfigChange<Settings>>) -> String {
    let line = |settings: &Settings| {
        let Limits { low, high } = settings.limits;
        format!("{} {} {low}-{high}", settings.name, settings.port)
    };
    match changes.next().await.unwrap() {
        ConfigChange::Changed { old, new } => format!("{} > {}", line(&old), line(&new)),
        ConfigChange::Rejected(invalid) => invalid.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_change_with_their_keys_and_the_last_valid_ones_stay() {
    let etcd = jumping().build();
    let client = client(&etcd);
    etcd.put("config/web/port", "8080");
    etcd.put("config/webserver/port", "1");
    let (config, driver) = config(&client);
    assert_eq!(config.get().port, 80);
    block_on(config.run(driver, async {
        assert_eq!(config.ready().await.unwrap().port, 8080);
        let mut changes = config.changes();
        etcd.put("config/web/name", "42");
        assert_eq!(next(&mut changes).await, "web 8080 1-9 > 42 8080 1-9");
        let revision = etcd.put("config/web/port", "many");
        assert_eq!(
            next(&mut changes).await,
            format!(
                "the settings at revision {revision} are rejected, because of the key b\"config/web/port\": \
                 invalid type: string \"many\", expected u16"
            )
        );
        assert_eq!(config.get().port, 8080);
        let again = config.ready().await.unwrap_err();
        assert!(matches!(again, RecipeError::InvalidConfig(_)), "{again}");
        // None of the settings changes while one is rejected.
        let revision = etcd.put("config/web/name", "other");
        assert!(next(&mut changes).await.contains(&format!("revision {revision} ")));
        assert_eq!(config.get().name, "42");
        let txn = Txn::new()
            .then(Put::new("config/web/port", "81"))
            .then(Put::new("config/web/limits/low", "20"))
            .then(Put::new("config/web/limits/high", "30"));
        client.send(txn).await.unwrap();
        assert_eq!(next(&mut changes).await, "42 8080 1-9 > other 81 20-30");
        assert!(config.rejected().is_none());
        // Without the key, the default counts, which the check refuses.
        client.v3().kv().delete("config/web/limits/high").await.unwrap();
        let rejected = next(&mut changes).await;
        assert!(rejected.ends_with("are rejected: the low limit is above the high one"), "{rejected}");
        client.v3().kv().delete("config/web/limits/low").await.unwrap();
        assert_eq!(next(&mut changes).await, "other 81 20-30 > other 81 1-9");
        // No field of the settings.
        etcd.put("config/web/unknown", "1");
        etcd.put("config/web/port", " 81 ");
        etcd.put("config/web/port", "82");
        assert_eq!(next(&mut changes).await, "other 81 1-9 > other 82 1-9");
    }));
}

#[test]
fn settings_survive_every_fault_and_a_compaction() {
    for misfortune in misfortunes() {
        for path in ["/v3/kv/range", "/v3/watch"] {
            let etcd = jumping().build();
            let client = client(&etcd);
            etcd.inject(When::any().path(path).once(), misfortune.fault.clone());
            let (config, driver) = config(&client);
            let work = async {
                config.ready().await.unwrap();
                etcd.restart();
                etcd.inject(
                    When::any().path("/v3/watch").once(),
                    Fault::before(FakeEtcd::compact),
                );
                etcd.put("config/web/port", "81");
                etcd.put("config/web/port", "82");
                let mut changes = config.changes();
                while config.get().port != 82 {
                    changes.next().await.unwrap();
                }
            };
            let limit = etcd.sleep(seconds(120));
            let run = pin!(config.run(driver, work));
            let is_done = matches!(block_on(select(run, limit)), Either::Left(_));
            assert!(
                is_done,
                "{} of {path}: {}",
                misfortune.name,
                etcd.log_text()
            );
        }
    }
}

#[test]
fn a_driver_ends_with_the_last_handle_and_waits_end_with_the_driver() {
    let etcd = jumping().build();
    let client = client(&etcd);
    let (config, driver) = config(&client);
    let drop_it = async {
        config.ready().await.unwrap();
        drop(config);
    };
    block_on(join(driver, drop_it));
    assert_eq!(etcd.watches().len(), 0);

    let (config, driver) = self::config(&client);
    let mut changes = config.changes();
    drop(driver);
    let error = block_on(config.ready()).unwrap_err();
    assert!(matches!(error, RecipeError::DriverEnded), "{error}");
    assert!(block_on(changes.next()).is_none());
}
