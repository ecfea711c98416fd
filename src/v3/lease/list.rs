use crate::{
    operation::Repeat,
    v3::{LeaseId, protocol::gateway},
};

gateway::empty! {
    /// Lists all leases: `POST /v3/lease/leases`. The first to end is the first.
    ListLeases;
}

gateway::operation!(
    ListLeases => Vec<LeaseId>, in Answer,
    "v3.lease.list",
    "/v3/lease/leases",
    |_| Repeat::Always
);

#[derive(Default)]
struct Answer {
    leases: Vec<Lease>,
}

#[derive(Default)]
struct Lease {
    id: LeaseId,
}

gateway::decode!(Answer { "leases" => leases });
gateway::decode!(Lease { "ID" => id });

impl From<Answer> for Vec<LeaseId> {
    fn from(answer: Answer) -> Self {
        answer.leases.into_iter().map(|lease| lease.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        operation::Operation,
        v3::testing::{body, decoded},
    };

    #[test]
    fn the_request_and_its_answers_are_as_documented() {
        let call = ListLeases::new().encode().unwrap();
        assert_eq!(
            (call.target(), call.repeat()),
            ("/v3/lease/leases", Repeat::Always)
        );
        assert_eq!(body(&ListLeases::new()), "{}");
        let json = r#"{"header":{"revision":"2"},"leases":[{"ID":"7"},{"ID":"-8"}]}"#;
        let leases = decoded(&ListLeases::new(), 200, json).unwrap();
        assert_eq!(leases, [LeaseId::from(7), LeaseId::from(-8)]);
        assert!(decoded(&ListLeases::new(), 200, "{}").unwrap().is_empty());
    }
}
