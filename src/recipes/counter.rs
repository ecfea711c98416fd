use bytes::Bytes;
use etcd_transport::Transport;

use crate::{
    recipes::{
        error::RecipeError,
        session::{Session, name},
        traits::clone_and_debug,
        wait::{settle, while_held},
    },
    v3::{Compare, Key, KeyValue, Put, Range, Txn},
};

/// A number that many clients add to, such as for ids that are never given twice.
///
/// ```
/// # use etcd_http::{transport::Transport, recipes::{Counter, RecipeError, Session}};
/// # async fn example<T: Transport>(session: &Session<T>) -> Result<(), RecipeError> {
/// let ids = Counter::new(session, "ids");
/// // A hundred ids, in one request.
/// let last = ids.add(100).await?;
/// println!("{} to {last} are ours", last - 99);
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - Each [`add`](Self::add) that returns `Ok` is applied exactly once, whatever responses are lost. Results of all clients are
///   those of additions one after the other.
///
/// # Limits
///
/// One that fails because the session is lost may have been applied: ids may be skipped, and are never given twice. Additions
/// at the same time compete: for more than some hundred a second, take more at a time. The value wraps for nobody: an addition
/// beyond the range of `i64` fails.
///
/// # Layout
///
/// A key `NAME` with the number in decimal. It is 0 if there is no key.
#[doc(alias = "increment")]
pub struct Counter<T> {
    session: Session<T>,
    key: Bytes,
}

impl<T: Transport> Counter<T> {
    /// The counter with this name. Nothing is sent.
    pub fn new(session: &Session<T>, name: impl Into<Key>) -> Self {
        Self {
            session: session.clone(),
            key: self::name(name),
        }
    }

    /// Returns the number.
    ///
    /// # Errors
    /// [`RecipeError::UnexpectedValue`] if the value is not a number, [`RecipeError::Client`].
    pub async fn get(&self) -> Result<i64, RecipeError> {
        let found = self.session.namespace().kv().get(&self.key).await?;
        self.number(found.as_ref())
    }

    /// Adds to the number, and returns the sum.
    ///
    /// # Errors
    /// [`RecipeError::UnexpectedValue`] if the value is not a number, or too large; [`RecipeError::SessionLost`] (it may have
    /// been applied); [`RecipeError::Client`].
    pub async fn add(&self, more: i64) -> Result<i64, RecipeError> {
        let read = Range::new(&self.key);
        let lease = self.session.held().await?;
        let found = async { Ok(settle(self.session.namespace(), &read).await?) };
        let mut found = while_held(&lease, found).await?.output.into_first();
        loop {
            let sum = self.number(found.as_ref())?.checked_add(more);
            let sum = sum.ok_or_else(|| self.unexpected("a number to which this can be added"))?;
            let revision = found.map_or(0, |kv| kv.mod_revision);
            let txn = Txn::new()
                .when(Compare::mod_revision(&self.key).equal(revision))
                .then(Put::new(&self.key, sum.to_string()))
                .otherwise(read.clone());
            let applied = self.session.once(txn).await?;
            if applied.revision.is_some() {
                return Ok(sum);
            }
            // Another one was applied: all of them together always go on.
            let response = applied.response.as_ref();
            found = response
                .and_then(|response| response.range(0)?.first())
                .cloned();
        }
    }

    fn number(&self, found: Option<&KeyValue>) -> Result<i64, RecipeError> {
        let Some(kv) = found else {
            return Ok(0);
        };
        let number = kv.value_str().ok().and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.unexpected("a number"))
    }

    fn unexpected(&self, expected: &'static str) -> RecipeError {
        RecipeError::UnexpectedValue {
            key: self.key.clone(),
            expected,
        }
    }
}

clone_and_debug!(Counter { key, session });
