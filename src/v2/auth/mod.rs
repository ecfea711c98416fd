//! The auth API: <https://etcd.io/docs/v2.3/auth_api/>

mod enable;
mod permissions;
mod roles;
mod users;

use serde::{Deserialize, Deserializer};

pub use enable::{DisableAuth, EnableAuth, GetAuthStatus};
pub use permissions::Permissions;
pub use roles::{
    CreateRole, DeleteRole, GetRole, GrantPermissions, ListRoles, RevokePermissions, Role,
};
pub use users::{
    ChangePassword, CreateUser, DeleteUser, GetUser, GrantRoles, ListUsers, RevokeRoles, User,
    UserDetails,
};

/// Declares an operation without a body.
macro_rules! bare_operation {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $what:literal)? } -> $output:ty;
        $operation:literal, $method:ident $path:literal, $repeat:ident, $decode:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $name { $($field: String,)? }

        impl $name {
            /// The operation with these arguments.
            pub fn new($($field: impl Into<String>)?) -> Self {
                Self { $($field: $field.into(),)? }
            }
        }

        $crate::v2::auth::bare_operation!(@default $name $($field)?);

        impl $crate::operation::sealed::Sealed for $name {}

        impl $crate::operation::Operation for $name {
            type Output = $output;
            const NAME: &'static str = $operation;

            fn encode(&self) -> $crate::error::Result<$crate::operation::Call> {
                let path = $path.to_owned();
                $(let path = path + &$crate::v2::protocol::segment(Self::NAME, $what, &self.$field)?;)?
                $crate::operation::Call::new(
                    Self::NAME,
                    http::Method::$method,
                    path,
                    $crate::operation::Repeat::$repeat,
                )
            }

            fn decode(&self, reply: $crate::operation::Reply) -> $crate::error::Result<$output> {
                $decode(reply)
            }
        }
    };
    (@default $name:ident) => {
        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    };
    // There is no default name.
    (@default $name:ident $field:ident) => {};
}

use bare_operation;

/// Go's encoder writes an empty list as `null`, now and then.
fn null_is_empty<'de, D, E>(deserializer: D) -> Result<Vec<E>, D::Error>
where
    D: Deserializer<'de>,
    E: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
