//! The auth API: <https://etcd.io/docs/v2.3/auth_api/>

mod enable;
mod permissions;
mod roles;
mod users;

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
        #[non_exhaustive]
        pub struct $name { $($field: String,)? }

        impl $name {
            /// Creates the operation with these arguments.
            pub fn new($($field: impl AsRef<str>)?) -> Self {
                Self { $($field: $field.as_ref().to_owned(),)? }
            }
        }

        $crate::v2::auth::bare_operation!(@default $name $($field)?);

        impl $crate::operation::Operation for $name {
            type Output = $output;
            const NAME: &'static str = $operation;
        }

        impl $crate::pipeline::exchange::Exchange for $name {
            fn call(&self) -> $crate::pipeline::call::Call {
                use $crate::operation::Operation;
                $crate::v2::protocol::OTHER.$repeat(Self::NAME)
            }

            fn encode(
                &self,
                _: $crate::endpoints::wire::Wire,
            ) -> $crate::error::Result<$crate::pipeline::exchange::Encoded> {
                use $crate::operation::Operation;
                let path = $path.to_owned();
                $(let path = path + &$crate::v2::protocol::segment(Self::NAME, $what, &self.$field)?;)?
                $crate::pipeline::exchange::Encoded::new(Self::NAME, http::Method::$method, path)
            }
        }

        impl $crate::pipeline::exchange::TypedExchange for $name {
            type Decoded = $output;

            fn decode(
                &self,
                answer: $crate::pipeline::answer::Answer,
            ) -> $crate::error::Result<$output> {
                $decode(answer)
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
    // An empty name would address the list.
    (@default $name:ident $field:ident) => {};
}

use bare_operation;
