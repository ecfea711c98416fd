//! A run of a migration.

use std::{collections::VecDeque, time::Instant};

use etcd_transport::Transport;

use super::{
    Migration,
    item::{Content, Item, is_same_time},
    journal::Journal,
    leases::Leases,
    report::{Note, NoteKind, Progress, Report},
    source::Tree,
    target::{Change, is_request_too_large, is_too_large},
};
use crate::{
    recipes::error::RecipeError,
    v3::{KeyValue, LeaseId},
};

/// How often keys are read again because others have changed them meanwhile.
const MAX_TRIES: u32 = 20;

pub(super) struct Copy<'a, S, T> {
    migration: &'a Migration<S, T>,
    journal: Journal,
    leases: Leases<'a, S, T>,
    items: Vec<Item>,
    report: Report,
}

/// What is to become of a key.
#[derive(Clone, Copy, Debug)]
enum Decision {
    /// It is gone on both sides, or is another client's.
    Nothing,
    Unchanged,
    Expired,
    Note(NoteKind),
    Put(LeaseId),
    Delete,
}

impl<'a, S: Transport, T: Transport> Copy<'a, S, T> {
    pub(super) fn new(
        migration: &'a Migration<S, T>,
        start: Instant,
        journal: Journal,
        tree: Tree,
    ) -> Self {
        let gone = journal
            .copies()
            .filter(|key| !tree.files.contains_key(*key));
        let gone = gone.filter(|key| tree.can_show(key)).map(|key| Item {
            key: key.to_owned(),
            content: None,
        });
        let mut items: Vec<_> = gone.collect();
        items.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let report = Report {
            expired: tree.expired,
            source_index: tree.index,
            notes: tree.notes,
            ..Report::default()
        };
        // What is gone comes last: a key that was renamed is copied before its old name is deleted.
        let files = tree.files.into_iter();
        let files = files.map(|(key, content)| Item {
            key,
            content: Some(content),
        });
        let items = files.chain(items).collect();
        Self {
            migration,
            journal,
            leases: Leases::new(migration, start),
            items,
            report,
        }
    }

    pub(super) async fn run(
        mut self,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<Report, RecipeError> {
        let items = std::mem::take(&mut self.items);
        let mut now = Progress {
            total: items.len(),
            ..Progress::default()
        };
        progress(now);
        let mut batches = self.batches(items);
        while let Some(mut batch) = batches.pop_front() {
            match self.copy(&batch).await {
                Ok(()) => {}
                Err(RecipeError::Client(error)) if batch.len() > 1 && is_too_large(&error) => {
                    let rest = batch.split_off(batch.len() / 2);
                    batches.push_front(rest);
                    batches.push_front(batch);
                    continue;
                }
                Err(RecipeError::Client(error)) if is_request_too_large(&error) => {
                    self.note_too_large(&batch);
                }
                Err(error) => return Err(error),
            }
            now.done += batch.len();
            now.written = self.report.written;
            progress(now);
        }
        self.report.notes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.report)
    }

    /// Distributes the keys over transactions.
    fn batches(&self, items: Vec<Item>) -> VecDeque<Vec<Item>> {
        let settings = &self.migration.settings;
        let prefix = self.migration.target.prefix().len();
        // One operation is the record's.
        let most = settings.max_operations - 1;
        let mut batches = VecDeque::new();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for item in items {
            let size = item.size(prefix);
            let is_full = batch.len() >= most || bytes + size > settings.max_bytes;
            if is_full && !batch.is_empty() {
                batches.push_back(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += size;
            batch.push(item);
        }
        if !batch.is_empty() {
            batches.push_back(batch);
        }
        batches
    }

    /// Brings some keys up to date.
    async fn copy(&mut self, batch: &[Item]) -> Result<(), RecipeError> {
        for _ in 0..MAX_TRIES {
            let states = self.migration.states(batch).await?;
            let mut decisions = Vec::with_capacity(batch.len());
            let mut changes = Vec::new();
            for (item, state) in batch.iter().zip(&states) {
                let decision = self.decide(item, state.as_ref()).await?;
                if let Decision::Put(_) | Decision::Delete = decision {
                    changes.push(Change {
                        item,
                        revision: state.as_ref().map_or(0, |kv| kv.mod_revision),
                        lease: match decision {
                            Decision::Put(lease) => lease,
                            _ => LeaseId::NONE,
                        },
                    });
                }
                decisions.push(decision);
            }
            if changes.is_empty() || self.apply(&changes).await? {
                self.count(batch, &decisions);
                return Ok(());
            }
        }
        Err(RecipeError::Conflict {
            tries: MAX_TRIES,
            keys: batch.iter().map(|item| item.key.clone().into()).collect(),
        })
    }

    /// Returns whether the changes are applied. Otherwise the keys have to be read again.
    async fn apply(&mut self, changes: &[Change<'_>]) -> Result<bool, RecipeError> {
        let migration = self.migration;
        match migration.apply(changes, &mut self.journal).await {
            Ok(Some(_)) => Ok(true),
            Ok(None) => {
                // It may have been another run of this migration.
                self.journal = migration.journal().await?;
                Ok(false)
            }
            Err(RecipeError::Client(error)) if error.is_lease_not_found() => {
                self.leases.forget();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn decide(
        &mut self,
        item: &Item,
        state: Option<&KeyValue>,
    ) -> Result<Decision, RecipeError> {
        let settings = &self.migration.settings;
        let is_copy = state.is_some_and(|kv| self.journal.is_copy(&item.key, kv));
        let Some(content) = &item.content else {
            return Ok(match (is_copy, settings.delete_removed) {
                (true, true) => Decision::Delete,
                (true, false) => Decision::Note(NoteKind::RemovedFromSource),
                (false, _) => Decision::Nothing,
            });
        };
        if content.left(self.now()).is_some_and(|left| left.is_zero()) {
            return Ok(Decision::Expired);
        }
        let conflict = match state {
            None if self.journal.was_to_stay(&item.key) => Some(NoteKind::DeletedInTarget),
            None => None,
            Some(kv) if self.is_same(content, kv).await? => return Ok(Decision::Unchanged),
            Some(_) if is_copy => None,
            Some(_) => Some(NoteKind::ChangedInTarget),
        };
        match conflict {
            Some(kind) if !settings.overwrite => Ok(Decision::Note(kind)),
            _ => Ok(Decision::Put(match content.expires {
                Some(expires) => self.leases.for_expiry(expires).await?,
                None => LeaseId::NONE,
            })),
        }
    }

    /// Whether a key of v3 has this value, and expires when it does.
    async fn is_same(&mut self, content: &Content, kv: &KeyValue) -> Result<bool, RecipeError> {
        if kv.value != content.value {
            return Ok(false);
        }
        let left = self.leases.of_key(kv).await?;
        Ok(match (content.left(self.now()), left) {
            (None, None) => true,
            (Some(expected), Some(left)) => is_same_time(expected, left),
            _ => false,
        })
    }

    fn count(&mut self, batch: &[Item], decisions: &[Decision]) {
        for (item, decision) in batch.iter().zip(decisions) {
            match decision {
                Decision::Nothing => {}
                Decision::Unchanged => self.report.unchanged += 1,
                Decision::Expired => self.report.expired += 1,
                Decision::Put(_) => self.report.written += 1,
                Decision::Delete => self.report.deleted += 1,
                Decision::Note(kind) => self.note(item, *kind),
            }
        }
    }

    fn note_too_large(&mut self, batch: &[Item]) {
        for item in batch {
            let bytes = item.content.as_ref().map_or(0, |it| it.value.len());
            self.note(item, NoteKind::TooLarge { bytes });
        }
    }

    fn note(&mut self, item: &Item, kind: NoteKind) {
        let path = format!("{}/{}", self.migration.root, item.key);
        self.report.notes.push(Note { path, kind });
    }

    fn now(&self) -> Instant {
        self.migration.source.transport().now()
    }
}
