//! Settings.

use etcd_http::{
    recipes::{Config, ConfigChange, RecipeError},
    transport::Transport,
    v3::{Put, Txn},
};
use futures::StreamExt;
use harness::{case::Etcd, cases_and_grpc};
use serde::{Deserialize, Serialize};

use crate::namespace;

cases_and_grpc! {
    any {
        Shared {
            settings_change_together_and_the_last_valid_ones_stay,
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    name: String,
    port: u16,
}

async fn settings_change_together_and_the_last_valid_ones_stay<T: Transport>(etcd: Etcd<T>) {
    let keys = namespace(&etcd);
    let settings = |name: &str, port| Settings {
        name: name.to_owned(),
        port,
    };
    let check = |settings: &Settings| match settings.port {
        0 => Err("a port is not 0"),
        _ => Ok(()),
    };
    keys.kv().put("config/port", "0").await.unwrap();
    let (config, driver) = Config::new(&keys, "config", settings("web", 80), check);
    let work = async {
        let error = config.ready().await.unwrap_err();
        assert!(matches!(error, RecipeError::InvalidConfig(_)), "{error}");
        assert_eq!(*config.get(), settings("web", 80));
        let mut changes = config.changes();
        let txn = Txn::new()
            .then(Put::new("config/name", "other"))
            .then(Put::new("config/port", "81"));
        keys.send(txn).await.unwrap();
        match changes.next().await {
            Some(ConfigChange::Changed { old, new }) => {
                assert_eq!(
                    (&*old, &*new),
                    (&settings("web", 80), &settings("other", 81))
                );
            }
            other => panic!("{other:?}"),
        }
        keys.kv().put("config/port", "many").await.unwrap();
        match changes.next().await {
            Some(ConfigChange::Rejected(invalid)) => {
                assert_eq!(invalid.key.as_deref(), Some(&b"config/port"[..]));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(*config.get(), settings("other", 81));
        keys.kv().delete("config/port").await.unwrap();
        changes.next().await.unwrap();
        assert_eq!(*config.ready().await.unwrap(), settings("other", 80));
    };
    config.run(driver, work).await;
}
