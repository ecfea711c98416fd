//! The types that fields can have.

use bytes::Bytes;

use crate::{
    auth::secret::Secret,
    v3::protocol::message::{Decode, Encode, FromWire, ReadValue, ToWire, WriteValue},
};

macro_rules! scalar {
    ($type:ty: $is_packed:literal, $kind:ident, |$value:ident| $is_default:expr, $written:expr) => {
        impl ToWire for $type {
            const IS_PACKED: bool = $is_packed;

            fn is_default(&self) -> bool {
                let $value = self;
                $is_default
            }

            fn write<W: WriteValue>(&self, to: W) {
                let $value = self;
                to.$kind($written);
            }
        }

        impl FromWire for $type {
            const IS_PACKED: bool = $is_packed;

            fn read<R: ReadValue>(from: R) -> Result<Self, R::Error> {
                from.$kind()
            }
        }
    };
}

scalar!(Bytes: false, bytes, |value| value.is_empty(), value);
scalar!(String: false, string, |value| value.is_empty(), value);
scalar!(bool: true, bool, |value| !value, *value);
scalar!(i64: true, int64, |value| *value == 0, *value);
scalar!(u64: true, uint64, |value| *value == 0, *value);

/// Only responses have 32-bit numbers.
impl FromWire for u32 {
    const IS_PACKED: bool = true;

    fn read<R: ReadValue>(from: R) -> Result<Self, R::Error> {
        from.uint32()
    }
}

/// Only requests have passwords.
impl ToWire for Secret {
    const IS_PACKED: bool = false;

    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write<W: WriteValue>(&self, to: W) {
        to.string(self.expose());
    }
}

#[cfg(test)]
impl ToWire for u32 {
    const IS_PACKED: bool = true;

    fn is_default(&self) -> bool {
        *self == 0
    }

    fn write<W: WriteValue>(&self, to: W) {
        to.uint64((*self).into());
    }
}

/// An empty message is not the same as no message.
impl<M: Encode> ToWire for M {
    fn is_default(&self) -> bool {
        false
    }

    fn write<W: WriteValue>(&self, to: W) {
        to.message(self);
    }
}

impl<M: Decode> FromWire for M {
    fn read<R: ReadValue>(from: R) -> Result<Self, R::Error> {
        let mut message = M::default();
        from.message(&mut message)?;
        Ok(message)
    }

    fn merge<R: ReadValue>(&mut self, from: R) -> Result<(), R::Error> {
        from.message(self)
    }
}

impl<V: ToWire> ToWire for Vec<V> {
    fn is_default(&self) -> bool {
        self.is_empty()
    }

    fn write<W: WriteValue>(&self, to: W) {
        to.list(self);
    }
}

impl<V: FromWire> FromWire for Vec<V> {
    fn read<R: ReadValue>(from: R) -> Result<Self, R::Error> {
        let mut list = Vec::new();
        from.list(&mut list)?;
        Ok(list)
    }

    fn merge<R: ReadValue>(&mut self, from: R) -> Result<(), R::Error> {
        from.list(self)
    }
}

impl<V: ToWire> ToWire for Option<V> {
    fn is_default(&self) -> bool {
        self.is_none()
    }

    fn write<W: WriteValue>(&self, to: W) {
        if let Some(value) = self {
            value.write(to);
        }
    }
}

impl<V: FromWire> FromWire for Option<V> {
    fn read<R: ReadValue>(from: R) -> Result<Self, R::Error> {
        let mut value = None;
        from.option(&mut value)?;
        Ok(value)
    }

    fn merge<R: ReadValue>(&mut self, from: R) -> Result<(), R::Error> {
        from.option(self)
    }
}
