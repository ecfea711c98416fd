//! The types that a field of a message can have.

use bytes::Bytes;

use super::{Message, proto, write::Writer};

/// A field of a message, whatever its type.
pub(crate) trait Field {
    /// The field as a codec has to treat it.
    fn slot(&mut self) -> Slot<'_>;
    /// Gives the field the value that is left out.
    fn clear(&mut self);
    /// Whether the field has the value that is left out of JSON and protobuf.
    fn is_absent(&self) -> bool;
    fn write_json(&self, out: &mut Writer);
    /// Appends the field with its tag in protobuf.
    fn write_proto(&self, tag: u32, out: &mut Vec<u8>);
}

/// A field to be written by a decoder.
pub(crate) enum Slot<'a> {
    Bytes(&'a mut Bytes),
    String(&'a mut String),
    Bool(&'a mut bool),
    I64(&'a mut i64),
    U64(&'a mut u64),
    U32(&'a mut u32),
    Enumeration(&'a mut i32, &'static EnumerationType),
    Message(&'a mut dyn Message),
    List(&'a mut dyn List),
}

impl Slot<'_> {
    /// Whether protobuf has the value as a number, which can be packed with others.
    pub(crate) fn is_number(&self) -> bool {
        match self {
            Self::Bool(_) | Self::I64(_) | Self::U64(_) | Self::U32(_) => true,
            Self::Enumeration(..) => true,
            Self::Bytes(_) | Self::String(_) | Self::Message(_) | Self::List(_) => false,
        }
    }
}

/// A repeated field.
pub(crate) trait List {
    /// Adds an element.
    fn push(&mut self) -> Slot<'_>;
    /// Removes the last element.
    fn pop(&mut self);
}

/// The names of an enumeration.
#[derive(Debug)]
pub(crate) struct EnumerationType {
    /// As Go calls the type.
    pub(crate) name: &'static str,
    pub(crate) values: &'static [(i32, &'static str)],
}

impl EnumerationType {
    pub(crate) fn number(&self, name: &[u8]) -> Option<i32> {
        let mut values = self.values.iter();
        let found = values.find(|(_, other)| other.as_bytes() == name);
        found.map(|&(number, _)| number)
    }

    pub(crate) fn name(&self, number: i32) -> Option<&'static str> {
        let mut values = self.values.iter();
        let found = values.find(|&&(other, _)| other == number);
        found.map(|&(_, name)| name)
    }
}

/// A type whose values can be elements of lists and members of a oneof.
pub(crate) trait Scalar: Default {
    fn scalar_slot(&mut self) -> Slot<'_>;
    fn is_zero(&self) -> bool;
    fn write_scalar(&self, out: &mut Writer);
    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>);
}

impl Scalar for Bytes {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Slot::Bytes(self)
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write_scalar(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        proto::push_bytes(out, tag, self);
    }
}

impl Scalar for String {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Slot::String(self)
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write_scalar(&self, out: &mut Writer) {
        out.string(self);
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        proto::push_bytes(out, tag, self.as_bytes());
    }
}

impl Scalar for bool {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Slot::Bool(self)
    }

    fn is_zero(&self) -> bool {
        !self
    }

    fn write_scalar(&self, out: &mut Writer) {
        out.word(if *self { "true" } else { "false" });
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        proto::push_number(out, tag, u64::from(*self));
    }
}

impl Scalar for i64 {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Slot::I64(self)
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }

    fn write_scalar(&self, out: &mut Writer) {
        out.long(*self < 0, self.unsigned_abs());
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        proto::push_number(out, tag, self.cast_unsigned());
    }
}

impl Scalar for u64 {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Slot::U64(self)
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }

    fn write_scalar(&self, out: &mut Writer) {
        out.long(false, *self);
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        proto::push_number(out, tag, *self);
    }
}

impl Scalar for u32 {
    fn scalar_slot(&mut self) -> Slot<'_> {
        Slot::U32(self)
    }

    fn is_zero(&self) -> bool {
        *self == 0
    }

    fn write_scalar(&self, out: &mut Writer) {
        out.word(&self.to_string());
    }

    fn write_tagged(&self, tag: u32, out: &mut Vec<u8>) {
        proto::push_number(out, tag, u64::from(*self));
    }
}

impl<S: Scalar> Field for S {
    fn slot(&mut self) -> Slot<'_> {
        self.scalar_slot()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn is_absent(&self) -> bool {
        self.is_zero()
    }

    fn write_json(&self, out: &mut Writer) {
        self.write_scalar(out);
    }

    fn write_proto(&self, tag: u32, out: &mut Vec<u8>) {
        if !self.is_zero() {
            self.write_tagged(tag, out);
        }
    }
}

impl<S: Scalar> Field for Option<S> {
    /// Sets the field, unless it is set.
    fn slot(&mut self) -> Slot<'_> {
        self.get_or_insert_with(S::default).scalar_slot()
    }

    fn clear(&mut self) {
        *self = None;
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write_json(&self, out: &mut Writer) {
        if let Some(value) = self {
            value.write_scalar(out);
        }
    }

    fn write_proto(&self, tag: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.write_tagged(tag, out);
        }
    }
}

impl<S: Scalar> Field for Vec<S> {
    fn slot(&mut self) -> Slot<'_> {
        Slot::List(self)
    }

    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write_json(&self, out: &mut Writer) {
        out.list(self.len(), |out, position| {
            if let Some(element) = self.get(position) {
                element.write_scalar(out);
            }
        });
    }

    fn write_proto(&self, tag: u32, out: &mut Vec<u8>) {
        for element in self {
            element.write_tagged(tag, out);
        }
    }
}

impl<S: Scalar> List for Vec<S> {
    fn push(&mut self) -> Slot<'_> {
        let position = self.len();
        Vec::push(self, S::default());
        // The element was added just now.
        self[position].scalar_slot()
    }

    fn pop(&mut self) {
        Vec::pop(self);
    }
}
