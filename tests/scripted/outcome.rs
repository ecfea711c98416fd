//! The outcomes of failed writes: the table of rule R-2, row by row.

use etcd_http::{
    Client, Error, Outcome,
    transport::http::Method,
    v2::{CompareAndSwap, Condition, Create, CreateInOrder, Delete, Set},
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step, etcd_error, keys},
};

const ACCEPTED: &str =
    r#"{"action":"set","node":{"key":"/x","value":"y","modifiedIndex":7,"createdIndex":7}}"#;

/// The outcome, and how many requests it took, of a write that meets `step` at the first of two endpoints.
fn outcome(step: Step) -> (Outcome, usize) {
    outcome_of([step])
}

/// The outcome, and how many requests it took, of a write that meets these steps at two endpoints.
fn outcome_of(steps: impl IntoIterator<Item = Step>) -> (Outcome, usize) {
    let client = Client::new(ScriptedTransport::new(steps), ["http://a", "http://b"]).unwrap();
    let error = block_on(client.v2().set("x", "y")).unwrap_err();
    (error.outcome(), client.transport().seen().len())
}

fn page(status: u16, body: &str) -> Step {
    let headers = vec![("content-type", "text/html".to_owned())];
    Step::Respond(status, headers, Ending::Whole(body.to_owned()))
}

fn json(status: u16, body: &str) -> Step {
    keys(status, 0, body)
}

#[test]
fn a_bad_argument_is_not_sent() {
    let client = Client::new(ScriptedTransport::new([]), ["http://a"]).unwrap();
    let v2 = client.v2();
    let too_large = "x".repeat(11 << 20);
    let errors: [Error; 4] = [
        block_on(v2.set("a//b", "y")).unwrap_err(),
        block_on(v2.set("x", too_large)).unwrap_err(),
        block_on(v2.compare_and_swap("x", "y", Condition::index_is(0))).unwrap_err(),
        block_on(client.send(client.request(Method::PUT, "no slash"))).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    }
    assert!(client.transport().seen().is_empty());
}

#[test]
fn without_a_connection_nothing_is_sent_and_every_endpoint_is_tried() {
    let refusals = (0..5).map(|_| Step::Refuse);
    let client = Client::new(ScriptedTransport::new(refusals), ["http://a", "http://b"]).unwrap();
    let error = block_on(client.v2().set("x", "y")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(client.transport().seen().len(), 5);
}

#[test]
fn a_write_that_was_lost_after_attempts_that_were_not_sent_is_unknown() {
    let steps = [Step::Refuse, Step::Break];
    let client = Client::new(ScriptedTransport::new(steps), ["http://a", "http://b"]).unwrap();
    let error = block_on(client.v2().set("x", "y")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[test]
fn a_write_is_unknown_wherever_its_response_breaks_off_and_is_sent_once() {
    assert_eq!(outcome(Step::Break), (Outcome::Unknown, 1));
    assert_eq!(outcome(Step::Silence), (Outcome::Unknown, 1));
    for length in 0..ACCEPTED.len() {
        let cut = Step::Respond(200, vec![], Ending::Cut(&ACCEPTED[..length]));
        assert_eq!(outcome(cut), (Outcome::Unknown, 1), "cut at {length}");
        // Nor does a proxy that ends a body early without an error.
        let short = json(200, &ACCEPTED[..length]);
        assert_eq!(outcome(short), (Outcome::Unknown, 1), "short at {length}");
    }
    let head_alone = Step::Respond(200, vec![], Ending::Open);
    assert_eq!(outcome(head_alone), (Outcome::Unknown, 1));
}

#[test]
fn a_success_that_is_not_etcds_is_unknown() {
    for body in [
        "",
        "\n",
        "<html>Log in</html>",
        "{}",
        "[]",
        "null",
        "{\"action\":1}",
    ] {
        assert_eq!(outcome(page(200, body)), (Outcome::Unknown, 1), "{body:?}");
        assert_eq!(outcome(page(201, body)), (Outcome::Unknown, 1), "{body:?}");
    }
    // The body of an error with the status of a success is neither.
    let error = r#"{"errorCode":105,"message":"Key already exists","cause":"/x","index":9}"#;
    assert_eq!(outcome(json(200, error)), (Outcome::Unknown, 1));
}

#[test]
fn what_the_store_refused_is_rejected() {
    for (status, code) in [
        (404, 100),
        (412, 101),
        (403, 102),
        (400, 104),
        (412, 105),
        (400, 107),
        (403, 108),
        (401, 110),
        (400, 201),
        (400, 202),
        (400, 203),
        (400, 209),
        (400, 210),
        (400, 211),
        (400, 212),
        (400, 400),
        (400, 401),
        // Older servers had more, and later ones may.
        (403, 106),
        (400, 999),
    ] {
        let step = etcd_error(status, code, 9);
        assert_eq!(outcome(step), (Outcome::Rejected, 1), "{status} {code}");
    }
}

#[test]
fn what_raft_gave_up_on_is_unknown() {
    for (status, code) in [(500, 300), (500, 301), (503, 300)] {
        let step = etcd_error(status, code, 0);
        assert_eq!(outcome(step), (Outcome::Unknown, 1), "{status} {code}");
    }
}

#[test]
fn a_code_that_comes_with_a_server_error_is_unknown_whatever_it_is() {
    for code in [100, 105, 302, 999] {
        let step = etcd_error(500, code, 0);
        assert_eq!(outcome(step), (Outcome::Unknown, 1), "{code}");
    }
}

#[test]
fn the_directory_update_that_3_5_cannot_do_is_rejected() {
    let body = r#"{"errorCode":300,"message":"Raft Internal Error","cause":"nodePath /1/x : Not a file ()","index":0}"#;
    assert_eq!(outcome(json(500, body)), (Outcome::Rejected, 1));
}

#[test]
fn t_25_a_404_without_an_etcd_error_is_not_a_missing_key() {
    let page = page(404, "404 page not found\n");
    let client = Client::new(ScriptedTransport::new([page]), ["http://a"]).unwrap();
    let error = block_on(client.v2().set("x", "y")).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error}");
    assert!(!error.is_key_not_found());
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[test]
fn a_4xx_of_the_http_layer_is_rejected() {
    for status in [400, 405, 408, 414] {
        let step = page(status, "<h1>No</h1>");
        assert_eq!(outcome(step), (Outcome::Rejected, 1), "{status}");
    }
    // Another endpoint may have no such proxy.
    for status in [401, 403, 404, 413, 421, 429, 431] {
        let steps = [(); 2].map(|()| page(status, "<h1>No</h1>"));
        assert_eq!(outcome_of(steps), (Outcome::Rejected, 2), "{status}");
    }
}

#[test]
fn what_the_stack_refused_is_not_sent() {
    assert_eq!(outcome(Step::Reject), (Outcome::NotSent, 1));
}

#[test]
fn a_5xx_without_an_etcd_error_is_unknown() {
    for status in [500, 501, 502, 503, 504, 505, 520, 599] {
        let step = page(status, "<h1>Oops</h1>");
        assert_eq!(outcome(step), (Outcome::Unknown, 1), "{status}");
        let step = json(status, r#"{"message":"Internal Server Error"}"#);
        assert_eq!(outcome(step), (Outcome::Unknown, 1), "{status}");
    }
}

#[test]
fn a_redirect_that_is_not_followed_is_rejected_and_one_that_answers_for_the_write_is_unknown() {
    let to = |status, location: &str| {
        let headers = vec![("location", location.to_owned())];
        Step::Respond(status, headers, Ending::Whole(String::new()))
    };
    for (status, location) in [
        (301, "http://a/v2/keys/y"),
        (302, "http://a/v2/keys/y"),
        (307, "http://evil/v2/keys/x"),
        (308, "/v3/kv/put"),
        (307, ""),
    ] {
        let answer = outcome_of([to(status, location), to(status, location)]);
        assert_eq!(answer, (Outcome::Rejected, 2), "{status} to {location}");
    }
    for status in [300, 303, 304] {
        let answer = outcome(to(status, "http://a/done"));
        assert_eq!(answer, (Outcome::Unknown, 1), "{status}");
    }
}

#[test]
fn a_followed_redirect_counts_by_how_it_ends() {
    let there = || {
        let headers = vec![("location", "http://b/v2/keys/x".to_owned())];
        Step::Respond(307, headers, Ending::Whole(String::new()))
    };
    for (end, expected) in [
        (Step::Break, Outcome::Unknown),
        (etcd_error(412, 105, 9), Outcome::Rejected),
        (Step::Reject, Outcome::NotSent),
    ] {
        let client = Client::new(
            ScriptedTransport::new([there(), end]),
            ["http://a", "http://b"],
        )
        .unwrap();
        let error = block_on(client.v2().set("x", "y")).unwrap_err();
        assert_eq!(error.outcome(), expected);
    }
}

#[test]
fn a_response_over_the_limit_is_unknown() {
    let client = Client::builder(ScriptedTransport::new([keys(200, 7, ACCEPTED)]))
        .endpoints(["http://a"])
        .max_response_size(10)
        .build()
        .unwrap();
    let error = block_on(client.v2().set("x", "y")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
}

#[test]
fn no_write_of_any_kind_is_sent_again_when_its_response_is_lost() {
    for lost in [
        || Step::Break,
        || Step::Silence,
        || etcd_error(500, 300, 0),
        || page(502, ""),
        || page(503, ""),
        || page(504, ""),
    ] {
        let client =
            || Client::new(ScriptedTransport::new([lost()]), ["http://a", "http://b"]).unwrap();
        let condition = || Condition::index_is(5);
        let once = |result: Result<(), Error>, client: &Client<ScriptedTransport>| {
            assert_eq!(result.unwrap_err().outcome(), Outcome::Unknown);
            assert_eq!(client.transport().seen().len(), 1);
        };
        macro_rules! each {
            ($($operation:expr),+ $(,)?) => {$({
                let client = client();
                once(block_on(client.send($operation)).map(drop), &client);
            })+};
        }
        each![
            Set::new("x", "y"),
            Create::new("x", "y"),
            CreateInOrder::new("x", "y"),
            CompareAndSwap::new("x", "y", condition()),
            Delete::new("x"),
            etcd_http::v2::SetDir::new("x"),
            etcd_http::v2::CreateDir::new("x"),
            etcd_http::v2::CreateInOrderDir::new("x"),
            etcd_http::v2::Update::new("x", "y"),
            etcd_http::v2::UpdateDir::new("x"),
            etcd_http::v2::Refresh::new("x", std::time::Duration::from_secs(1)),
            etcd_http::v2::DeleteDir::new("x").recursive(true),
            etcd_http::v2::CompareAndDelete::new("x", condition()),
            Set::new("x", "y").without_value(),
            etcd_http::v2::AddMember::new(["http://p"]),
            etcd_http::v2::UpdateMember::new("8e9e05c52164694d", ["http://p"]),
            etcd_http::v2::RemoveMember::new("8e9e05c52164694d"),
            etcd_http::v2::EnableAuth::new(),
            etcd_http::v2::DisableAuth::new(),
            etcd_http::v2::AddUser::new("u", "p"),
            etcd_http::v2::ChangePassword::new("u", "p"),
            etcd_http::v2::GrantRoles::new("u", ["r"]),
            etcd_http::v2::RevokeRoles::new("u", ["r"]),
            etcd_http::v2::DeleteUser::new("u"),
            etcd_http::v2::AddRole::new("r", Default::default()),
            etcd_http::v2::GrantPermissions::new("r", Default::default()),
            etcd_http::v2::RevokePermissions::new("r", Default::default()),
            etcd_http::v2::DeleteRole::new("r"),
        ];
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            let client = client();
            let raw = client.request(method, "/v2/keys/x");
            let sent = block_on(client.send(raw)).map(drop);
            once(sent, &client);
        }
    }
}

#[test]
fn an_error_says_whether_the_write_may_have_been_applied() {
    let doubt = " (the write may have been applied)";
    let text = |steps: Vec<Step>, operation: &str| {
        let client = Client::new(ScriptedTransport::new(steps), ["http://a:2379"]).unwrap();
        let client = client.with_retry(etcd_http::RetryPolicy::default().attempts(2));
        let result = match operation {
            "read" => block_on(client.v3().kv().get("k")).map(drop),
            "revoke" => block_on(client.v3().leases().revoke(7)).map(drop),
            "raw" => {
                let put = client.request(Method::PUT, "/v2/keys/x?value=secret");
                block_on(client.send(put)).map(drop)
            }
            _ => block_on(client.v2().set("x", "y")).map(drop),
        };
        result.unwrap_err().to_string()
    };
    let broken = "the exchange broke off: connection reset";
    assert_eq!(
        text(vec![Step::Break], "set"),
        format!("v2.keys.set at http://a:2379: {broken}{doubt}")
    );
    // A repeatable write is in doubt since its first attempt.
    assert_eq!(
        text(vec![Step::Break, Step::Refuse], "revoke"),
        format!(
            "v3.lease.revoke at http://a:2379 (attempt 2): could not connect: connection refused{doubt}"
        )
    );
    assert_eq!(
        text(vec![Step::Break, Step::Break], "read"),
        format!("v3.kv.range at http://a:2379 (attempt 2): {broken}")
    );
    assert_eq!(
        text(vec![Step::Refuse, Step::Refuse], "set"),
        "v2.keys.set at http://a:2379 (attempt 2): could not connect: connection refused"
    );
    // A raw request shows its method and path, and no value.
    assert_eq!(
        text(vec![Step::Break], "raw"),
        format!("request PUT /v2/keys/x at http://a:2379: {broken}{doubt}")
    );
}
