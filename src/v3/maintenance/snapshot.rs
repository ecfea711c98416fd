use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use etcd_transport::Transport;
use futures::{
    AsyncWrite, AsyncWriteExt, Stream, StreamExt, TryFutureExt,
    stream::{self, BoxStream},
};
use sha2::{Digest, Sha256};

use crate::{
    client::Client,
    error::Result,
    operation::{StreamOperation, sealed::Sealed},
    v3::{
        Header,
        protocol::{
            message::{self, Encode, Fields},
            method,
        },
        stream::{
            connection::{Connection, ConnectionOptions, DuplexUse, Loss, Received},
            message_stream::StreamMessage,
            open::StreamCall,
            probe::probe,
            silence::SilenceLimit,
        },
    },
};

/// The size of the SHA-256 at the end of a snapshot, in bytes.
const DIGEST: usize = 32;

/// Delivers the complete database of one member, piece by piece: `POST /v3/maintenance/snapshot`.
///
/// The pieces together are the file that `etcdctl snapshot save` writes, and that `etcdctl snapshot restore` reads: the
/// database, and a SHA-256 of it at the end. The stream verifies it: the last piece arrives only if the digest is
/// right; otherwise, and where a piece is missing, the stream ends in an error. **A snapshot is complete when the
/// stream has ended without an error.** Until then its pieces are not verified: write them to a temporary file, and
/// rename it at the end. A failed snapshot cannot be resumed: begin another one.
///
/// A piece does not say which cluster it is from. So the stream asks the member before it delivers the first piece
/// (`POST /v3/maintenance/status`). A member of another cluster is an error
/// ([`is_cluster_changed`](crate::Error::is_cluster_changed)).
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
#[doc(alias = "backup")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
#[non_exhaustive]
pub struct Snapshot {}

impl Snapshot {
    /// A snapshot of the member that receives the request.
    pub fn new() -> Self {
        Self {}
    }

    /// Writes the snapshot, flushes the writer, and returns the size in bytes. Only after `Ok` is the output a
    /// snapshot.
    ///
    /// # Errors
    /// Those of the writer. An [`Error`](crate::Error) of the client is the source of one with [`io::ErrorKind::Other`].
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
    fn fields<F: Fields>(&self, _: &mut F) {}
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

message::decode!(SnapshotResponse { 3 "blob" => blob });

impl StreamMessage for SnapshotResponse {
    fn header(&self) -> Header {
        // etcd sends no header with a piece.
        Header::default()
    }
}

struct Pieces<T> {
    connection: Connection<T, Snapshot, SnapshotResponse>,
    hasher: Sha256,
    /// The last bytes that arrived: the digest, if no others follow.
    last: BytesMut,
}

impl<T: Transport> Pieces<T> {
    /// Waits for the first message, and asks the member which cluster it belongs to.
    async fn begin(client: Client<T>) -> Result<Self> {
        let options = ConnectionOptions {
            call: StreamCall {
                operation: Snapshot::NAME,
                method: method::SNAPSHOT,
                require_leader: false,
            },
            // A snapshot is not resumed.
            outage_limit: Duration::ZERO,
            silence: SilenceLimit::Fail(client.pipeline().timeout),
            expect_within: None,
            sends_state_first: false,
            token_limit: None,
            duplex: DuplexUse::Never,
            has_worked: false,
        };
        let mut pieces = Self {
            connection: Connection::new(&client, options),
            hasher: Sha256::new(),
            last: BytesMut::new(),
        };
        loop {
            match pieces.recv().await {
                Received::Message(message, _) => {
                    pieces.last.extend_from_slice(&message.blob);
                    break;
                }
                Received::Lost(Loss::Ended(_)) => break,
                // Again with another token if etcd refuses the first.
                Received::Lost(loss) => pieces.connection.recover(loss)?,
            }
        }
        // Any other failure is ignored, since a snapshot of the last member of a cluster must be possible without a
        // quorum.
        if let Some(endpoint) = pieces.connection.endpoint()
            && let Err(error) = probe(&client, Snapshot::NAME, endpoint).await
            && error.is_cluster_changed()
        {
            return Err(error);
        }
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
            match self.recv().await {
                Received::Message(message, _) => self.last.extend_from_slice(&message.blob),
                Received::Lost(Loss::Ended(_)) => return self.end(),
                Received::Lost(loss) => return Err(self.connection.give_up(loss)),
            }
        }
    }

    async fn recv(&mut self) -> Received<SnapshotResponse> {
        self.connection.recv(|| vec![Snapshot::new()]).await
    }

    /// The digest, if it is the right one.
    fn end(&mut self) -> Result<(Bytes, bool)> {
        let digest = self.hasher.finalize_reset();
        if *self.last == *digest {
            return Ok((self.last.split().freeze(), true));
        }
        let what = "the snapshot is not intact: its SHA-256 is not the one at its end";
        Err(self.connection.unexpected(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.SnapshotRequest")
            .send(&Snapshot::new())
            .all_fields_but(&[]);
        response::<SnapshotResponse>(
            "etcdserverpb.SnapshotResponse",
            &["header", "remaining_bytes", "version"],
        );
    }
}
