//! Helpers for the tests of operations.

mod forms;
pub(crate) mod schema;

use std::fmt::Debug;

use crate::{error::Result, operation::Operation, testing, v3::LeaderKey};

pub(crate) use crate::{pipeline::call::Repeat, testing::AsRequest};

/// Returns the leader of the election `e`.
pub(crate) fn leader() -> LeaderKey {
    LeaderKey {
        name: "e".into(),
        key: "e/7".into(),
        rev: 4,
        lease: 7.into(),
    }
}

/// Returns the body that an operation sends.
pub(crate) fn body(operation: &impl AsRequest) -> String {
    let request = operation.request().unwrap();
    String::from_utf8(request.body_bytes().to_vec()).unwrap()
}

/// Decodes this response to an operation, in each of the forms that etcd 3.4, 3.5 and 3.6 give it: the result is the
/// same.
#[track_caller]
pub(crate) fn decoded<O: Operation>(operation: &O, status: u16, json: &str) -> Result<O::Output>
where
    O::Output: Debug,
{
    decoded_in_doubt(operation, status, json, false)
}

/// Does the same after an attempt with an unknown outcome.
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
    let decode = |status, json: &str| testing::decoded_in_doubt(operation, status, json, in_doubt);
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
