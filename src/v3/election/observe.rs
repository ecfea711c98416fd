use std::time::Duration;

use bytes::Bytes;
use etcd_transport::Transport;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{
    client::Client,
    error::Result,
    operation::{StreamOperation, sealed::Sealed},
    v3::{
        Header, Key, KeyValue,
        election::check_name,
        protocol::{
            message::{self, Encode, Fields},
            method,
        },
        stream::{
            connection::{Connection, ConnectionOptions, DuplexUse, Received},
            message_stream::StreamMessage,
            open::StreamCall,
            silence::{SilenceLimit, check_limit},
        },
    },
};

/// Delivers the leader of an election, and each one after it: `POST /v3/election/observe`.
///
/// An item is the key that the leader holds; its value is what was proclaimed. The first item arrives when there is a
/// leader, and one more for each change of the leader or of its value. The stream goes on over cut connections,
/// restarts and changes of endpoint: it then delivers the present leader, unless it has delivered it before. A leader
/// that came and went in between is skipped. etcd does not report that there is no leader any more: the last item is
/// the last leader.
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
    outage_limit: Duration,
    silence: Option<Duration>,
}

impl Observe {
    /// Observes this election.
    pub fn new(name: impl Into<Key>) -> Self {
        Self {
            name: name.into().into_bytes(),
            outage_limit: Duration::from_secs(300),
            silence: None,
        }
    }

    /// See [`Watch::outage_limit`](crate::v3::Watch::outage_limit).
    pub fn outage_limit(mut self, limit: Duration) -> Self {
        self.outage_limit = limit;
        self
    }

    /// See [`Watch::silence_limit`](crate::v3::Watch::silence_limit). Must be longer than zero.
    pub fn silence_limit(mut self, limit: Duration) -> Self {
        self.silence = Some(limit);
        self
    }
}

impl Encode for Observe {
    fn check(&self, operation: &'static str) -> Result<()> {
        check_name(operation, &self.name)
    }

    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "name", &self.name);
    }
}

impl Sealed for Observe {}

impl StreamOperation for Observe {
    type Item = KeyValue;
    const NAME: &'static str = "v3.election.observe";

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<KeyValue>> {
        let options = ConnectionOptions {
            call: StreamCall {
                operation: Self::NAME,
                method: method::OBSERVE,
                require_leader: true,
            },
            outage_limit: self.outage_limit,
            silence: SilenceLimit::probe(self.silence),
            expect_within: None,
            sends_state_first: true,
            token_limit: None,
            duplex: DuplexUse::Never,
            has_worked: false,
        };
        let observer = Observer {
            connection: Connection::new(client, options),
            observe: self,
            last: None,
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

/// The leader of an election.
#[derive(Default)]
struct LeaderResponse {
    header: Header,
    kv: Option<KeyValue>,
}

message::decode!(LeaderResponse {
    1 "header" => header,
    2 "kv" => kv,
});

impl StreamMessage for LeaderResponse {
    fn header(&self) -> Header {
        self.header
    }
}

struct Observer<T> {
    connection: Connection<T, Observe, LeaderResponse>,
    observe: Observe,
    /// The key and the revision of the leader that was delivered last.
    last: Option<(Bytes, i64)>,
}

impl<T: Transport> Observer<T> {
    async fn next(&mut self) -> Result<KeyValue> {
        self.observe.check(Observe::NAME)?;
        check_limit(Observe::NAME, self.observe.silence)?;
        loop {
            let request = || vec![self.observe.clone()];
            let leader = match self.connection.recv(request).await {
                Received::Message(LeaderResponse { kv, .. }, _) => kv,
                Received::Lost(loss) => {
                    self.connection.recover(loss)?;
                    continue;
                }
            };
            self.connection.settled();
            if let Some(leader) = leader {
                let this = (leader.key.clone(), leader.mod_revision);
                if self.last.as_ref() != Some(&this) {
                    self.last = Some(this);
                    return Ok(leader);
                }
            }
        }
    }
}
