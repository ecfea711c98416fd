use serde::Deserialize;

use crate::v2::auth::bare_operation;
use crate::v2::protocol;

bare_operation! {
    /// Whether authentication is on: `GET /v2/auth/enable`.
    GetAuthStatus {} -> bool;
    "v2.auth.status", GET "/v2/auth/enable", Always,
    |reply| protocol::json(reply).map(|Enabled { enabled }| enabled)
}

bare_operation! {
    /// Switches authentication on: `PUT /v2/auth/enable`. There must be a user `root`; a role `guest` that may do
    /// everything is made if there is none.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) without a user `root`, and when it is on already.
    EnableAuth {} -> ();
    "v2.auth.enable", PUT "/v2/auth/enable", IfUnsent, protocol::empty
}

bare_operation! {
    /// Switches authentication off: `DELETE /v2/auth/enable`.
    ///
    /// # Errors
    /// [`EtcdErrorKind::Conflict`](crate::EtcdErrorKind::Conflict) when it is off already.
    DisableAuth {} -> ();
    "v2.auth.disable", DELETE "/v2/auth/enable", IfUnsent, protocol::empty
}

#[derive(Deserialize)]
struct Enabled {
    enabled: bool,
}
