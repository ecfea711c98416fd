//! Macros that declare the operations of the v2 API.

/// Implements an operation: type and output, name, API and whether it changes something (and the field on which this depends),
/// and how the response is decoded.
///
/// The type has a method `encoded(&self, operation: &'static str) -> Result<Encoded>`: v2 has one wire.
macro_rules! operation {
    (
        $name:ty => $output:ty, $operation:literal,
        $api:ident.$access:ident $(($field:ident))?, $decode:expr
    ) => {
        impl $crate::operation::Operation for $name {
            type Output = $output;
            const NAME: &'static str = $operation;
        }

        impl $crate::pipeline::exchange::Exchange for $name {
            fn call(&self) -> $crate::pipeline::call::Call {
                $crate::v2::protocol::$api.$access($operation $(, self.$field)?)
            }

            fn encode(
                &self,
                _: $crate::endpoints::wire::Wire,
            ) -> $crate::error::Result<$crate::pipeline::exchange::Encoded> {
                self.encoded($operation)
            }
        }

        impl $crate::pipeline::exchange::TypedExchange for $name {
            type Decoded = $output;

            fn decode(
                &self,
                answer: Box<$crate::pipeline::answer::Answer>,
            ) -> $crate::error::Result<$output> {
                $decode(answer)
            }
        }
    };
}

/// Declares an operation without a body, outside the keys API: its documentation, its argument, a segment of the path, if it has
/// one; its output, name, method and path, whether it changes something, and how the response is decoded.
macro_rules! bare_operation {
    (
        $(#[$doc:meta])*
        $name:ident { $($field:ident: $what:literal)? } -> $output:ty;
        $operation:literal, $method:ident $path:literal, $access:ident, $decode:expr
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

            fn encoded(
                &self,
                operation: &'static str,
            ) -> $crate::error::Result<$crate::pipeline::exchange::Encoded> {
                let path = $path.to_owned();
                $(let path = path + &$crate::v2::protocol::segment(operation, $what, &self.$field)?;)?
                $crate::pipeline::exchange::Encoded::new(operation, http::Method::$method, path)
            }
        }

        $crate::v2::operation::bare_operation!(@default $name $($field)?);
        $crate::v2::operation::operation!($name => $output, $operation, OTHER.$access, $decode);
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

pub(in crate::v2) use {bare_operation, operation};
