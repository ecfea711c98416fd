//! What an error says about a response without etcd's words: the advice fits, and no secret is shown.

use std::fmt::Debug;

use etcd_http::{
    Client, Error, Outcome, Result,
    transport::http::{Method, StatusCode},
    v2::{AddUser, ChangePassword, Get, Set},
    v3::Range,
};
use harness::{
    clock::block_on,
    scripted_transport::{Ending, ScriptedTransport, Step},
};

fn client(
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: &str,
) -> Client<ScriptedTransport> {
    let step = Step::Respond(status, headers, Ending::Whole(body.to_owned()));
    Client::new(ScriptedTransport::new([step]), ["http://a"]).unwrap()
}

fn error<O: Debug>(result: Result<O>) -> Error {
    result.unwrap_err()
}

#[test]
fn the_page_of_another_program_does_not_advise_to_enable_v2() {
    let page = || client(404, vec![], "<h1>Not found</h1>");
    let (read, write) = (page(), page());
    for error in [
        error(block_on(read.send(Get::new("x")))),
        error(block_on(write.send(Set::new("x", "y")))),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("is the path of this endpoint wrong?"),
            "{text}"
        );
        assert!(!text.contains("enable-v2"), "{text}");
        assert_eq!(error.outcome(), Outcome::Rejected);
    }
}

/// A read of the v3 API is a POST, as a write is.
#[test]
fn a_read_of_v3_that_is_redirected_is_not_called_a_write() {
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND] {
        let location = vec![("location", "http://a/v3/kv/range".to_owned())];
        let redirected = client(status.as_u16(), location, "");
        let text = error(block_on(redirected.send(Range::new("k")))).to_string();
        assert!(text.contains("which is not followed for a POST"), "{text}");
        assert!(!text.contains("write"), "{text}");
    }
}

#[test]
fn a_page_that_quotes_a_request_of_v2_does_not_show_its_password() {
    let page = || {
        let page = r#"<h1>Bad request: {"user":"root","password":"hunter2"}</h1>"#;
        client(400, vec![], page)
    };
    let (adding, changing, other) = (page(), page(), page());
    for error in [
        error(block_on(adding.send(AddUser::new("root", "hunter2")))),
        error(block_on(
            changing.send(ChangePassword::new("root", "hunter2")),
        )),
    ] {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("400"), "{shown}");
    }
    // The page of a request without a secret is shown.
    let write = other.request(Method::PUT, "/v2/keys/x");
    let shown = error(block_on(other.send(write))).to_string();
    assert!(shown.contains("Bad request"), "{shown}");
}
