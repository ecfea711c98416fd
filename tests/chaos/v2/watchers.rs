//! Watchers of all keys, up to a last write.

use std::time::{Duration, Instant};

use etcd_http::{
    Client,
    transport::Transport,
    v2::{Event, Watch},
};
use futures::StreamExt;
use tokio::{sync::watch, task::JoinHandle};

use super::load::COUNTERS;

/// How long a watcher may take to receive the last event.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Running watchers.
pub(crate) struct Watchers {
    tasks: Vec<JoinHandle<Watched>>,
    end: watch::Sender<u64>,
}

/// What one watcher has received.
pub(crate) struct Watched {
    pub(crate) name: String,
    /// The watched key; `None` is all of them.
    pub(crate) key: Option<String>,
    pub(crate) events: Vec<Event>,
    /// Why it ended before the end.
    pub(crate) failure: Option<String>,
    pub(crate) longest_silence: Duration,
}

impl Watchers {
    /// Watches all keys, and each counter by itself, over each client from this index on.
    pub(crate) fn start<T: Transport>(clients: &[Client<T>], from: u64) -> Self {
        let (end, until) = watch::channel(u64::MAX);
        let mut tasks = Vec::new();
        for (number, client) in clients.iter().enumerate() {
            let keys = COUNTERS.iter().map(|key| Some((*key).to_owned()));
            for key in keys.chain([None]) {
                let watch = match &key {
                    Some(key) => Watch::new(key),
                    None => Watch::new("/chaos").recursive(true),
                };
                let name = format!(
                    "watcher {number} of {}",
                    key.as_deref().unwrap_or("everything")
                );
                let watch = watch.from_index(from);
                let watcher = watch_until(client.clone(), watch, name, key, until.clone());
                tasks.push(tokio::spawn(watcher));
            }
        }
        Self { tasks, end }
    }

    /// Returns what they have received, up to this index.
    pub(crate) async fn finish(self, end: u64) -> Vec<Watched> {
        self.end.send_replace(end);
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap());
        }
        all
    }
}

/// Writes to every watched key. Returns the index of the first of these writes.
pub(crate) async fn mark_the_end<T: Transport>(client: &Client<T>) -> u64 {
    let first = client.v2().set("/chaos/end", "end").await.unwrap().index();
    for key in COUNTERS {
        client.v2().set(key, "end").await.unwrap();
    }
    first
}

/// Watches until an event at or after the end, which is not included.
async fn watch_until<T: Transport>(
    client: Client<T>,
    watch: Watch,
    name: String,
    key: Option<String>,
    mut until: watch::Receiver<u64>,
) -> Watched {
    let mut watched = Watched {
        name,
        key,
        events: Vec::new(),
        failure: None,
        longest_silence: Duration::ZERO,
    };
    let mut stream = client.open(watch);
    let mut last = Instant::now();
    loop {
        let time_limit = async {
            let _ = until.wait_for(|end| *end != u64::MAX).await;
            tokio::time::sleep(TIME_LIMIT).await;
        };
        let next = tokio::select! {
            next = stream.next() => next.map(|next| next.map_err(|error| error.to_string())),
            () = time_limit => Some(Err("the last events did not arrive".to_owned())),
        };
        match next {
            Some(Ok(event)) if event.node.value.as_deref() == Some("end") => break,
            Some(Ok(event)) => {
                watched.longest_silence = watched.longest_silence.max(last.elapsed());
                last = Instant::now();
                watched.events.push(event);
            }
            Some(Err(error)) => {
                watched.failure = Some(error);
                break;
            }
            None => {
                watched.failure = Some("the stream ended".to_owned());
                break;
            }
        }
    }
    watched
}
