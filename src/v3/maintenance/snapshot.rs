use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use etcd_transport::{IdleLimit, Transport};
use futures::{
    AsyncWrite, AsyncWriteExt, Stream, StreamExt, TryFutureExt,
    stream::{self, BoxStream},
};
use sha2::{Digest, Sha256};

use crate::{
    client::Client,
    error::Result,
    operation::{Call, Repeat, StreamOperation, sealed::Sealed},
    v3::{
        protocol::gateway::{self, Encode, Fields},
        stream::{
            connection::{is_alive, is_token_error},
            message_stream::MessageStream,
        },
    },
};

/// How many bytes of SHA-256 there are, at the end of a snapshot.
const DIGEST: usize = 32;

/// Delivers the whole database of one member, piece by piece: `POST /v3/maintenance/snapshot`.
///
/// The pieces together are the file that `etcdctl snapshot save` writes, and that `etcdctl snapshot restore` reads: the
/// database, and a SHA-256 of it at the end. It is verified on the way: the last piece comes only when the digest is right,
/// and an error instead when it is not, or when something is missing. **A snapshot is whole when the stream has ended
/// without an error**; until then what has come of it may be anything. Who writes it to a file gives the file its name
/// when that is known. A snapshot that breaks off is not resumed: begin another.
///
/// Its pieces do not say which cluster they are from. So the member is asked before the first is delivered
/// (`POST /v3/maintenance/status`), and another cluster's is an error ([`is_cluster_changed`](crate::Error::is_cluster_changed)).
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::Snapshot;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> std::io::Result<()> {
/// let mut file = Vec::new(); // or anything else that is `futures::AsyncWrite`
/// let size = Snapshot::new().write_to(client, &mut file).await?;
/// println!("{size} bytes, verified");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
#[non_exhaustive]
pub struct Snapshot {}

impl Snapshot {
    /// Takes a snapshot of the member that is asked.
    pub fn new() -> Self {
        Self {}
    }

    /// Writes it all, flushes, and returns how many bytes it is. Only after `Ok` is what was written a snapshot.
    ///
    /// # Errors
    /// The writer's; an [`Error`](crate::Error) of the client's is in one with [`io::ErrorKind::Other`], as its source.
    pub async fn write_to<T: Transport>(
        self,
        client: &Client<T>,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<u64> {
        let mut pieces = client.open(self);
        let mut size = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(io::Error::other)?;
            writer.write_all(&piece).await?;
            size += piece.len() as u64;
        }
        writer.flush().await?;
        Ok(size)
    }
}

impl Encode for Snapshot {
    fn fields(&self, _: &mut Fields<'_>) {}
}

impl Sealed for Snapshot {}

impl StreamOperation for Snapshot {
    type Item = Bytes;
    const NAME: &'static str = "v3.maintenance.snapshot";

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<Bytes>> {
        let pieces = Pieces::begin(client.clone());
        pieces
            .map_ok(Pieces::into_stream)
            .try_flatten_stream()
            .boxed()
    }
}

#[derive(Default)]
struct SnapshotResponse {
    blob: Bytes,
}

gateway::decode!(SnapshotResponse { "blob" => blob });

struct Pieces<T> {
    client: Client<T>,
    messages: MessageStream<T, SnapshotResponse>,
    hasher: Sha256,
    /// The last bytes that came: the digest, if no others follow.
    last: BytesMut,
}

impl<T: Transport> Pieces<T> {
    /// Sends the request, once more with another token if etcd refuses the one it has, and waits for the first message.
    async fn begin(client: Client<T>) -> Result<Self> {
        let path = "/v3/maintenance/snapshot";
        let call = gateway::call(Snapshot::NAME, path, Repeat::Always, &Snapshot::new())?;
        let pipeline = client.pipeline();
        let call = pipeline.with_token(&call).await?.unwrap_or(call);
        let begun = match Self::send(&client, call.clone()).await {
            Err(error) if is_token_error(&error) => {
                let call = pipeline.with_new_token(call).await?;
                Self::send(&client, call).await
            }
            begun => begun,
        }?;
        // The pieces do not say which cluster they are from; their member does. Whatever else it says: who saves what is
        // left of a cluster takes it from a member that is not well, too.
        match is_alive(&client, Snapshot::NAME, begun.messages.place()).await {
            Err(error) if error.is_cluster_changed() => Err(error),
            _ => Ok(begun),
        }
    }

    async fn send(client: &Client<T>, call: Call) -> Result<Self> {
        let limit = client.pipeline().timeout;
        let idle = IdleLimit(limit.saturating_add(Duration::from_secs(1)));
        let mut pieces = Self {
            messages: MessageStream::open(client, call, idle)?,
            client: client.clone(),
            hasher: Sha256::new(),
            last: BytesMut::new(),
        };
        pieces.read().await?;
        Ok(pieces)
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes>> {
        stream::unfold(Some(self), async |pieces| {
            let mut pieces = pieces?;
            match pieces.next().await {
                Ok((piece, is_last)) => Some((Ok(piece), (!is_last).then_some(pieces))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// The next piece, and whether it is the last.
    async fn next(&mut self) -> Result<(Bytes, bool)> {
        loop {
            let certain = self.last.len().saturating_sub(DIGEST);
            if certain > 0 {
                let piece = self.last.split_to(certain).freeze();
                self.hasher.update(&piece);
                return Ok((piece, false));
            }
            if !self.read().await? {
                let digest = self.hasher.finalize_reset();
                if *self.last != *digest {
                    return Err(self.messages.unexpected(
                        "the snapshot is not whole: its SHA-256 is not the one at its end",
                    ));
                }
                return Ok((self.last.split().freeze(), true));
            }
        }
    }

    /// Takes in the next message, unless there is none.
    async fn read(&mut self) -> Result<bool> {
        let pipeline = self.client.pipeline();
        match self.messages.next_within(pipeline.timeout).await {
            Some(Ok((message, _))) => {
                self.last.extend_from_slice(&message.blob);
                Ok(true)
            }
            Some(Err(error)) => {
                if error.is_retryable() {
                    // So that the next snapshot is another member's, if there are others.
                    self.messages.place().failed(pipeline.transport.now());
                }
                Err(error)
            }
            None => Ok(false),
        }
    }
}
