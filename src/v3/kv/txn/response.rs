use serde::{Deserializer, de};

use crate::v3::{
    DeleteRangeResponse, Header, PutResponse, RangeResponse,
    protocol::gateway::{self, FromWire},
};

/// What a [`Txn`](super::Txn) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TxnResponse {
    /// Who answered. Its revision is the one of what was written. Empty within another transaction.
    pub header: Header,
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// What the operations of that branch did, in their order.
    pub responses: Vec<TxnOpResponse>,
}

impl TxnResponse {
    /// What the operation at this place of the branch found, if it was a read.
    pub fn range(&self, place: usize) -> Option<&RangeResponse> {
        match self.responses.get(place)? {
            TxnOpResponse::Range(found) => Some(found),
            _ => None,
        }
    }
}

gateway::decode!(TxnResponse {
    "header" => header,
    "succeeded" => succeeded,
    "responses" => responses,
});

/// What one operation of a transaction did. Its header has only the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TxnOpResponse {
    /// What a [`Range`](super::Range) found.
    Range(RangeResponse),
    /// What a [`Put`](super::Put) did.
    Put(PutResponse),
    /// What a [`DeleteRange`](super::DeleteRange) did.
    DeleteRange(DeleteRangeResponse),
    /// What an inner transaction did.
    Txn(TxnResponse),
}

impl FromWire for TxnOpResponse {
    fn read<'de, D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let answer = OneOf::read(json)?;
        None.or(answer.range.map(Self::Range))
            .or(answer.put.map(Self::Put))
            .or(answer.delete_range.map(Self::DeleteRange))
            .or(answer.txn.map(Self::Txn))
            .ok_or_else(|| de::Error::custom("the answer to an operation is of no known kind"))
    }
}

#[derive(Default)]
struct OneOf {
    range: Option<RangeResponse>,
    put: Option<PutResponse>,
    delete_range: Option<DeleteRangeResponse>,
    txn: Option<TxnResponse>,
}

gateway::decode!(OneOf {
    "response_range" => range,
    "response_put" => put,
    "response_delete_range" => delete_range,
    "response_txn" => txn,
});

#[cfg(test)]
mod tests {
    use crate::v3::{Txn, testing::decoded};

    use super::*;

    #[test]
    fn v3_50_answers_of_every_kind_are_read() {
        let json = r#"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"9"}}},{"response_range":{"header":{"revision":"9"},"kvs":[{"key":"YQ=="}],"count":"1"}},{"response_delete_range":{"header":{"revision":"9"},"deleted":"2"}},{"response_txn":{"header":{}}}]}"#;
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
    fn a_transaction_that_did_not_succeed_says_so_by_saying_nothing() {
        let answer = decoded(&Txn::new(), 200, r#"{"header":{"revision":"9"}}"#).unwrap();
        assert!(!answer.succeeded && answer.responses.is_empty());
        let unknown = r#"{"responses":[{}]}"#;
        assert!(decoded(&Txn::new(), 200, unknown).is_err());
    }
}
