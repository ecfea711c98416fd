use serde::Deserialize;

use crate::{
    pipeline::answer::Answer,
    v2::{operation::bare_operation, protocol},
};

bare_operation! {
    /// Returns whether authentication is enabled: `GET /v2/auth/enable`.
    GetAuthStatus {} -> bool;
    "v2.auth.status", GET "/v2/auth/enable", read,
    |answer: Box<Answer>| answer.json().map(|Enabled { enabled }| enabled)
}

bare_operation! {
    /// Enables authentication: `PUT /v2/auth/enable`. A user `root` must exist. etcd creates a role `guest` with all
    /// permissions if there is none.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) without a user `root`, or if authentication is
    /// already enabled.
    EnableAuth {} -> ();
    "v2.auth.enable", PUT "/v2/auth/enable", write, protocol::empty
}

bare_operation! {
    /// Disables authentication: `DELETE /v2/auth/enable`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) if authentication is already disabled.
    DisableAuth {} -> ();
    "v2.auth.disable", DELETE "/v2/auth/enable", write, protocol::empty
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}
