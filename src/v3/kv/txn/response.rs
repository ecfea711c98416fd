use crate::v3::{DeleteRangeResponse, Header, PutResponse, RangeResponse, protocol::message};

/// The response to a [`Txn`](super::Txn).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnResponse {
    /// The header. Its revision is the one of the writes. Empty in a nested transaction.
    pub header: Header,
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// The responses of the operations of that branch, in order.
    pub responses: Vec<TxnOpResponse>,
}

impl TxnResponse {
    /// A response with these responses of operations. For your own tests.
    pub fn new(succeeded: bool, responses: impl IntoIterator<Item = TxnOpResponse>) -> Self {
        Self {
            header: Header::default(),
            succeeded,
            responses: responses.into_iter().collect(),
        }
    }

    /// Returns the response of the operation at this index, if it was a read.
    pub fn range(&self, index: usize) -> Option<&RangeResponse> {
        match self.responses.get(index)? {
            TxnOpResponse::Range(found) => Some(found),
            _ => None,
        }
    }
}

message::decode!(TxnResponse {
    1 "header" => header,
    2 "succeeded" => succeeded,
    3 "responses" => responses,
});

/// The response of one operation in a transaction. Its header has only the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxnOpResponse {
    /// The response of a [`Range`](super::Range).
    Range(RangeResponse),
    /// The response of a [`Put`](super::Put).
    Put(PutResponse),
    /// The response of a [`DeleteRange`](super::DeleteRange).
    DeleteRange(DeleteRangeResponse),
    /// The response of a nested transaction.
    Txn(TxnResponse),
}

message::oneof!(TxnOpResponse, "the response of an operation is of an unknown kind" {
    1 "response_range" => Range,
    2 "response_put" => Put,
    3 "response_delete_range" => DeleteRange,
    4 "response_txn" => Txn,
});

#[cfg(test)]
mod tests {
    use crate::v3::{Txn, testing::decoded};

    use super::*;

    #[test]
    fn v3_50_responses_of_every_kind_are_read() {
        let json = r#"{"header":{"cluster_id":"7","revision":"9"},"succeeded":true,"responses":[{"response_put":{"header":{"cluster_id":"7","revision":"9"}}},{"response_range":{"header":{"cluster_id":"7","revision":"9"},"kvs":[{"key":"YQ=="}],"count":"1"}},{"response_delete_range":{"header":{"cluster_id":"7","revision":"9"},"deleted":"2"}},{"response_txn":{"header":{}}}]}"#;
        let answer = decoded(&Txn::new(), 200, json).unwrap();
        assert!(answer.succeeded);
        assert_eq!(answer.range(1).unwrap().first().unwrap().key, "a");
        assert_eq!(answer.range(0), None);
        assert!(
            matches!(&answer.responses[2], TxnOpResponse::DeleteRange(deleted) if deleted.deleted == 2)
        );
        assert_eq!(
            answer.responses[3],
            TxnOpResponse::Txn(TxnResponse::default())
        );
    }

    #[test]
    fn a_transaction_without_the_field_succeeded_did_not_succeed() {
        let answer = decoded(
            &Txn::new(),
            200,
            r#"{"header":{"cluster_id":"7","revision":"9"}}"#,
        )
        .unwrap();
        assert!(!answer.succeeded && answer.responses.is_empty());
        let unknown = r#"{"responses":[{}]}"#;
        assert!(decoded(&Txn::new(), 200, unknown).is_err());
    }
}
