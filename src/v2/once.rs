use std::pin::pin;

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::{
    client::Client,
    error::{Error, Result},
    operation::Operation,
    pipeline::series::Series,
    v2::{
        keys::{CompareAndSwap, Create, CreateInOrder, Get},
        node::Node,
        watch::{
            event::{Action, Event},
            request::{self, Watch},
        },
    },
};

/// A write that can be recognized in the store afterwards. [`V2::once`](super::V2::once) executes it.
///
/// Its value must be **unique**: no other client ever writes it to that key or directory, and the caller writes it in
/// this call only. Use a random id, or the name of the process and a counter. If the value itself is not unique, such
/// as a number, append something unique.
///
/// | write | how it is recognized | retried | [`Outcome::Unknown`](crate::Outcome::Unknown) remains if |
/// |---|---|---|---|
/// | [`Create`] | the key has the value | while the key does not exist | the key has another value, written later or created before |
/// | [`CompareAndSwap`], by index | the key has the value; or, if it was changed since, the first change after the index was this one | while the index is the expected one | the key was changed since, and the history no longer has the event |
/// | [`CreateInOrder`] | a file of the directory has the value | never | no file has it: the write was not applied yet, or the file was deleted |
///
/// [`Outcome::Unknown`](crate::Outcome::Unknown) also remains if the store cannot be read for as long as the [`RetryPolicy`](crate::RetryPolicy)
/// allows.
///
/// Guarantees: `Ok` means *applied, once*; an error with another outcome than `Unknown` means *not applied, and never
/// will be*; `Unknown` means *at most once*. A lost request may still reach the store at any later time, from a server
/// that was halted. The index has then changed, or the key exists, and the request does nothing. Two limits follow:
///
/// - A [`Create`] is applied at most once while the key exists: if the key is deleted or expires during the call, it
///   may be created again.
/// - The v2 API cannot prevent a lost [`CreateInOrder`] from being applied later, so it is never retried. If readers
///   can detect a duplicate by its value, call again.
pub trait Once: evidence::Evidence + Operation<Output = Event> + Clone {}

impl Once for Create {}
impl Once for CompareAndSwap {}
impl Once for CreateInOrder {}

/// Sends the write and, if its response is lost, finds out whether it was applied.
pub(super) async fn once<T: Transport, W: Once>(client: &Client<T>, write: &W) -> Result<Event> {
    write.check()?;
    let mut series = Series::begin(client.pipeline());
    loop {
        let mut doubt = match client.send(write.clone()).await {
            Ok(event) => return Ok(event),
            Err(error) => series.doubt_after(error)?,
        };
        loop {
            let found = write.find(client).await;
            match found {
                Found::Done(event) => return Ok(event),
                Found::Unclear => return Err(doubt),
                Found::Never | Found::NotYet | Found::Unread => {}
            }
            doubt = series.next_round(doubt).await?;
            match found {
                // The response to the next attempt has the reason.
                Found::Never => break,
                Found::NotYet if W::REPEATABLE => {
                    series.stays_in_doubt(doubt);
                    break;
                }
                _ => {}
            }
        }
    }
}

pub(crate) mod evidence {
    use super::{Client, Event, Result, Transport};

    /// How to find out from the store whether a write was applied.
    pub trait Evidence {
        /// Whether two equal writes can never both be applied.
        const REPEATABLE: bool;

        /// Rejects a write that could not be recognized.
        fn check(&self) -> Result<()>;

        /// Looks for the write in the store.
        fn find<T: Transport>(&self, client: &Client<T>) -> impl Future<Output = Found> + Send;
    }

    /// What the store says about a write.
    #[derive(Debug)]
    #[expect(
        clippy::large_enum_variant,
        reason = "it is matched where it is created"
    )]
    pub enum Found {
        /// The write was applied.
        Done(Event),
        /// The write was not applied so far.
        NotYet,
        /// The write was not applied and never will be.
        Never,
        /// The write may have been applied, and another read does not help.
        Unclear,
        /// The store could not be read; a later read may succeed.
        Unread,
    }
}

use evidence::{Evidence, Found};

impl Evidence for Create {
    const REPEATABLE: bool = true;

    fn check(&self) -> Result<()> {
        check_value(Self::NAME, self.key_and_value().1)
    }

    async fn find<T: Transport>(&self, client: &Client<T>) -> Found {
        let (key, value) = self.key_and_value();
        match client.send(Get::new(key).quorum(true)).await {
            Ok(event) if has_value(&event.node, value) => Found::Done(event),
            Ok(_) => Found::Unclear,
            Err(error) if error.is_key_not_found() => Found::NotYet,
            Err(error) => unread(&error),
        }
    }
}

impl Evidence for CompareAndSwap {
    const REPEATABLE: bool = true;

    fn check(&self) -> Result<()> {
        if self.index().is_none() {
            let reason = "to be applied once, the swap must compare an index: a value can come back, and the \
                          swap with it";
            return Err(Error::invalid(Self::NAME, reason));
        }
        check_value(Self::NAME, self.key_and_value().1)
    }

    async fn find<T: Transport>(&self, client: &Client<T>) -> Found {
        let (key, value) = self.key_and_value();
        // Guaranteed by `check`.
        let expected = self.index().unwrap_or_default();
        match client.send(Get::new(key).quorum(true)).await {
            Ok(event) if has_value(&event.node, value) => Found::Done(event),
            Ok(event) if event.node.modified_index <= expected => Found::NotYet,
            // Indexes are never reused: the first change after `expected` was either this swap, or prevents it.
            Ok(_) => first_change(client, key, value, expected).await,
            Err(error) if error.is_key_not_found() => {
                first_change(client, key, value, expected).await
            }
            Err(error) => unread(&error),
        }
    }
}

impl Evidence for CreateInOrder {
    const REPEATABLE: bool = false;

    fn check(&self) -> Result<()> {
        check_value(Self::NAME, self.dir_and_value().1)
    }

    async fn find<T: Transport>(&self, client: &Client<T>) -> Found {
        let (dir, value) = self.dir_and_value();
        match client.send(Get::new(dir).sorted(true).quorum(true)).await {
            Ok(mut event) => {
                let mut nodes = std::mem::take(&mut event.node.nodes).into_iter();
                match nodes.find(|node| has_value(node, value)) {
                    Some(node) => Found::Done(Event { node, ..event }),
                    None => Found::NotYet,
                }
            }
            Err(error) if error.is_key_not_found() => Found::NotYet,
            Err(error) => unread(&error),
        }
    }
}

/// Returns the first event of a file after `index` from the history.
async fn first_change<T: Transport>(
    client: &Client<T>,
    key: &str,
    value: &str,
    index: u64,
) -> Found {
    let pipeline = client.pipeline();
    let first = pin!(request::once(
        client,
        Watch::new(key).from_index(index.saturating_add(1))
    ));
    // A refresh has no event, so the history may have none.
    let limit = pipeline.transport.sleep(pipeline.timeout);
    match select(first, limit).await {
        Either::Left((Ok(event), _)) => {
            let before = event.prev_node.as_ref().map(|node| node.modified_index);
            let swapped = event.action == Action::CompareAndSwap && before == Some(index);
            if swapped && has_value(&event.node, value) {
                Found::Done(event)
            } else {
                Found::Never
            }
        }
        Either::Left((Err(_), _)) | Either::Right(_) => Found::Unclear,
    }
}

fn has_value(node: &Node, value: &str) -> bool {
    node.value.as_deref() == Some(value)
}

fn unread(error: &Error) -> Found {
    if error.is_retryable() {
        Found::Unread
    } else {
        Found::Unclear
    }
}

fn check_value(operation: &'static str, value: &str) -> Result<()> {
    if value.is_empty() {
        let reason = "to be applied once, the write must have a unique value, and an empty one is not unique";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}
