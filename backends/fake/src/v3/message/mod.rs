//! The messages of etcd's v3 API, each declared once: its fields with their tags and names.
//!
//! They are the fake's own, independent of any client. Two readers of JSON (that of 3.4 in [`jsonpb`], that of 3.5 in
//! [`protojson`]), a writer of JSON, and a decoder and an encoder of protobuf work on the declarations.

pub(crate) mod auth;
pub(crate) mod cluster;
pub(crate) mod decode;
pub(crate) mod election;
mod field;
pub(crate) mod health;
pub(crate) mod jsonpb;
pub(crate) mod kv;
pub(crate) mod lease;
pub(crate) mod lock;
pub(crate) mod maintenance;
pub(crate) mod proto;
pub(crate) mod protojson;
pub(crate) mod watch;
pub(crate) mod write;

pub(crate) use field::{EnumerationType, Field, Scalar, Slot};

/// A message of the API.
pub(crate) trait Message {
    fn descriptor(&self) -> &'static Descriptor;
    fn field(&self, position: usize) -> &dyn Field;
    fn field_mut(&mut self, position: usize) -> &mut dyn Field;
}

/// The fields of a message, in the order of the declaration.
#[derive(Debug)]
pub(crate) struct Descriptor {
    /// As Go calls the message.
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [FieldDescriptor],
}

#[derive(Debug)]
pub(crate) struct FieldDescriptor {
    pub(crate) tag: u32,
    /// The name in the `.proto` file, which is also the one in JSON.
    pub(crate) name: &'static str,
    /// The full name of the oneof that the field belongs to.
    pub(crate) oneof: Option<&'static str>,
}

impl FieldDescriptor {
    /// The name in camel case.
    pub(crate) fn camel_name(&self) -> String {
        let mut out = String::with_capacity(self.name.len());
        let mut is_upper = false;
        for character in self.name.chars() {
            if character == '_' {
                is_upper = true;
            } else if std::mem::take(&mut is_upper) {
                out.push(character.to_ascii_uppercase());
            } else {
                out.push(character);
            }
        }
        out
    }

    /// The name of the field in Go.
    pub(crate) fn go_name(&self) -> String {
        let mut name = self.camel_name();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        name
    }

    /// Whether a name in JSON means this field.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes() == name
            || (self.name.contains('_') && self.camel_name().as_bytes() == name)
    }
}

/// The field at a position, which comes from the descriptor.
pub(crate) fn nth<const N: usize>(fields: [&mut dyn Field; N], position: usize) -> &mut dyn Field {
    let mut fields = fields.into_iter();
    let field = fields.nth(position);
    field.expect("a descriptor has as many fields as its message")
}

/// Declares messages, with what Go calls them if that is another name. A field is `name: Type = tag`, then its name in JSON
/// if that is not the field's, and the oneof that it belongs to.
macro_rules! messages {
    ($($(#[$attribute:meta])* $name:ident $(as $go:literal)? {
        $($field:ident: $type:ty = $tag:literal $(as $json:literal)? $(in $oneof:literal)?;)*
    })*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl $crate::v3::message::Message for $name {
            fn descriptor(&self) -> &'static $crate::v3::message::Descriptor {
                &$crate::v3::message::Descriptor {
                    name: $crate::v3::message::or!($($go)?, stringify!($name)),
                    fields: &[$($crate::v3::message::FieldDescriptor {
                        tag: $tag,
                        name: $crate::v3::message::or!($($json)?, stringify!($field)),
                        oneof: $crate::v3::message::oneof!($($oneof)?),
                    },)*],
                }
            }

            fn field(&self, position: usize) -> &dyn $crate::v3::message::Field {
                let fields: &[&dyn $crate::v3::message::Field] = &[$(&self.$field,)*];
                fields[position]
            }

            fn field_mut(&mut self, position: usize) -> &mut dyn $crate::v3::message::Field {
                $crate::v3::message::nth([$(&mut self.$field,)*], position)
            }
        }

        impl $crate::v3::message::Scalar for $name {
            fn scalar_slot(&mut self) -> $crate::v3::message::Slot<'_> {
                $crate::v3::message::Slot::Message(self)
            }

            fn is_zero(&self) -> bool {
                false
            }

            fn write_scalar(&self, out: &mut $crate::v3::message::write::Writer) {
                out.message(self);
            }

            fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::v3::message::proto::push_message(out, tag, self);
            }
        }
    )*};
}
pub(crate) use messages;

macro_rules! or {
    (, $default:expr) => {
        $default
    };
    ($given:literal, $default:expr) => {
        $given
    };
}
pub(crate) use or;

macro_rules! oneof {
    () => {
        None
    };
    ($name:literal) => {
        Some($name)
    };
}
pub(crate) use oneof;

/// Declares enumerations: open ones, as in proto3. The literal is what Go calls the type.
macro_rules! enumerations {
    ($($(#[$attribute:meta])* $name:ident = $go:literal { $($value:ident = $number:literal,)* })*) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) i32);

        impl $name {
            $(pub(crate) const $value: Self = Self($number);)*
            const TYPE: &'static $crate::v3::message::EnumerationType = &$crate::v3::message::EnumerationType {
                name: $go,
                values: &[$((Self::$value.0, stringify!($value)),)*],
            };
        }

        impl $crate::v3::message::Scalar for $name {
            fn scalar_slot(&mut self) -> $crate::v3::message::Slot<'_> {
                $crate::v3::message::Slot::Enumeration(&mut self.0, Self::TYPE)
            }

            fn is_zero(&self) -> bool {
                self.0 == 0
            }

            fn write_scalar(&self, out: &mut $crate::v3::message::write::Writer) {
                match Self::TYPE.name(self.0) {
                    Some(name) => out.string(name),
                    None => out.word(&self.0.to_string()),
                }
            }

            fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::v3::message::proto::push_number(out, tag, i64::from(self.0).cast_unsigned());
            }
        }
    )*};
}
pub(crate) use enumerations;
