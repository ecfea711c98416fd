use std::time::Duration;

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::v3::{
    KeyValue,
    election::{Leader, check_name},
    protocol::gateway::{self, Encode, Fields},
    stream::connection::{Connection, Received, is_token_error},
};
use crate::{
    client::Client,
    error::{Error, Result},
    operation::{Repeat, StreamOperation, sealed::Sealed},
    pipeline::reconnect::Reconnect,
};

/// Delivers the leader of an election, and each one after it, for ever: `POST /v3/election/observe`.
///
/// An item is the key that the leader holds; its value is what was proclaimed. The first comes when there is a leader; then
/// one for each change of the leader or of its value. The stream goes on over cut connections, restarts and changes of
/// endpoint: the present leader is told anew then, unless it was told already, and one that came and went in between is
/// not. That there is no leader any more is not told by etcd: the item is who led last.
///
/// The stream ends after an error. Dropping it ends the request.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::Observe;
/// use futures::StreamExt;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let mut leaders = client.open(Observe::new("scheduler"));
/// while let Some(leader) = leaders.next().await {
///     println!("{:?} leads", leader?.value);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct Observe {
    pub(in crate::v3) name: Bytes,
    outage: Duration,
    silence: Duration,
}

impl Observe {
    /// Observes this election.
    pub fn new(name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into().into(),
            outage: Duration::from_secs(300),
            silence: Duration::from_secs(30),
        }
    }

    /// See [`Watch::outage_limit`](super::Watch::outage_limit).
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.outage = limit;
        self
    }

    /// See [`Watch::silence_limit`](super::Watch::silence_limit).
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }
}

impl Encode for Observe {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.name)
    }

    fn fields(&self, to: &mut Fields<'_>) {
        to.put("name", &self.name);
    }
}

impl Sealed for Observe {}

impl StreamOperation for Observe {
    type Item = KeyValue;
    const NAME: &'static str = "v3.election.observe";

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<KeyValue>> {
        let observer = Observer {
            client: client.clone(),
            outage: Reconnect::new(self.outage),
            observe: self,
            link: None,
            last: None,
            is_renewed: false,
        };
        let next = |observer: Option<Observer<T>>| async move {
            let mut observer = observer?;
            let leader = observer.next().await;
            let more = leader.is_ok().then_some(observer);
            Some((leader, more))
        };
        stream::unfold(Some(observer), next).boxed()
    }
}

struct Observer<T> {
    client: Client<T>,
    observe: Observe,
    link: Option<Connection<T, Leader>>,
    outage: Reconnect,
    /// The key and the revision of the leader that was told last.
    last: Option<(Bytes, i64)>,
    /// Another token was fetched, and no leader has been told since.
    is_renewed: bool,
}

impl<T: Transport> Observer<T> {
    async fn next(&mut self) -> Result<KeyValue> {
        loop {
            let Some(link) = &mut self.link else {
                let path = "/v3/election/observe";
                let call = gateway::call(Observe::NAME, path, Repeat::Always, &self.observe)?
                    .require_leader(true);
                match Connection::open(&self.client, call, self.observe.silence).await {
                    Ok(link) => self.link = Some(link),
                    Err(error) => self.outage.survive(self.client.pipeline(), error).await?,
                }
                continue;
            };
            let heard = link.recv().await;
            if link.is_proven() {
                self.outage.over(self.client.transport().now());
            }
            match heard {
                Received::Message(Leader { kv: Some(leader) }, _) => {
                    link.settled();
                    self.is_renewed = false;
                    let told = (leader.key.clone(), leader.mod_revision);
                    if self.last.as_ref() != Some(&told) {
                        self.last = Some(told);
                        return Ok(leader);
                    }
                }
                Received::Message(Leader { kv: None }, _) => {}
                Received::Failed(error) => self.lost(error).await?,
                Received::Ended(error) => self.ended(error).await?,
                Received::Stale => self.link = None,
            }
        }
    }

    async fn lost(&mut self, error: Error) -> Result<()> {
        let Some(link) = self.link.take() else {
            return Err(error);
        };
        if is_token_error(&error) && !self.is_renewed {
            return self.renew_token(link).await;
        }
        if error.is_retryable() {
            link.blame();
        }
        self.outage.survive(self.client.pipeline(), error).await
    }

    /// The server had no more to say.
    async fn ended(&mut self, error: Error) -> Result<()> {
        let Some(link) = self.link.take() else {
            return Err(error);
        };
        // It answers so, with success and without a word, to a token that is not good (V3-139).
        if link.may_lack_token() && !self.is_renewed {
            return self.renew_token(link).await;
        }
        link.blame();
        self.outage.pause(self.client.pipeline(), error).await
    }

    async fn renew_token(&mut self, link: Connection<T, Leader>) -> Result<()> {
        self.is_renewed = true;
        match link.renew_token().await {
            Ok(()) => Ok(()),
            Err(error) => self.outage.survive(self.client.pipeline(), error).await,
        }
    }
}
