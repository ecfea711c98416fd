//! One call's way from a value to its response: choose an endpoint, send, wait, classify, and try again where that is safe.

pub(crate) mod deadline;
pub(crate) mod execute;
pub(crate) mod observe;
pub(crate) mod reconnect;
pub(crate) mod redirect;
pub(crate) mod response_check;
pub(crate) mod retry;
