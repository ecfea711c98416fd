//! What the tests of operations have in common.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{EndpointOrder, Operation, Reply, Result, endpoints::Endpoints, error::Site};

/// The body that an operation sends.
pub(crate) fn body(operation: &impl Operation) -> String {
    let call = operation.encode().unwrap();
    String::from_utf8(call.body_bytes().to_vec()).unwrap()
}

/// What an operation makes of this answer.
pub(crate) fn decoded<O: Operation>(operation: &O, status: u16, json: &str) -> Result<O::Output> {
    operation.decode(reply::<O>(status, json, false))
}

/// The same after an attempt whose outcome is not known.
pub(crate) fn decoded_after_doubt<O: Operation>(
    operation: &O,
    status: u16,
    json: &str,
) -> Result<O::Output> {
    operation.decode(reply::<O>(status, json, true))
}

fn reply<O: Operation>(status: u16, json: &str, in_doubt: bool) -> Reply {
    let endpoints = vec!["http://127.0.0.1:2379".parse().unwrap()];
    let endpoints = Endpoints::new(endpoints, EndpointOrder::Kept, Instant::now()).unwrap();
    let place = endpoints.current().iter().next().unwrap().clone();
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(json.as_bytes()),
        site: Site {
            operation: O::NAME,
            endpoint: place.endpoint().clone(),
            attempts: 1,
        },
        place,
        in_doubt,
    }
}
