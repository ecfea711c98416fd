use crate::v3::protocol::message::{Encode, Fields};

/// Makes another member the leader: `POST /v3/maintenance/transfer-leadership`. Only the leader accepts this: use a
/// client whose only endpoint is the leader's. Returns an empty header.
///
/// # Errors
/// [`BadLeaderTransferee`](crate::EtcdErrorKind::BadLeaderTransferee), [`NotLeader`](crate::EtcdErrorKind::NotLeader).
#[doc(alias = "move_leader")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an operation does nothing before `Client::send`"]
pub struct TransferLeadership {
    target: u64,
}

impl TransferLeadership {
    /// Makes the member with this id the leader.
    pub fn new(member_id: u64) -> Self {
        Self { target: member_id }
    }
}

impl Encode for TransferLeadership {
    fn fields<F: Fields>(&self, to: &mut F) {
        to.put(1, "targetID", &self.target);
    }
}

crate::v3::protocol::operation!(
    TransferLeadership => Header,
    "v3.maintenance.transfer_leadership",
    MOVE_LEADER, Always
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::EtcdErrorKind,
        testing::AsRequest,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_and_its_responses_are_as_documented() {
        let transfer = TransferLeadership::new(7);
        let call = transfer.request().unwrap();
        assert_eq!(call.target(), "/v3/maintenance/transfer-leadership");
        assert_eq!(body(&transfer), r#"{"targetID":"7"}"#);
        assert!(decoded(&transfer, 200, "{}").is_ok());
        let bad = r#"{"code":9, "message":"etcdserver: bad leader transferee"}"#;
        let error = decoded(&transfer, 400, bad).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::BadLeaderTransferee));
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::Requests;

        Requests::of("etcdserverpb.MoveLeaderRequest")
            .send(&TransferLeadership::new(7))
            .all_fields_but(&[]);
    }
}
