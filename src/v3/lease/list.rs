use crate::v3::{LeaseId, protocol::message};

message::empty! {
    /// Lists all leases, in the order in which they expire: `POST /v3/lease/leases`.
    ListLeases;
}

crate::v3::protocol::operation!(ListLeases => Vec<LeaseId>, in Answer, "v3.lease.list", LEASE_LEASES, Always);

#[derive(Default)]
struct Answer {
    leases: Vec<Lease>,
}

#[derive(Default)]
struct Lease {
    id: LeaseId,
}

message::decode!(Answer { 2 "leases" => leases });
message::decode!(Lease { 1 "ID" => id });

impl From<Answer> for Vec<LeaseId> {
    fn from(answer: Answer) -> Self {
        answer.leases.into_iter().map(|lease| lease.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::testing::{AsRequest, Repeat, body, decoded};

    #[test]
    fn the_request_and_its_responses_are_as_documented() {
        let call = ListLeases::new().request().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/leases", Repeat::Always)
        );
        assert_eq!(body(&ListLeases::new()), "{}");
        let json =
            r#"{"header":{"cluster_id":"7","revision":"2"},"leases":[{"ID":"7"},{"ID":"-8"}]}"#;
        let leases = decoded(&ListLeases::new(), 200, json).unwrap();
        assert_eq!(leases, [LeaseId::from(7), LeaseId::from(-8)]);
        assert!(decoded(&ListLeases::new(), 200, "{}").unwrap().is_empty());
    }

    #[test]
    fn the_messages_are_those_of_etcd() {
        use crate::v3::testing::schema::{Requests, response};

        Requests::of("etcdserverpb.LeaseLeasesRequest")
            .send(&ListLeases::new())
            .all_fields_but(&[]);
        response::<Answer>("etcdserverpb.LeaseLeasesResponse", &["header"]);
    }
}
