//! What is measured, as it is written by hand.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::{KEY, VALUE};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// What is measured. Writes come first, so that there is something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets a key by the v2 API.
    V2Set,
    /// Gets a key by the v2 API.
    V2Get,
    /// Puts a key by the JSON gateway.
    V3Put,
    /// Gets a key by the JSON gateway.
    V3Get,
}

/// A request, as each stack sends it.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Operation {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 4] = [Self::V2Set, Self::V2Get, Self::V3Put, Self::V3Get];

    /// Its name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2Set => "v2 set",
            Self::V2Get => "v2 get",
            Self::V3Put => "v3 put",
            Self::V3Get => "v3 get",
        }
    }

    pub(crate) fn request(self) -> Request {
        let post = |path: &str, body| Request {
            method: "POST",
            path: path.to_owned(),
            content_type: Some(JSON),
            body,
        };
        match self {
            Self::V2Set => Request {
                method: "PUT",
                path: format!("/v2/keys{KEY}"),
                content_type: Some(FORM),
                body: format!("value={VALUE}").into(),
            },
            Self::V2Get => Request {
                method: "GET",
                path: format!("/v2/keys{KEY}"),
                content_type: None,
                body: Vec::new(),
            },
            Self::V3Put => post(
                "/v3/kv/put",
                json(&PutRequest {
                    key: BASE64_STANDARD.encode(KEY),
                    value: BASE64_STANDARD.encode(VALUE),
                }),
            ),
            Self::V3Get => post(
                "/v3/kv/range",
                json(&RangeRequest {
                    key: BASE64_STANDARD.encode(KEY),
                }),
            ),
        }
    }

    pub(crate) fn check(self, status: u16, body: &[u8]) {
        assert!(status < 300, "status {status}");
        match self {
            Self::V2Set | Self::V2Get => {
                let event: Event = decoded(body);
                assert_eq!(event.node.value.as_deref(), Some(VALUE));
            }
            Self::V3Put => {
                let response: PutResponse = decoded(body);
                assert!(number(&response.header.revision) > 0);
            }
            Self::V3Get => {
                let response: RangeResponse = decoded(body);
                let kv = &response.kvs[0];
                let [key, value] = [&kv.key, &kv.value].map(|it| bytes(it));
                assert_eq!((&*key, &*value), (KEY.as_bytes(), VALUE.as_bytes()));
                assert!(number(&kv.mod_revision) >= number(&kv.create_revision));
            }
        }
    }
}

fn json(request: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("JSON")
}

fn decoded<'a, A: Deserialize<'a>>(body: &'a [u8]) -> A {
    serde_json::from_slice(body).expect("etcd's JSON")
}

fn bytes(base64: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(base64).expect("base64")
}

fn number(text: &str) -> i64 {
    text.parse().expect("a number")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct Event {
    action: String,
    node: Node,
    prev_node: Option<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct Node {
    key: String,
    value: Option<String>,
    #[serde(default)]
    dir: bool,
    #[serde(default)]
    nodes: Vec<Node>,
    modified_index: u64,
    created_index: u64,
}

#[derive(Serialize)]
struct PutRequest {
    key: String,
    value: String,
}

#[derive(Serialize)]
struct RangeRequest {
    key: String,
}

#[derive(Deserialize)]
struct PutResponse {
    header: Header,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct RangeResponse {
    header: Header,
    #[serde(default)]
    kvs: Vec<KeyValue>,
    count: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct Header {
    cluster_id: String,
    member_id: String,
    revision: String,
    raft_term: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded as a user would, all of it")]
struct KeyValue {
    key: String,
    create_revision: String,
    mod_revision: String,
    version: String,
    value: String,
}
