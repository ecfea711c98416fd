use bytes::Bytes;

use crate::{
    endpoints::wire::Wire,
    error::{Error, Result},
    operation::Operation,
    pipeline::{
        answer::Answer,
        call::{Call, Repeat},
        exchange::{Encoded, Exchange, TypedExchange},
    },
    v3::{
        Key, LeaseId,
        protocol::{self, message::Encode, method},
        range::check_key,
    },
};

use crate::v3::kv::{Compare, KeyValue, Put, Range, Txn, TxnOpResponse, TxnResponse};

/// The values of a marker: whether the comparisons of its transaction held.
const SUCCEEDED: &[u8] = b"succeeded";
const NOT_SUCCEEDED: &[u8] = b"not succeeded";

/// A transaction that is applied once, however often it is sent: `POST /v3/kv/txn`.
///
/// The transaction writes a marker, a key of its own, and does nothing if the marker exists. So it is retried after any
/// failure, like a read. If all attempts failed, the same value can be sent again until its outcome is known.
///
/// ```
/// # use etcd_http::{Client, Error, transport::Transport};
/// use std::time::Duration;
/// use etcd_http::v3::{ExactlyOnce, Put, Txn};
///
/// # async fn example<T: Transport>(client: &Client<T>) -> Result<(), Error> {
/// let lease = client.v3().leases().grant(Duration::from_secs(600)).await?;
/// let order = Txn::new().then(Put::new("orders/17", "three of them"));
/// let done = client.send(ExactlyOnce::new("done/orders/17", order).lease(lease.id)).await?;
/// println!("in since revision {}, by an earlier attempt: {}", done.revision, done.is_earlier());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The same as for [`Txn`].
#[doc(alias = "idempotent")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct ExactlyOnce {
    pub(in crate::v3) marker: Bytes,
    pub(in crate::v3) txn: Txn,
    lease: LeaseId,
}

impl ExactlyOnce {
    /// Applies `txn` unless the key `marker` exists. The marker must be unique to this write: a random id, or a natural
    /// one of what is written.
    pub fn new(marker: impl Into<Key>, txn: Txn) -> Self {
        Self {
            marker: marker.into().into_bytes(),
            txn,
            lease: LeaseId::NONE,
        }
    }

    /// Attaches the marker to a lease, which must outlive every attempt: without the marker, the transaction is applied
    /// again. Without a lease, the marker stays until it is deleted.
    pub fn lease(mut self, lease: impl Into<LeaseId>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Checks whether etcd could execute it.
    pub(in crate::v3) fn check(&self) -> Result<()> {
        check_key(Self::NAME, &self.marker)?;
        self.guarded().check(Self::NAME)
    }

    fn guarded(&self) -> Txn {
        let mark = |word: &[u8]| Put::new(self.marker.clone(), word).lease(self.lease);
        let inner = self.txn.clone();
        let limit = inner.max_operations;
        let outer = Txn::new()
            .max_operations(limit)
            .when(Compare::missing(self.marker.clone()))
            .otherwise(Range::new(self.marker.clone()));
        if self.is_nested() {
            return outer.then(inner.then(mark(SUCCEEDED)).otherwise(mark(NOT_SUCCEEDED)));
        }
        Txn {
            success: inner.success,
            ..outer
        }
        .then(mark(SUCCEEDED))
    }

    /// Whether the transaction needs comparisons of its own. etcd does not count the writes of a nested one against its
    /// quota, so that none is nested without need.
    fn is_nested(&self) -> bool {
        !self.txn.compare.is_empty()
    }
}

impl Operation for ExactlyOnce {
    type Output = ExactlyOnceResponse;
    const NAME: &'static str = "v3.kv.exactly_once";
}

impl Exchange for ExactlyOnce {
    fn call(&self) -> Call {
        Call {
            is_write: true,
            ..protocol::call(Self::NAME, method::TXN, Repeat::Always)
        }
    }

    fn encode(&self, wire: Wire) -> Result<Encoded> {
        check_key(Self::NAME, &self.marker)?;
        protocol::encode(Self::NAME, method::TXN, wire, &self.guarded())
    }
}

impl TypedExchange for ExactlyOnce {
    type Decoded = ExactlyOnceResponse;

    fn decode(&self, answer: Box<Answer>) -> Result<ExactlyOnceResponse> {
        let answer = answer.success()?;
        let txn: TxnResponse = protocol::decode(&answer)?;
        ExactlyOnceResponse::of(txn, self.is_nested()).ok_or_else(|| {
            Error::Unexpected(answer.unexpected("the response does not tell what was done"))
        })
    }
}

/// The response to an [`ExactlyOnce`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExactlyOnceResponse {
    /// The revision at which the transaction was applied.
    pub revision: i64,
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// The responses of its operations. `None` if an earlier attempt applied it, since those responses are lost.
    pub responses: Option<Vec<TxnOpResponse>>,
}

impl ExactlyOnceResponse {
    /// A response of a transaction at this revision. For your own tests.
    pub fn new(revision: i64, succeeded: bool, responses: Option<Vec<TxnOpResponse>>) -> Self {
        Self {
            revision,
            succeeded,
            responses,
        }
    }

    /// Whether an earlier attempt, of this call or another, applied the transaction.
    pub fn is_earlier(&self) -> bool {
        self.responses.is_none()
    }

    fn of(mut answer: TxnResponse, is_nested: bool) -> Option<Self> {
        let revision = answer.header.revision;
        if answer.succeeded && !is_nested {
            // The last response is the marker's.
            let TxnOpResponse::Put(_) = answer.responses.pop()? else {
                return None;
            };
            return Some(Self {
                revision,
                succeeded: true,
                responses: Some(answer.responses),
            });
        }
        match (answer.succeeded, answer.responses.into_iter().next()?) {
            (true, TxnOpResponse::Txn(mut inner)) => {
                // The last response is the marker's.
                inner.responses.pop()?;
                Some(Self {
                    revision,
                    succeeded: inner.succeeded,
                    responses: Some(inner.responses),
                })
            }
            (false, TxnOpResponse::Range(found)) => {
                let KeyValue {
                    create_revision,
                    value,
                    ..
                } = found.into_first()?;
                Some(Self {
                    revision: create_revision,
                    succeeded: value == SUCCEEDED,
                    responses: None,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, body, decoded};

    fn write() -> ExactlyOnce {
        let txn = Txn::new()
            .when(Compare::exists("a"))
            .then(Put::new("b", "c"));
        ExactlyOnce::new("m", txn).lease(7)
    }

    #[test]
    fn r_6_the_transaction_is_guarded_by_its_marker() {
        assert_eq!(write().request().unwrap().repeat(), Repeat::Always);
        assert_eq!(
            body(&write()),
            r#"{"compare":[{"key":"bQ=="}],"success":[{"request_txn":{"compare":[{"result":"GREATER","key":"YQ=="}],"success":[{"request_put":{"key":"Yg==","value":"Yw=="}},{"request_put":{"key":"bQ==","value":"c3VjY2VlZGVk","lease":"7"}}],"failure":[{"request_put":{"key":"bQ==","value":"bm90IHN1Y2NlZWRlZA==","lease":"7"}}]}}],"failure":[{"request_range":{"key":"bQ=="}}]}"#
        );
    }

    #[test]
    fn without_comparisons_nothing_is_nested() {
        let write = ExactlyOnce::new("m", Txn::new().then(Put::new("b", "c"))).lease(7);
        assert_eq!(
            body(&write),
            r#"{"compare":[{"key":"bQ=="}],"success":[{"request_put":{"key":"Yg==","value":"Yw=="}},{"request_put":{"key":"bQ==","value":"c3VjY2VlZGVk","lease":"7"}}],"failure":[{"request_range":{"key":"bQ=="}}]}"#
        );
        let json = r#"{"header":{"cluster_id":"7","revision":"9"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"9"}}},{"response_put":{"header":{"revision":"9"}}}]}"#;
        let done = decoded(&write, 200, json).unwrap();
        assert_eq!((done.revision, done.succeeded), (9, true));
        assert_eq!(done.responses.map(|responses| responses.len()), Some(1));
        let json = r#"{"header":{"cluster_id":"7","revision":"9"},"succeeded":true,"responses":[{"response_txn":{"responses":[{"response_put":{}}]}}]}"#;
        assert!(decoded(&write, 200, json).is_err());
    }

    #[test]
    fn a_transaction_that_was_applied_now_has_its_responses() {
        let json = r#"{"header":{"cluster_id":"7","revision":"9"},"succeeded":true,"responses":[{"response_txn":{"header":{},"succeeded":true,"responses":[{"response_put":{"header":{"cluster_id":"7","revision":"9"}}},{"response_put":{"header":{"cluster_id":"7","revision":"9"}}}]}}]}"#;
        let done = decoded(&write(), 200, json).unwrap();
        assert_eq!(
            (done.revision, done.succeeded, done.is_earlier()),
            (9, true, false)
        );
        assert_eq!(done.responses.unwrap().len(), 1);
    }

    #[test]
    fn what_an_earlier_attempt_did_is_read_from_its_marker() {
        for (value, succeeded) in [("c3VjY2VlZGVk", true), ("bm90IHN1Y2NlZWRlZA==", false)] {
            let json = format!(
                r#"{{"header":{{"cluster_id":"7","revision":"12"}},"responses":[{{"response_range":{{"header":{{"cluster_id":"7","revision":"12"}},"kvs":[{{"key":"bQ==","create_revision":"9","mod_revision":"9","version":"1","value":"{value}"}}],"count":"1"}}}}]}}"#
            );
            let done = decoded(&write(), 200, &json).unwrap();
            assert_eq!((done.revision, done.succeeded), (9, succeeded));
            assert!(done.is_earlier());
        }
    }

    #[test]
    fn a_response_that_does_not_say_is_an_error() {
        for json in [
            "{}",
            r#"{"succeeded":true,"responses":[{"response_put":{}}]}"#,
        ] {
            assert!(decoded(&write(), 200, json).is_err());
        }
    }

    #[test]
    fn a_transaction_that_writes_its_own_marker_is_refused() {
        let txn = Txn::new().then(Put::new("m", ""));
        assert!(ExactlyOnce::new("m", txn).request().is_err());
    }
}
