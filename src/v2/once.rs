use std::{
    pin::pin,
    time::{Duration, Instant},
};

use etcd_transport::Transport;
use futures::future::{Either, select};

use crate::v2::{
    keys::{CompareAndSwap, Create, CreateInOrder, Get},
    node::Node,
    watch::{
        event::{Action, Event},
        request::{self, Watch},
    },
};
use crate::{
    client::Client,
    error::{Error, Outcome, Result},
    operation::Operation,
    pipeline::{Pipeline, call::Repeat, retry::Failed},
};

/// A write that can be recognised in the store afterwards: [`V2::once`](super::V2::once) carries it out.
///
/// What it stores must be **unique**: a value that nobody else ever writes to that key or directory, and that the caller
/// writes in this one call only. A random id will do, or the process's name and a counter. Where the value itself is
/// not unique (a counter's number), put something unique beside it.
///
/// | write | how it is recognised | sent again | [`Outcome::Unknown`] is left when |
/// |---|---|---|---|
/// | [`Create`] | the key has the value | while the key is not there | something else is there by now, written over it or created before it |
/// | [`CompareAndSwap`], by index | the key has the value; or, if it was changed since, the first change after the index was this one | while the index is what was expected | it was changed since, and the history no longer tells |
/// | [`CreateInOrder`] | a file of the directory has the value | never | no file has it: it was not carried out yet, or the file was taken away |
///
/// and, for each, when the store cannot be read for as long as the [`RetryPolicy`](crate::RetryPolicy) allows.
///
/// What is promised: `Ok` is *carried out, once*; an error of another outcome than `Unknown` is *not carried out, and never
/// will be*; `Unknown` is *at most once*. A request that was lost may still reach the store at any later time, from a
/// server that was halted. It then finds the index gone, or the key there, and does nothing. Two things follow:
///
/// - A [`Create`] is at most once for as long as the key is there: whoever deletes it (or gives it a short TTL) within
///   the time of the call may see it come back.
/// - Nothing in the v2 API keeps a lost [`CreateInOrder`] from being carried out later, so a second one is never sent.
///   Where readers can tell a double by its value, call again.
pub trait Once: evidence::Evidence + Operation<Output = Event> + Clone {}

impl Once for Create {}
impl Once for CompareAndSwap {}
impl Once for CreateInOrder {}

/// Sends the write; where its answer was lost, finds out what came of it.
pub(super) async fn once<T: Transport, W: Once>(client: &Client<T>, write: &W) -> Result<Event> {
    write.check()?;
    let pipeline = client.pipeline();
    let mut tries = Tries::new(pipeline);
    // The first attempt that may have been carried out.
    let mut lost: Option<Error> = None;
    loop {
        let error = match (client.send(write.clone()).await, lost.take()) {
            (Ok(event), _) => return Ok(event),
            // A refusal may be on account of the attempt before, which was carried out.
            (Err(_), Some(first)) => first,
            (Err(error), None) if error.outcome() == Outcome::Unknown => error,
            (Err(error), None) => return Err(error),
        };
        loop {
            let found = write.find(client).await;
            match found {
                Found::Done(event) => return Ok(event),
                Found::Unclear => return Err(error),
                Found::Never | Found::NotYet | Found::Unread => {}
            }
            if !tries.another(pipeline).await {
                return Err(error);
            }
            match found {
                // The answer to the next attempt says why not.
                Found::Never => break,
                Found::NotYet if W::REPEATABLE => {
                    lost = Some(error);
                    break;
                }
                _ => {}
            }
        }
    }
}

pub(crate) mod evidence {
    use super::{Client, Event, Result, Transport};

    /// How the store tells what came of a write.
    pub trait Evidence {
        /// Whether two of the same can never be carried out both.
        const REPEATABLE: bool;

        /// Refuses what could not be recognised.
        fn check(&self) -> Result<()>;

        /// Looks for the write in the store.
        fn find<T: Transport>(&self, client: &Client<T>) -> impl Future<Output = Found> + Send;
    }

    /// What the store says of a write.
    #[derive(Debug)]
    #[expect(
        clippy::large_enum_variant,
        reason = "it is matched on where it is made"
    )]
    pub enum Found {
        /// It was carried out.
        Done(Event),
        /// It was not carried out so far.
        NotYet,
        /// It was not carried out, and cannot be any more.
        Never,
        /// It may have been carried out, and asking again will not tell.
        Unclear,
        /// The store could not be read; it may be in a while.
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
            let reason = "to be carried out once it must compare with an index: a value can come back, and the \
                          swap with it";
            return Err(Error::invalid(Self::NAME, reason));
        }
        check_value(Self::NAME, self.key_and_value().1)
    }

    async fn find<T: Transport>(&self, client: &Client<T>) -> Found {
        let (key, value) = self.key_and_value();
        // As `check` has made sure.
        let expected = self.index().unwrap_or_default();
        match client.send(Get::new(key).quorum(true)).await {
            Ok(event) if has_value(&event.node, value) => Found::Done(event),
            Ok(event) if event.node.modified_index <= expected => Found::NotYet,
            // Indexes never come again: what changed the file first after `expected` was this swap, or has foiled it.
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

/// Asks the history for the first thing that happened to a file after `index`.
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
    // A refresh leaves no event: there may be none to wait for.
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
        let reason = "to be carried out once it needs a unique value, and an empty one is not";
        return Err(Error::invalid(operation, reason));
    }
    Ok(())
}

/// How often it may be tried, by the client's [`RetryPolicy`](crate::RetryPolicy).
struct Tries {
    made: u32,
    started: Instant,
}

impl Tries {
    fn new<T: Transport>(pipeline: &Pipeline<T>) -> Self {
        Self {
            made: 0,
            started: pipeline.transport.now(),
        }
    }

    /// Pauses before the next one; `false` if there is to be none.
    async fn another<T: Transport>(&mut self, pipeline: &Pipeline<T>) -> bool {
        self.made += 1;
        let now = pipeline.transport.now();
        let pause = pipeline.retry.decide(&Failed {
            attempt: self.made,
            endpoints: 1,
            unsent: false,
            repeat: Repeat::Always,
            retry_after: Duration::ZERO,
            elapsed: now.saturating_duration_since(self.started),
            jitter: fastrand::f64(),
        });
        if let Some(pause) = pause {
            pipeline.transport.sleep(pause).await;
        }
        pause.is_some()
    }
}
