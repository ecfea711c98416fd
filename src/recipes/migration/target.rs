//! What the target has, and how it is changed.

use etcd_transport::Transport;

use super::{
    Migration,
    item::Item,
    journal::{Journal, Record},
};
use crate::{
    error::{Error, EtcdErrorKind},
    recipes::error::RecipeError,
    v3::{Compare, DeleteRange, KeyValue, LeaseId, Put, Range, Txn},
};

/// HTTP's "content too large", which proxies respond with.
const TOO_LARGE: u16 = 413;

/// A change of a key.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) item: &'a Item,
    /// The revision of the key that is changed; 0 if it does not exist.
    pub(super) revision: i64,
    /// The lease of what is put.
    pub(super) lease: LeaseId,
}

impl<S: Transport, T: Transport> Migration<S, T> {
    /// Reads these keys at one revision.
    pub(super) async fn states(
        &self,
        items: &[Item],
    ) -> Result<Vec<Option<KeyValue>>, RecipeError> {
        let txn = Txn::new().max_operations(self.settings.max_operations);
        let txn = items
            .iter()
            .fold(txn, |txn, item| txn.then(Range::new(&item.key)));
        let send = || self.target.send(txn.clone());
        let attempts = self.attempts().but_for(is_too_large);
        let transport = self.target.client().transport();
        let response = attempts.repeat(transport, send).await?;
        let states = (0..items.len()).map(|nth| response.range(nth)?.first().cloned());
        Ok(states.collect())
    }

    /// Applies changes, and their record, in one transaction. Returns its revision, or `None` if a key is no longer as it was.
    pub(super) async fn apply(
        &self,
        changes: &[Change<'_>],
        journal: &mut Journal,
    ) -> Result<Option<i64>, RecipeError> {
        let record_key = journal.new_key();
        let mut record = Record::default();
        let mut txn = Txn::new()
            .max_operations(self.settings.max_operations)
            .when(Compare::missing(&record_key))
            .otherwise(Range::new(&record_key));
        for Change {
            item: Item { key, content },
            revision,
            lease,
        } in changes
        {
            txn = txn.when(Compare::mod_revision(key).equal(*revision));
            txn = if let Some(content) = content {
                record.put(key, !lease.is_none());
                txn.then(Put::new(key, content.value.clone()).lease(*lease))
            } else {
                record.delete(key);
                txn.then(DeleteRange::new(key))
            };
        }
        let json = record.to_json().map_err(RecipeError::abort)?;
        let txn = txn.then(Put::new(&record_key, json));
        let send = || self.target.send(txn.clone());
        let attempts = self.attempts().but_for(is_too_large);
        let transport = self.target.client().transport();
        let response = attempts.repeat(transport, send).await?;
        let revision = if response.succeeded {
            response.header.revision
        } else {
            // An earlier attempt has applied it, if the record is there: no other has its key.
            let record = response.range(0).and_then(|it| it.first());
            let Some(record) = record else {
                return Ok(None);
            };
            record.mod_revision
        };
        journal.add(record, revision);
        Ok(Some(revision))
    }
}

/// Whether fewer keys at a time may succeed.
pub(super) fn is_too_large(error: &Error) -> bool {
    match error {
        Error::Http(error) => error.status() == TOO_LARGE,
        error => {
            let kind = error.etcd_kind();
            error.is_too_large()
                || is_request_too_large(error)
                || kind == Some(EtcdErrorKind::TooManyOperations)
                || kind == Some(EtcdErrorKind::ResponseTooLarge)
        }
    }
}

/// Whether the request is more than the server, or a proxy, takes.
pub(super) fn is_request_too_large(error: &Error) -> bool {
    match error {
        Error::Http(error) => error.status() == TOO_LARGE,
        error => error.etcd_kind() == Some(EtcdErrorKind::RequestTooLarge),
    }
}
