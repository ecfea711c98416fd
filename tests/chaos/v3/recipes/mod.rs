//! The recipes under faults. Mutexes and elections have the keys of etcd's own locks and elections, and sessions are leases: their
//! guarantees are checked as in [`locks`](super::locks), [`elections`](super::elections) and [`leases`](super::leases). Those
//! of queues, claims, followers of elections, transactions and controllers are listed and checked in [`queues`], [`claims`],
//! [`followers`], [`transfers`] and [`controllers`].

mod claims;
mod controllers;
mod followers;
mod holders;
mod queues;
mod sessions;
mod transfers;

use std::{
    fmt,
    time::{Duration, Instant},
};

use etcd_http::{
    Outcome,
    recipes::{RecipeError, Session},
    transport::Transport,
    v3::Namespace,
};
use tokio::task::JoinHandle;

use super::{
    Task,
    history::{History, Times},
    journal::{Journal, Reported},
    leases,
    observers::Shown,
    run_load,
};
use crate::{Scenario, Trusting, Verdict};

pub(crate) async fn run<T: Trusting + Default>(scenario: &Scenario) -> Verdict {
    run_load::<T>(scenario, start).await
}

fn start<T: Transport>(task: &dyn Fn(&str) -> Task<T>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(task("short").hold_session(leases::SHORT)),
        tokio::spawn(task("long").hold_session(leases::LONG)),
        tokio::spawn(task("lock").use_mutexes()),
        tokio::spawn(task("rival").use_mutexes()),
        tokio::spawn(task("candidate").use_elections()),
        tokio::spawn(task("voter").ask()),
        tokio::spawn(task("follower").follow()),
        tokio::spawn(task("poster").post()),
        tokio::spawn(task("worker").work()),
        tokio::spawn(task("hand").work()),
        tokio::spawn(task("producer").produce()),
        tokio::spawn(task("consumer").consume()),
        tokio::spawn(task("bank").transfer()),
        tokio::spawn(task("till").transfer()),
        tokio::spawn(task("wisher").wish()),
        tokio::spawn(task("controller").control()),
    ]
}

/// What the callers of queues and transactions know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    queue: queues::Record,
    jobs: claims::Record,
    followed: Vec<Vec<Shown>>,
    commits: Vec<transfers::Commit>,
    controllers: controllers::Record,
}

/// Figures of the recipes, if any were used.
#[derive(Debug)]
pub(crate) struct Figures(Option<String>);

pub(crate) fn check(
    journal: &Journal,
    history: &History,
    times: &Times,
    explains: impl Fn(Instant, Instant) -> bool,
) -> (Figures, Vec<String>) {
    let Records {
        queue,
        jobs,
        followed,
        commits,
        controllers,
    } = journal.records();
    if commits.is_empty() {
        return (Figures(None), Vec::new());
    }
    let (of_queue, mut problems) = queues::check(&queue, history);
    let (of_jobs, more) = claims::check(&jobs, history);
    problems.extend(more);
    let (of_followers, more) = followers::check(&followed, history);
    problems.extend(more);
    let (of_transfers, more) = transfers::check(&commits, history);
    problems.extend(more);
    let (of_controllers, more) = controllers::check(&controllers, history, times, explains);
    problems.extend(more);
    let figures = format!("{of_queue}{of_jobs}{of_followers}{of_transfers}{of_controllers}");
    (Figures(Some(figures)), problems)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(figures) => f.write_str(figures),
            None => Ok(()),
        }
    }
}

impl<T: Transport> Task<T> {
    /// Opens a session, whose driver runs until the session ends.
    async fn session(&self, ttl: Duration) -> Option<(Session<T>, JoinHandle<()>)> {
        self.session_in(self.client.v3(), ttl).await
    }

    async fn session_in(
        &self,
        within: impl Into<Namespace<T>>,
        ttl: Duration,
    ) -> Option<(Session<T>, JoinHandle<()>)> {
        let opened = Session::open(within, ttl).await;
        self.journal.count_recipe("session", &opened);
        let (session, driver) = opened.ok()?;
        Some((session, tokio::spawn(driver)))
    }

    /// Ends a session in one of two ways. Nothing of it is left then, or its lease ends by itself.
    async fn end_session(&mut self, session: Session<T>, driver: JoinHandle<()>) {
        if self.random.bool() {
            let closed = session.close().await;
            self.journal.count_recipe("close", &closed);
        }
        drop(session);
        driver.await.unwrap();
    }
}

/// What the caller of a recipe knows about a write.
fn reported(result: &Result<i64, RecipeError>) -> Reported {
    match result {
        Ok(revision) => Reported::Done(*revision),
        Err(RecipeError::Client(error)) if error.outcome() != Outcome::Unknown => Reported::NotDone,
        Err(RecipeError::Conflict { .. }) => Reported::NotDone,
        Err(_) => Reported::Unknown,
    }
}
