//! Unit tests of code with typed settings: no server, no port, no waiting. `main` prints the settings of a store with a typing
//! error; the tests are at the end.
//!
//! ```text
//! cargo run --example typed_config_tests --features fake
//! cargo test --example typed_config_tests --features fake
//! ```

use std::error::Error;

use etcd_http::{
    Client,
    fake::FakeEtcd,
    recipes::{Config, ConfigDriver},
    transport::Transport,
};
use futures::executor::block_on;
use serde::{Deserialize, Serialize};

/// What the program can be told: `mailer/sender`, `mailer/batch`, `mailer/paused`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mailer {
    sender: String,
    batch: usize,
    paused: bool,
}

impl Default for Mailer {
    fn default() -> Self {
        Self {
            sender: "noreply@example.com".to_owned(),
            batch: 50,
            paused: false,
        }
    }
}

impl Mailer {
    fn check(&self) -> Result<(), String> {
        if !self.sender.contains('@') {
            return Err(format!("{:?} is not an address", self.sender));
        }
        Ok(())
    }

    /// What the settings decide: how many of the waiting messages are sent now.
    fn due(&self, waiting: usize) -> usize {
        if self.paused {
            0
        } else {
            waiting.min(self.batch)
        }
    }
}

/// Generic over the transport: reqwest in production, the fake in tests.
fn settings<T: Transport>(client: &Client<T>) -> (Config<Mailer>, ConfigDriver) {
    Config::new(client.v3(), "mailer", Mailer::default(), Mailer::check)
}

fn main() -> Result<(), Box<dyn Error>> {
    let etcd = FakeEtcd::new();
    etcd.put("mailer/batch", "7");
    etcd.put("mailer/paused", "ture");
    let client = Client::new(etcd.clone(), etcd.endpoints())?;
    let (config, driver) = settings(&client);
    block_on(config.run(driver, async {
        if let Err(error) = config.ready().await {
            println!("{error}");
        }
        let mailer = config.get();
        println!(
            "goes on with {mailer:?}: {} of 100 messages are due",
            mailer.due(100)
        );
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etcd_http::{
        fake::{Clock, Fault, When},
        recipes::ConfigChange,
    };
    use futures::StreamExt;

    use super::*;

    fn etcd() -> FakeEtcd {
        let grace = Duration::ZERO;
        FakeEtcd::builder().clock(Clock::Auto { grace }).build()
    }

    /// Runs a test with the settings of this store.
    fn with_settings(etcd: &FakeEtcd, test: impl AsyncFnOnce(&Config<Mailer>)) {
        let client = Client::new(etcd.clone(), etcd.endpoints()).unwrap();
        let (config, driver) = settings(&client);
        block_on(config.run(driver, test(&config)));
    }

    /// What needs no store needs no fake.
    #[test]
    fn a_paused_mailer_sends_nothing() {
        let mut mailer = Mailer::default();
        assert_eq!((mailer.due(7), mailer.due(99)), (7, 50));
        mailer.paused = true;
        assert_eq!(mailer.due(7), 0);
    }

    #[test]
    fn keys_that_are_missing_have_their_defaults() {
        let etcd = etcd();
        etcd.put("mailer/batch", "7");
        with_settings(&etcd, async |config| {
            let expected = Mailer {
                batch: 7,
                ..Mailer::default()
            };
            assert_eq!(*config.ready().await.unwrap(), expected);
        });
    }

    #[test]
    fn a_wrong_sender_is_rejected_and_the_last_one_stays() {
        let etcd = etcd();
        with_settings(&etcd, async |config| {
            config.ready().await.unwrap();
            let mut changes = config.changes();
            etcd.put("mailer/sender", "nobody");
            let Some(ConfigChange::Rejected(invalid)) = changes.next().await else {
                panic!("it was not rejected");
            };
            let reason = r#"rejected: "nobody" is not an address"#;
            assert!(invalid.to_string().ends_with(reason), "{invalid}");
            assert_eq!(*config.get(), Mailer::default());
        });
    }

    /// An hour takes a millisecond.
    #[test]
    fn settings_outlive_an_outage_of_an_hour_and_tell_their_age() {
        let etcd = etcd();
        etcd.put("mailer/paused", "true");
        with_settings(&etcd, async |config| {
            config.ready().await.unwrap();
            etcd.inject(When::any(), Fault::silence());
            etcd.sleep(Duration::from_secs(3600)).await;
            assert!(config.get().paused);
            assert!(config.last_heard().unwrap() > Duration::from_secs(3500));
            etcd.clear_faults();
            etcd.put("mailer/paused", "false");
            let mut changes = config.changes();
            assert!(matches!(
                changes.next().await,
                Some(ConfigChange::Changed { .. })
            ));
            assert!(!config.get().paused);
        });
    }
}
