//! The fields of the v3 API's messages, independent of the wire: each has a protobuf tag, a JSON name and a value.
//!
//! A message declares its fields once: a request in [`Encode::fields`], a response with [`decode!`], a message that
//! travels in both directions with [`message!`]. The codecs [`json`](super::json) and [`protobuf`](super::protobuf)
//! read these declarations.

mod macros;
mod values;

use bytes::Bytes;

use crate::{error::Result, pipeline::deadline::Deadline, v3::Header};

pub(crate) use macros::{
    decode, empty, fields_in, fields_out, header_in, list, message, names, oneof,
};

/// A message to etcd.
pub(crate) trait Encode {
    /// Checks whether etcd could execute it. The error says what is wrong with it.
    fn check(&self, _operation: &'static str) -> Result<()> {
        Ok(())
    }

    /// Names every field and its value, in the order in which they are written.
    fn fields<F: Fields>(&self, to: &mut F);

    /// How long the request may take.
    fn deadline(&self) -> Deadline {
        Deadline::Usual
    }

    /// Whether it changes nothing, where that is not a property of its method.
    fn is_read(&self) -> bool {
        false
    }

    /// The id of the lease that the request needs; 0 is none.
    fn lease(&self) -> i64 {
        0
    }
}

/// Where a message puts its fields.
pub(crate) trait Fields {
    /// Writes a field. A field with the default value of its type is left out.
    fn put(&mut self, tag: u32, name: &'static str, value: &impl ToWire) -> &mut Self;
}

/// The value of a field that is sent.
pub(crate) trait ToWire {
    /// Whether a list of such values is one field in protobuf, instead of one field for each.
    const IS_PACKED: bool = false;

    /// Whether it is the default value of its type, which is left out.
    fn is_default(&self) -> bool;

    /// Writes the value with its own type.
    fn write<W: WriteValue>(&self, to: W);
}

/// Writes one value, as a type of protobuf.
pub(crate) trait WriteValue: Sized {
    fn bytes(self, value: &[u8]);
    fn string(self, value: &str);
    fn bool(self, value: bool);
    fn int64(self, value: i64);
    fn uint64(self, value: u64);
    fn enumeration(self, number: i32, name: &'static str);
    fn message(self, value: &impl Encode);
    fn list<V: ToWire>(self, values: &[V]);
}

/// A message from etcd. [`decode!`] implements it.
pub(crate) trait Decode: Default {
    /// Takes in one field, or skips one that it does not know.
    fn take<F: Field>(&mut self, key: Key<'_>, field: F) -> Result<(), F::Error>;

    /// Returns the place of the header, which is the first field of a response.
    fn header(&mut self) -> Option<&mut Header> {
        None
    }

    /// Returns the name of a required field that is missing.
    fn missing(&self) -> Option<&'static str> {
        None
    }

    /// Whether it has what etcd never leaves out of a response: a lock has a key, a lease an id.
    fn is_complete(&self) -> bool {
        true
    }
}

/// What identifies a field: JSON has names, protobuf has tags.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    Name(&'a str),
    Tag(u32),
}

/// A field whose value is about to be read.
pub(crate) trait Field: Sized {
    type Error;

    /// Reads the value into `place`.
    fn read_into(self, place: &mut impl FromWire) -> Result<(), Self::Error>;

    /// Skips the value.
    fn skip(self) -> Result<(), Self::Error>;
}

/// The value of a field that is received.
pub(crate) trait FromWire: Sized {
    /// See [`ToWire::IS_PACKED`].
    const IS_PACKED: bool = false;

    /// Reads a value.
    fn read<R: ReadValue>(from: R) -> Result<Self, R::Error>;

    /// Reads a value of a field that may have one already.
    fn merge<R: ReadValue>(&mut self, from: R) -> Result<(), R::Error> {
        *self = Self::read(from)?;
        Ok(())
    }
}

/// Reads one value, as a type of protobuf.
pub(crate) trait ReadValue: Sized {
    type Error;

    fn bytes(self) -> Result<Bytes, Self::Error>;
    fn string(self) -> Result<String, Self::Error>;
    fn bool(self) -> Result<bool, Self::Error>;
    fn int64(self) -> Result<i64, Self::Error>;
    fn uint64(self) -> Result<u64, Self::Error>;
    fn uint32(self) -> Result<u32, Self::Error>;

    /// Reads a value of an enumeration. A value that `all` does not have is read as `other`, or is an error without it.
    fn enumeration<V: Copy + 'static>(
        self,
        all: &'static [Named<V>],
        other: Option<V>,
    ) -> Result<V, Self::Error>;

    /// Reads a message. In protobuf, the fields of `place` that it does not have stay.
    fn message(self, place: &mut impl Decode) -> Result<(), Self::Error>;

    /// Reads a list. In protobuf, which repeats the field for each element, it is appended to `list`.
    fn list<V: FromWire>(self, list: &mut Vec<V>) -> Result<(), Self::Error>;

    /// Reads a value that may be missing.
    fn option<V: FromWire>(self, place: &mut Option<V>) -> Result<(), Self::Error>;

    /// Returns the error for an invalid value.
    fn invalid(what: &'static str) -> Self::Error;
}

/// A value of an enumeration, with its number in protobuf and its name in JSON.
pub(crate) type Named<V> = (i32, &'static str, V);
