//! Mutexes and elections: see [`locks`](crate::v3::locks) and [`elections`](crate::v3::elections).

use std::time::Instant;

use etcd_http::{
    recipes::{Election, Held, Leadership, Mutex, RecipeError, Session},
    transport::Transport,
};

use super::reported;
use crate::v3::{
    Task, elections,
    holding::Holding,
    journal::{Reported, Write},
    locks,
};

/// How often a session is used for a mutex or an election.
const TURNS: usize = 3;

impl<T: Transport> Task<T> {
    /// Locks a mutex repeatedly, and releases it in every way, or stops waiting for it.
    pub(super) async fn use_mutexes(mut self) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(locks::TTL).await else {
                continue;
            };
            let mutex = Mutex::new(&session, locks::NAME);
            for _ in 0..TURNS {
                let limit = self.between(1_000, 20_000);
                let locked = match self.random.u8(0..8) {
                    0 => mutex.try_lock().await,
                    _ => mutex.lock_within(limit).await.map(Some),
                };
                self.journal.count_recipe("mutex", &locked);
                match locked {
                    Ok(Some(held)) => self.hold_mutex(held).await,
                    Ok(None) => {}
                    Err(error) => self.explain_loss(&session, &error),
                }
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            drop(mutex);
            self.end_session(session, driver).await;
        }
    }

    /// Holds the mutex for a while, and writes the protected key.
    async fn hold_mutex(&mut self, held: Held<T>) {
        let mut holding = self.holding(&held);
        let enough = holding.from + self.between(100, 2_000);
        let work = async {
            while holding.is_known(|| held.is_held()) && !self.is_over() && Instant::now() < enough
            {
                if self.write_guarded(&holding).await == Some(false) {
                    return false;
                }
                let pause = self.between(5, 50);
                self.sleep(pause).await;
            }
            holding.is_known(|| held.is_held());
            true
        };
        let done = held.run(work).await;
        self.journal.count_recipe("work with the mutex", &done);
        self.journal.lock(holding);
        match done {
            Ok(true) => {}
            Ok(false) => self.explain_refusal(&held),
            Err(error) => self.explain_loss(held.session(), &error),
        }
        if self.random.u8(0..4) > 0 {
            let released = held.release().await;
            self.journal.count_recipe("release", &released);
        }
    }

    /// Is elected repeatedly, and ends its leadership in every way, or withdraws its candidacy.
    pub(super) async fn use_elections(mut self) {
        while self.goes_on().await {
            let Some((session, driver)) = self.session(elections::TTL).await else {
                continue;
            };
            let election = Election::new(&session, elections::NAME);
            for _ in 0..TURNS {
                let limit = self.between(2_000, 20_000);
                let elected = election.campaign_within(limit, self.unique()).await;
                self.journal.count_recipe("campaign", &elected);
                match elected {
                    Ok(leadership) => self.lead(leadership).await,
                    Err(error) => self.explain_loss(&session, &error),
                }
                if !session.is_alive() || !self.goes_on().await {
                    break;
                }
            }
            drop(election);
            self.end_session(session, driver).await;
        }
    }

    /// Leads for a while, and proclaims.
    async fn lead(&mut self, mut leadership: Leadership<T>) {
        let mut holding = self.holding(&leadership);
        let enough = holding.from + self.between(100, 2_000);
        while holding.is_known(|| leadership.is_held())
            && !self.is_over()
            && Instant::now() < enough
        {
            let value = self.unique();
            let proclaimed = leadership.proclaim(&*value).await;
            self.journal.count_recipe("proclaim", &proclaimed);
            self.journal.write_of_recipe(Write {
                operation: "proclaim",
                key: holding.key.clone(),
                value,
                reported: match reported(&proclaimed) {
                    // An earlier request may have been applied.
                    Reported::NotDone => Reported::Unknown,
                    reported => reported,
                },
            });
            if let Err(error) = proclaimed {
                self.explain_loss(leadership.session(), &error);
                break;
            }
            let pause = self.between(10, 200);
            self.sleep(pause).await;
        }
        holding.is_known(|| leadership.is_held());
        self.journal.election(holding);
        if self.random.u8(0..4) > 0 {
            let resigned = leadership.resign().await;
            self.journal.count_recipe("resign", &resigned);
        }
    }

    fn holding(&self, held: &Held<T>) -> Holding {
        let now = Instant::now();
        Holding {
            who: self.name.clone(),
            key: String::from_utf8(held.key().to_vec()).unwrap(),
            token: held.fencing_token(),
            from: now,
            until: now,
        }
    }

    /// The key was deleted, which is correct if the session is lost.
    fn explain_loss(&self, session: &Session<T>, error: &RecipeError) {
        if let RecipeError::KeyDeleted { key } = error
            && session.is_alive()
        {
            self.journal.ended_early(key, error.to_string());
        }
    }

    /// A transaction that compares the key was refused, which is correct if the session is lost.
    fn explain_refusal(&self, held: &Held<T>) {
        if held.is_held() {
            let what = format!("{held:?}: a guarded write was refused");
            self.journal.ended_early(held.key(), what);
        }
    }
}
