use crate::{
    operation::Repeat,
    v3::{
        Header,
        header::OnlyHeader,
        protocol::gateway::{self, Encode, Fields},
    },
};

/// Makes another member the leader of the cluster: `POST /v3/maintenance/transfer-leadership`. Only the leader itself does
/// this, so use a client with its endpoint alone. Answers a header without content.
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
    fn fields(&self, to: &mut Fields<'_>) {
        to.put("targetID", &self.target);
    }
}

gateway::operation!(
    TransferLeadership => Header, in OnlyHeader,
    "v3.maintenance.transfer_leadership",
    "/v3/maintenance/transfer-leadership",
    |_| Repeat::Always
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::EtcdErrorKind,
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_and_its_answers_are_as_documented() {
        let transfer = TransferLeadership::new(7);
        let call = transfer.encode().unwrap();
        assert_eq!(call.target(), "/v3/maintenance/transfer-leadership");
        assert_eq!(body(&transfer), r#"{"targetID":"7"}"#);
        assert!(decoded(&transfer, 200, "{}").is_ok());
        let bad = r#"{"code":9, "message":"etcdserver: bad leader transferee"}"#;
        let error = decoded(&transfer, 400, bad).unwrap_err();
        assert_eq!(error.etcd_kind(), Some(EtcdErrorKind::BadLeaderTransferee));
    }
}
