use crate::v3::protocol::{
    message::{Encode, Fields, ToWire, WriteValue},
    protobuf::{LENGTH_DELIMITED, VARINT},
};

/// A message whose size is known, so that it can be written to its place in a buffer, after a prefix that has the size.
pub(crate) struct Measured<'a, M> {
    message: &'a M,
    size: usize,
    nested: Vec<usize>,
}

impl<'a, M: Encode> Measured<'a, M> {
    pub(crate) fn new(message: &'a M) -> Self {
        let mut measure = Measure::default();
        message.fields(&mut Message(&mut measure));
        Self {
            message,
            size: measure.size,
            nested: measure.nested,
        }
    }

    /// How many bytes the message takes.
    pub(crate) fn len(&self) -> usize {
        self.size
    }

    /// Appends the message.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) {
        buffer.reserve(self.size);
        self.message.fields(&mut Message(&mut Write {
            buffer,
            nested: self.nested.iter(),
        }));
    }
}

/// Where bytes go. A message is written twice: first its bytes are counted, since the size of a nested message precedes
/// it, then they are stored.
trait Sink {
    fn varint(&mut self, value: u64);
    fn bytes(&mut self, value: &[u8]);

    /// Puts out what `content` does, after its size.
    fn nested(&mut self, content: impl FnOnce(&mut Self));
}

/// Counts bytes.
#[derive(Default)]
struct Measure {
    size: usize,
    /// The sizes of nested messages and packed lists, in the order in which they begin.
    nested: Vec<usize>,
}

impl Sink for Measure {
    fn varint(&mut self, value: u64) {
        self.size += varint_size(value);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.size += value.len();
    }

    fn nested(&mut self, content: impl FnOnce(&mut Self)) {
        let index = self.nested.len();
        self.nested.push(0);
        let before = self.size;
        content(self);
        let size = self.size - before;
        if let Some(known) = self.nested.get_mut(index) {
            *known = size;
        }
        self.varint(size as u64);
    }
}

/// Stores bytes, with the sizes that were measured.
struct Write<'a> {
    buffer: &'a mut Vec<u8>,
    nested: std::slice::Iter<'a, usize>,
}

impl Sink for Write<'_> {
    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.buffer.extend_from_slice(value);
    }

    fn nested(&mut self, content: impl FnOnce(&mut Self)) {
        let size = self.nested.next().copied().unwrap_or_default();
        self.varint(size as u64);
        content(self);
    }
}

/// Where a message puts its fields.
struct Message<'a, S>(&'a mut S);

impl<S: Sink> Fields for Message<'_, S> {
    fn put(&mut self, tag: u32, _name: &'static str, value: &impl ToWire) -> &mut Self {
        if !value.is_default() {
            value.write(Value {
                tag: Some(tag),
                sink: self.0,
            });
        }
        self
    }
}

/// Writes one value.
struct Value<'a, S> {
    /// `None` for an element of a packed list.
    tag: Option<u32>,
    sink: &'a mut S,
}

impl<'a, S: Sink> Value<'a, S> {
    fn key(self, wire_type: u32) -> &'a mut S {
        if let Some(tag) = self.tag {
            self.sink.varint((tag << 3 | wire_type).into());
        }
        self.sink
    }
}

impl<S: Sink> WriteValue for Value<'_, S> {
    fn bytes(self, value: &[u8]) {
        let sink = self.key(LENGTH_DELIMITED);
        sink.varint(value.len() as u64);
        sink.bytes(value);
    }

    fn string(self, value: &str) {
        self.bytes(value.as_bytes());
    }

    fn bool(self, value: bool) {
        self.uint64(value.into());
    }

    fn int64(self, value: i64) {
        self.uint64(value as u64);
    }

    fn uint64(self, value: u64) {
        self.key(VARINT).varint(value);
    }

    fn enumeration(self, number: i32, _name: &'static str) {
        self.int64(number.into());
    }

    fn message(self, value: &impl Encode) {
        self.key(LENGTH_DELIMITED)
            .nested(|sink| value.fields(&mut Message(sink)));
    }

    fn list<V: ToWire>(self, values: &[V]) {
        if V::IS_PACKED {
            self.key(LENGTH_DELIMITED).nested(|sink| {
                for value in values {
                    value.write(Value { tag: None, sink });
                }
            });
        } else {
            let Self { tag, sink } = self;
            for value in values {
                value.write(Value { tag, sink });
            }
        }
    }
}

fn varint_size(value: u64) -> usize {
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}
