//! Which alarms are lifted, and of which members.

use std::{
    collections::VecDeque,
    future::pending,
    sync::Mutex,
    time::{Duration, Instant},
};

use etcd_http::{
    Client,
    transport::{Request, Response, Transport, TransportError, async_trait},
    v3::AlarmKind,
};
use harness::{clock::block_on, scripted_transport::without_grpc};

/// An etcd with alarms: its next responses, and the requests that it has received.
#[derive(Debug, Default)]
struct Alarmed {
    responses: Mutex<VecDeque<String>>,
    requests: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Alarmed {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        without_grpc(&request)?;
        let (head, body) = request.into_parts();
        assert_eq!(head.uri.path(), "/v3/maintenance/alarm");
        let body = body.try_into_bytes().expect("a whole body");
        let request = String::from_utf8_lossy(&body).into_owned();
        self.requests.lock().unwrap().push(request);
        let response = self.responses.lock().unwrap().pop_front();
        Ok(Response::new(response.expect("a response").into()))
    }

    async fn sleep(&self, _: Duration) {
        pending::<()>().await;
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// The requests that lifting these alarms takes.
fn lifted(kind: AlarmKind, alarms: &[(u64, &str)]) -> Vec<String> {
    let alarm =
        |(member, kind): &(u64, &str)| format!(r#"{{"memberID":"{member}","alarm":"{kind}"}}"#);
    let response = |alarms: &[String]| format!(r#"{{"alarms":[{}]}}"#, alarms.join(","));
    let alarms: Vec<_> = alarms.iter().map(alarm).collect();
    let one_each = alarms
        .iter()
        .map(|alarm| response(std::slice::from_ref(alarm)));
    let responses = [response(&alarms)].into_iter().chain(one_each);
    let etcd = Alarmed {
        responses: Mutex::new(responses.collect()),
        ..Alarmed::default()
    };
    let client = Client::new(etcd, ["http://a"]).unwrap();
    block_on(client.v3().maintenance().lift_alarm(kind)).unwrap();
    client.transport().requests.lock().unwrap().split_off(1)
}

/// To etcd, the member 0 is one that has no alarm.
#[test]
fn each_alarm_is_lifted_of_the_member_that_has_it() {
    let alarms = [(7, "NOSPACE"), (8, "CORRUPT"), (9, "NOSPACE")];
    let lift = |member: u64, kind: &str| {
        format!(r#"{{"action":"DEACTIVATE","memberID":"{member}","alarm":"{kind}"}}"#)
    };
    let all = alarms.map(|(member, kind)| lift(member, kind));
    assert_eq!(lifted(AlarmKind::None, &alarms), all);
    let [first, _, last] = all;
    assert_eq!(lifted(AlarmKind::NoSpace, &alarms), [first, last]);
}
