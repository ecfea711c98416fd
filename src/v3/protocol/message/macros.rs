//! Declarations of messages and enumerations.

/// Declares the fields of a response: tag, JSON name, and where the value goes. A field that is missing keeps its default
/// value; a field that is not declared is skipped. A message in which the field that it `needs` is empty is an error.
macro_rules! decode {
    (
        $message:ty { $($fields:tt)+ }
        $(needs $($needed:ident).+)?
        $(demands $($demanded:ident).+ $(and $($more:ident).+)?)?
    ) => {
        $crate::v3::protocol::message::fields_in!(
            $message { $($fields)+ } as { $($fields)+ }
            $(needs $($needed).+)?
            $(demands $($demanded).+ $(and $($more).+)?)?
        );

        // Tests write what was read, to compare it.
        #[cfg(test)]
        $crate::v3::protocol::message::fields_out!($message { $($fields)+ });
    };
}

/// Declares the fields of a message that is both sent and received.
macro_rules! message {
    ($message:ty { $($fields:tt)+ }) => {
        $crate::v3::protocol::message::fields_in!($message { $($fields)+ } as { $($fields)+ });
        $crate::v3::protocol::message::fields_out!($message { $($fields)+ });
    };
}

macro_rules! fields_in {
    (
        $message:ty { $($tag:literal $name:literal => $field:ident),+ $(,)? } as { $($fields:tt)+ }
        $(needs $($needed:ident).+)?
        $(demands $($demanded:ident).+ $(and $($more:ident).+)?)?
    ) => {
        impl $crate::v3::protocol::message::Decode for $message {
            #[inline]
            fn take<F: $crate::v3::protocol::message::Field>(
                &mut self,
                key: $crate::v3::protocol::message::Key<'_>,
                field: F,
            ) -> Result<(), F::Error> {
                use $crate::v3::protocol::message::Key;
                match key {
                    $(Key::Name($name) | Key::Tag($tag) => field.read_into(&mut self.$field),)+
                    _ => field.skip(),
                }
            }

            $crate::v3::protocol::message::header_in!($($fields)+);
            $(
                fn missing(&self) -> Option<&'static str> {
                    let is_missing = self.$($needed).+.is_empty();
                    is_missing.then_some(stringify!($($needed).+))
                }
            )?
            $(
                fn is_complete(&self) -> bool {
                    use $crate::v3::protocol::message::ToWire;
                    !self.$($demanded).+.is_default() $(&& !self.$($more).+.is_default())?
                }
            )?
        }
    };
}

/// Where the header goes in a message that has one.
macro_rules! header_in {
    (1 "header" => header $($others:tt)*) => {
        fn header(&mut self) -> Option<&mut $crate::v3::Header> {
            Some(&mut self.header)
        }
    };
    ($($fields:tt)*) => {};
}

macro_rules! fields_out {
    ($message:ty { $($tag:literal $name:literal => $field:ident),+ $(,)? }) => {
        impl $crate::v3::protocol::message::Encode for $message {
            fn fields<F: $crate::v3::protocol::message::Fields>(&self, to: &mut F) {
                $(to.put($tag, $name, &self.$field);)+
            }
        }
    };
}

/// Declares a response of which exactly one of several fields is set: an `enum` with a variant for each.
///
/// Where the wire has several of them, the last one counts.
macro_rules! oneof {
    ($enumeration:ident, $what:literal { $($tag:literal $name:literal => $variant:ident),+ $(,)? }) => {
        impl $crate::v3::protocol::message::FromWire for $enumeration {
            fn read<R: $crate::v3::protocol::message::ReadValue>(
                from: R,
            ) -> Result<Self, R::Error> {
                use $crate::v3::protocol::message::{Decode, Field, Key};

                #[derive(Default)]
                struct OneOf(Option<$enumeration>);

                impl Decode for OneOf {
                    fn take<F: Field>(&mut self, key: Key<'_>, field: F) -> Result<(), F::Error> {
                        match key {
                            $(Key::Name($name) | Key::Tag($tag) => {
                                let mut value = match self.0.take() {
                                    Some($enumeration::$variant(value)) => value,
                                    _ => Default::default(),
                                };
                                field.read_into(&mut value)?;
                                self.0 = Some($enumeration::$variant(value));
                                Ok(())
                            })+
                            _ => field.skip(),
                        }
                    }
                }

                let mut read = OneOf::default();
                from.message(&mut read)?;
                read.0.ok_or_else(|| R::invalid($what))
            }
        }

        #[cfg(test)]
        impl $crate::v3::protocol::message::Encode for $enumeration {
            fn fields<F: $crate::v3::protocol::message::Fields>(&self, to: &mut F) {
                match self {
                    $(Self::$variant(value) => to.put($tag, $name, value),)+
                };
            }
        }
    };
}

/// Declares requests without fields.
macro_rules! empty {
    ($($(#[$doc:meta])* $request:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[must_use = "an operation does nothing before `Client::send`"]
        pub struct $request(());

        impl $request {
            /// The operation.
            pub fn new() -> Self {
                Self(())
            }
        }

        impl $crate::v3::protocol::message::Encode for $request {
            fn fields<F: $crate::v3::protocol::message::Fields>(&self, _: &mut F) {}
        }
    )+};
}

/// Declares a response that stands for a list: the one field that has it.
macro_rules! list {
    ($message:ident { $tag:literal $name:literal => $elements:ty }) => {
        #[derive(Default)]
        pub(super) struct $message {
            list: $elements,
        }

        $crate::v3::protocol::message::decode!($message { $tag $name => list });

        impl From<$message> for $elements {
            fn from(response: $message) -> Self {
                response.list
            }
        }
    };
}

/// Declares an enumeration: etcd's number and name for each value. The first one is the default, 0, which is left out.
/// With an `else`, any other value is read as that: a later etcd may have more.
macro_rules! names {
    (
        $(#[$doc:meta])*
        $visibility:vis enum $enumeration:ident {
            $(#[$first_doc:meta])* $first:ident = 0 $first_name:literal,
            $($(#[$variant_doc:meta])* $variant:ident = $number:literal $name:literal,)*
        }
        $(else { $(#[$other_doc:meta])* $other:ident })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        $visibility enum $enumeration {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$variant_doc])* $variant,)*
            $($(#[$other_doc])* $other,)?
        }

        impl $enumeration {
            const ALL: &'static [$crate::v3::protocol::message::Named<Self>] =
                &[(0, $first_name, Self::$first), $(($number, $name, Self::$variant),)*];

            /// etcd's name for it.
            $visibility fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_name,
                    $(Self::$variant => $name,)*
                    $(Self::$other => "UNKNOWN",)?
                }
            }

            /// etcd's number for it.
            fn number(self) -> i32 {
                match self {
                    Self::$first => 0,
                    $(Self::$variant => $number,)*
                    $(Self::$other => -1,)?
                }
            }
        }

        impl std::fmt::Display for $enumeration {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl $crate::v3::protocol::message::ToWire for $enumeration {
            const IS_PACKED: bool = true;

            fn is_default(&self) -> bool {
                *self == Self::$first
            }

            fn write<W: $crate::v3::protocol::message::WriteValue>(&self, to: W) {
                to.enumeration(self.number(), self.name());
            }
        }

        impl $crate::v3::protocol::message::FromWire for $enumeration {
            const IS_PACKED: bool = true;

            fn read<R: $crate::v3::protocol::message::ReadValue>(
                from: R,
            ) -> Result<Self, R::Error> {
                let other: &[Self] = &[$(Self::$other)?];
                from.enumeration(Self::ALL, other.first().copied())
            }
        }
    };
}

pub(crate) use {decode, empty, fields_in, fields_out, header_in, list, message, names, oneof};
