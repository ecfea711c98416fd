use bytes::{BufMut, Bytes, BytesMut};
use etcd_transport::Transport;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::v3::kv::{KeyValue, Range, RangeResponse, page_size::PageSize};
use crate::{
    client::Client,
    error::{Error, Outcome, Result, UnexpectedResponse},
    operation::{Operation, StreamOperation, sealed::Sealed},
    v3::{KeyRange, Namespace},
};

/// What a key takes in a response besides its name and its value, in bytes: about so much, by gRPC.
const KEY_OVERHEAD: usize = 40;

/// Reads a range of any size, page by page, all at one revision: `POST /v3/kv/range`, as often as needed.
///
/// Keys arrive in their order. The revision is that of the first page, unless it is [set](Self::revision). The stream keeps
/// one page at most, and requests the next one when it is consumed.
///
/// The stream ends after an error: [`is_compacted`](crate::Error::is_compacted) if the revision is compacted meanwhile.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use etcd_http::v3::{KeyRange, RangeStream};
/// use futures::TryStreamExt;
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let mut jobs = client.open(RangeStream::new(KeyRange::prefix("jobs/")));
/// while let Some(job) = jobs.try_next().await? {
///     println!("{:?}", job.key);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::open`"]
pub struct RangeStream {
    pub(in crate::v3) range: KeyRange,
    page: Option<i64>,
    revision: i64,
    keys_only: bool,
}

impl RangeStream {
    /// Reads these keys.
    pub fn new(range: impl Into<KeyRange>) -> Self {
        Self {
            range: range.into(),
            page: None,
            revision: 0,
            keys_only: false,
        }
    }

    /// Sets the number of keys in a page, at least one. By default, the first page has 500, and each one after it twice as
    /// many as the one before, up to 10,000, as long as that takes less than about 1 MiB, and a quarter of the client's
    /// [`max_response_size`](crate::ClientBuilder::max_response_size). A page that is too large, or too late, is requested
    /// again with fewer keys.
    pub fn page(mut self, keys: u32) -> Self {
        self.page = Some(i64::from(keys.max(1)));
        self
    }

    /// Reads the range at this revision. Defaults to 0: the current one.
    pub fn revision(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }

    /// Returns keys without values.
    pub fn keys_only(mut self, keys_only: bool) -> Self {
        self.keys_only = keys_only;
        self
    }
}

impl Sealed for RangeStream {}

impl StreamOperation for RangeStream {
    type Item = KeyValue;
    const NAME: &'static str = Range::NAME;

    fn open<T: Transport>(self, client: &Client<T>) -> BoxStream<'static, Result<KeyValue>> {
        let pager = Pager::new(Namespace::all(client), self);
        let next = |mut pager: Pager<T>| async move {
            let page = pager.next().await?;
            Ok(page.map(|page| (stream::iter(page.kvs).map(Ok), pager)))
        };
        stream::try_unfold(pager, next).try_flatten().boxed()
    }
}

/// Reads a range page by page.
pub(crate) struct Pager<T> {
    keys: Namespace<T>,
    read: RangeStream,
    page: PageSize,
    is_over: bool,
}

impl<T: Transport> Pager<T> {
    /// Reads a range of these keys.
    pub(crate) fn new(keys: Namespace<T>, read: RangeStream) -> Self {
        let page = match read.page {
            Some(keys) => PageSize::fixed(keys),
            None => PageSize::growing(keys.client().pipeline().max_response_size),
        };
        Self {
            keys,
            page,
            read,
            is_over: false,
        }
    }

    /// The next page. If this future fails or is dropped, the next call requests the same page.
    pub(crate) async fn next(&mut self) -> Result<Option<RangeResponse>> {
        if self.is_over {
            return Ok(None);
        }
        let page = loop {
            let read = Range::new(&self.read.range)
                .limit(self.page.keys())
                .revision(self.read.revision)
                .keys_only(self.read.keys_only);
            match self.keys.send(read).await {
                Ok(page) => break page,
                Err(error) if self.page.failed(&error) => {}
                Err(error) => return Err(error),
            }
        };
        let sizes = page.kvs.iter().map(size);
        self.page.arrived(sizes.sum());
        if self.read.revision == 0 {
            self.read.revision = page.header.revision;
        }
        if page.more {
            let start = self.read.range.wire_key();
            let last = page.kvs.last().filter(|last| last.key >= start);
            let Some(last) = last else {
                return Err(self.no_progress());
            };
            let end = self.read.range.wire_end().clone();
            self.read.range = KeyRange::from_wire(after(&last.key), end);
        } else {
            self.is_over = true;
        }
        Ok(Some(page))
    }

    /// The error for a page after which the next one would not be another: no etcd sends it.
    fn no_progress(&self) -> Error {
        let pipeline = self.keys.client().pipeline();
        let what = "more keys are announced, and no key of the page is in the requested range";
        Error::Unexpected(UnexpectedResponse::of(
            pipeline.next_context(Range::NAME),
            what,
            Outcome::Unknown,
        ))
    }

    /// The revision of all pages; 0 before the first.
    pub(crate) fn revision(&self) -> i64 {
        self.read.revision
    }
}

/// About what a key takes in a response.
fn size(kv: &KeyValue) -> usize {
    kv.key.len() + kv.value.len() + KEY_OVERHEAD
}

/// The key that comes next after this one.
fn after(key: &Bytes) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.put_u8(0);
    next.freeze()
}
