//! What the tests of operations have in common.

mod forms;

use std::{fmt::Debug, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    endpoints::set::{EndpointOrder, Endpoints},
    error::{ErrorContext, Result},
    operation::{Operation, Reply},
};

/// The body that an operation sends.
pub(crate) fn body(operation: &impl Operation) -> String {
    let call = operation.encode().unwrap();
    String::from_utf8(call.body_bytes().to_vec()).unwrap()
}

/// What an operation makes of this answer: the same, in each of the forms that etcd 3.4, 3.5 and 3.6 give it.
#[track_caller]
pub(crate) fn decoded<O: Operation>(operation: &O, status: u16, json: &str) -> Result<O::Output>
where
    O::Output: Debug,
{
    decoded_in_doubt(operation, status, json, false)
}

/// The same after an attempt whose outcome is not known.
#[track_caller]
pub(crate) fn decoded_after_doubt<O: Operation>(
    operation: &O,
    status: u16,
    json: &str,
) -> Result<O::Output>
where
    O::Output: Debug,
{
    decoded_in_doubt(operation, status, json, true)
}

#[track_caller]
fn decoded_in_doubt<O: Operation>(
    operation: &O,
    status: u16,
    json: &str,
    in_doubt: bool,
) -> Result<O::Output>
where
    O::Output: Debug,
{
    let decode = |status, json: &str| operation.decode(reply::<O>(status, json, in_doubt));
    let as_given = decode(status, json);
    for (status, form) in forms::of(status, json) {
        let read = decode(status, &form);
        match (&as_given, read) {
            (Ok(output), Ok(read)) => {
                assert_eq!(format!("{read:?}"), format!("{output:?}"), "{form}");
            }
            (Err(error), Err(read)) => {
                let seen = (read.etcd_kind(), read.outcome());
                assert_eq!(seen, (error.etcd_kind(), error.outcome()), "{form}");
            }
            (as_given, read) => panic!("{as_given:?} of {json}, and {read:?} of {form}"),
        }
    }
    as_given
}

fn reply<O: Operation>(status: u16, json: &str, in_doubt: bool) -> Reply {
    let endpoints = vec!["http://127.0.0.1:2379".parse().unwrap()];
    let endpoints = Endpoints::new(endpoints, EndpointOrder::AsGiven, Instant::now()).unwrap();
    let place = endpoints.current().iter().next().unwrap().clone();
    Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(json.as_bytes()),
        context: ErrorContext {
            operation: O::NAME,
            endpoint: place.endpoint().clone(),
            attempts: 1,
        },
        place,
        in_doubt,
    }
}
