//! The v2 API under faults: no acknowledged write is missing, none was applied twice, every watcher received every
//! event once, and registers were linearizable.

mod journal;
mod load;
mod verdict;
mod watchers;

use std::{sync::Arc, time::Duration};

use etcd_http::v2::Get;

use self::{journal::Journal, watchers::Watchers};
use crate::{Scenario, Trusting, Verdict};

/// How long a request may be held by a halted server, which processes it soon after it resumes.
const SETTLE: Duration = Duration::from_secs(8);

pub(crate) async fn run<T: Trusting + Default>(scenario: &Scenario) -> Verdict {
    let clients = scenario.clients::<T>();
    let journal = Arc::new(Journal::new());
    let start = clients[0].v2().set("/chaos/start", "start").await.unwrap();
    let watchers = Watchers::start(&clients, start.index() + 1);
    let load = load::start(&clients, &journal, scenario.duration, scenario.seed);

    let faults = scenario.inject_faults();
    load.finish().await;
    tokio::time::sleep(SETTLE).await;

    let end = watchers::mark_the_end(&clients[0]).await;
    let watched = watchers.finish(end).await;
    let all = Get::new("/chaos").recursive(true).quorum(true);
    let tree = clients[0].send(all).await.unwrap().node;
    let report = verdict::check(
        &journal,
        &watched,
        &tree,
        start.index(),
        end,
        faults.restarts(),
    );
    Verdict {
        figures: format!("{}{report}", journal.figures()),
        faults,
        problems: report.problems,
    }
}
