//! Observers of the election, up to a last leader.

use std::time::Duration;

use etcd_http::{
    Client,
    transport::Transport,
    v3::{Campaign, KeyValue, Observe},
};
use futures::StreamExt;
use tokio::task::JoinHandle;

use super::elections::NAME;

/// What the last leader proclaims.
const LAST: &str = "the last";

/// How long an observer may take to deliver the last leader.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A leader, as a response or an observer showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) key: String,
    pub(crate) token: i64,
    pub(crate) revision: i64,
    pub(crate) value: String,
}

impl From<KeyValue> for Shown {
    fn from(leader: KeyValue) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            key: text(&leader.key),
            token: leader.create_revision,
            revision: leader.mod_revision,
            value: text(&leader.value),
        }
    }
}

/// Observes the election over each client, up to the last leader.
pub(crate) fn observe<T: Transport>(clients: &[Client<T>]) -> Vec<JoinHandle<Vec<Shown>>> {
    let observe = |client: &Client<T>| {
        let silence = Duration::from_secs(1);
        let mut leaders = client.open(Observe::new(NAME).silence_limit(silence));
        tokio::spawn(async move {
            let mut shown = Vec::new();
            while let Some(leader) = leaders.next().await {
                let leader = Shown::from(leader.unwrap());
                let is_last = leader.value == LAST;
                shown.push(leader);
                if is_last {
                    break;
                }
            }
            shown
        })
    };
    clients.iter().map(observe).collect()
}

/// Elects the last leader.
pub(crate) async fn end<T: Transport>(client: &Client<T>) {
    let lease = client.v3().leases().grant(TIME_LIMIT).await.unwrap();
    let last = Campaign::new(NAME, lease.id, LAST).time_limit(TIME_LIMIT);
    client.send(last).await.unwrap();
}

/// Returns what they were shown.
pub(crate) async fn finish(observers: Vec<JoinHandle<Vec<Shown>>>) -> Vec<Vec<Shown>> {
    let mut all = Vec::new();
    for observer in observers {
        let shown = tokio::time::timeout(TIME_LIMIT, observer).await;
        all.push(
            shown
                .expect("an observer waits for the last leader")
                .unwrap(),
        );
    }
    all
}
