//! Random messages.

use bytes::Bytes;
use fastrand::Rng;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// Makes random messages: always the same ones from the same seed.
#[derive(Debug)]
pub struct Random(Rng);

impl Random {
    /// Makes messages from this seed.
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// A message that etcd could send: keys are not empty, every event has a key, and of fields of which one may be set,
    /// one is.
    pub fn message(&mut self, descriptor: &MessageDescriptor) -> DynamicMessage {
        self.nested(descriptor, 4)
    }

    /// A field that no message of etcd has, as bytes: of any wire type but groups.
    pub fn unknown_field(&mut self) -> Vec<u8> {
        let wire_type = self.0.choice([0, 1, 2, 5]).unwrap_or_default();
        let mut bytes = Vec::new();
        varint(
            u64::from(self.0.u32(1_000..1 << 29) << 3 | wire_type),
            &mut bytes,
        );
        let length = match wire_type {
            0 => {
                varint(self.number(), &mut bytes);
                0
            }
            1 => 8,
            2 => {
                let length = self.0.usize(0..300);
                varint(length as u64, &mut bytes);
                length
            }
            _ => 4,
        };
        bytes.extend(std::iter::repeat_with(|| self.0.u8(..)).take(length));
        bytes
    }

    /// A message with one to three bytes replaced.
    pub fn broken(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut broken = bytes.to_vec();
        for _ in 0..self.0.usize(1..=3) {
            let random = self.0.u8(..);
            if let Some(byte) = self.0.choice(&mut broken) {
                *byte = random;
            }
        }
        broken
    }

    fn nested(&mut self, descriptor: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            if field.containing_oneof().is_some() {
                continue;
            }
            let is_required = matches!(
                (descriptor.full_name(), field.name()),
                (_, "key") | ("mvccpb.Event", "kv")
            );
            if is_required || self.0.u8(..4) > 0 {
                let value = self.field(&field, depth);
                message.set_field(&field, value);
            }
        }
        for choices in descriptor.oneofs() {
            // Transactions in transactions end somewhere.
            let ends = |field: &FieldDescriptor| depth > 0 || !field.name().ends_with("_txn");
            let fields: Vec<_> = choices.fields().filter(ends).collect();
            let chosen = self.0.choice(fields);
            if let Some(field) = chosen {
                let value = self.field(&field, depth);
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        if field.is_list() {
            let length = self.0.usize(0..4);
            return Value::List((0..length).map(|_| self.value(field, depth)).collect());
        }
        self.value(field, depth)
    }

    fn value(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        match field.kind() {
            Kind::Bool => Value::Bool(self.0.bool()),
            Kind::Int64 => Value::I64(self.number() as i64),
            Kind::Uint64 => Value::U64(self.number()),
            Kind::Uint32 => Value::U32(self.number() as u32),
            Kind::Bytes => {
                let length = self.0.usize(1..self.length());
                let bytes: Vec<u8> = (0..length).map(|_| self.0.u8(..)).collect();
                Value::Bytes(Bytes::from(bytes))
            }
            Kind::String => {
                let length = self.0.usize(1..self.length());
                Value::String((0..length).map(|_| self.0.char(..)).collect())
            }
            Kind::Enum(kind) => {
                let numbers = kind.values().map(|value| value.number());
                Value::EnumNumber(self.0.choice(numbers).unwrap_or_default())
            }
            Kind::Message(inner) => Value::Message(self.nested(&inner, depth.saturating_sub(1))),
            other => panic!("etcd has no field of type {other:?}"),
        }
    }

    /// A number of any length, so that small ones and the largest are as likely.
    fn number(&mut self) -> u64 {
        match self.0.u32(0..66) {
            bits @ 0..64 => self.0.u64(..) >> bits,
            64 => u64::MAX,
            _ => 0,
        }
    }

    /// One more than the longest text, mostly short, sometimes with a length of two bytes.
    fn length(&self) -> usize {
        if self.0.clone().u8(..16) == 0 {
            400
        } else {
            20
        }
    }
}

fn varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
