//! The election that decides whether a controller works.

use std::task::{Context, Poll, ready};

use etcd_transport::Transport;
use futures::{FutureExt, future::BoxFuture};

use super::request::Fence;
use crate::{
    recipes::{
        election::{Election, Leadership},
        error::RecipeError,
        wait::Pauses,
    },
    v3::Value,
};

/// A candidate that leads, loses leadership, and is a candidate again, until its session is closed.
pub(super) struct Gate<T> {
    election: Election<T>,
    value: Value,
    state: State<T>,
}

enum State<T> {
    /// Waits to be elected. Led out of by the result, which is followed by another campaign if it is an error.
    Candidate(BoxFuture<'static, (Pauses, Result<Leadership<T>, RecipeError>)>),
    /// Leads, until that is lost.
    Leader {
        leadership: Box<Leadership<T>>,
        lost: BoxFuture<'static, RecipeError>,
    },
    /// The session is closed.
    Closed,
}

/// What has happened to a candidate.
#[derive(Debug)]
pub(super) enum Turn {
    Elected { fencing_token: i64 },
    Lost(RecipeError),
    Failed(RecipeError),
    Closed,
}

impl<T: Transport> Gate<T> {
    pub(super) fn new(election: Election<T>, value: Value) -> Self {
        let campaign = campaign(election.clone(), value.clone(), None);
        Self {
            election,
            value,
            state: State::Candidate(campaign),
        }
    }

    /// Returns the proof that it leads, if it does, by the client's clock.
    pub(super) fn fence(&self) -> Option<Fence> {
        match &self.state {
            State::Leader { leadership, .. } if leadership.is_held() => {
                Some(Fence::new(leadership.key(), leadership.fencing_token()))
            }
            _ => None,
        }
    }

    /// Returns whether it leads, as far as it has been told.
    pub(super) fn is_leading(&self) -> bool {
        matches!(self.state, State::Leader { .. })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let (pauses, error) = match &mut self.state {
            State::Candidate(campaign) => match ready!(campaign.poll_unpin(cx)) {
                (_, Ok(leadership)) => {
                    let fencing_token = leadership.fencing_token();
                    let lost = leadership.lost().boxed();
                    let leadership = Box::new(leadership);
                    self.state = State::Leader { leadership, lost };
                    return Poll::Ready(Turn::Elected { fencing_token });
                }
                (_, Err(RecipeError::SessionClosed)) => {
                    self.state = State::Closed;
                    return Poll::Ready(Turn::Closed);
                }
                (pauses, Err(error)) => (pauses, Turn::Failed(error)),
            },
            State::Leader { lost, .. } => {
                let error = ready!(lost.poll_unpin(cx));
                (Pauses::default(), Turn::Lost(error))
            }
            State::Closed => return Poll::Pending,
        };
        let campaign = campaign(self.election.clone(), self.value.clone(), Some(pauses));
        // What was held is given up now.
        self.state = State::Candidate(campaign);
        Poll::Ready(error)
    }
}

/// Waits to be elected, after a pause if there are some, and in another lease if the former one is lost.
fn campaign<T: Transport>(
    election: Election<T>,
    value: Value,
    pauses: Option<Pauses>,
) -> BoxFuture<'static, (Pauses, Result<Leadership<T>, RecipeError>)> {
    async move {
        let session = election.session();
        let has_pause = pauses.is_some();
        let mut pauses = pauses.unwrap_or_default();
        if has_pause {
            pauses.pause(session.transport()).await;
        }
        let elected = async {
            session.reestablish().await?;
            election.campaign(value).await
        };
        let elected = elected.await;
        (pauses, elected)
    }
    .boxed()
}
