use bytes::Bytes;

use crate::{
    base::budget,
    pipeline::protocol::Origin,
    v3::{
        Header,
        protocol::{
            message::{Decode, Field, FromWire, Key, Named, ReadValue, decode},
            protobuf::{FIXED_32, FIXED_64, LENGTH_DELIMITED, MAX_DEPTH, ProtobufError, VARINT},
        },
    },
};

/// The message in these bytes. Fields of type `Bytes` share them.
pub(crate) fn parse<M: Decode>(bytes: &Bytes) -> Result<M, ProtobufError> {
    let mut message = M::default();
    Input::new(bytes).message(&mut message)?;
    Ok(message)
}

/// The response in these bytes, of which the header was read before: most of a short response.
pub(crate) fn parse_after_header<M: Decode>(
    bytes: &Bytes,
    header: Header,
) -> Result<M, ProtobufError> {
    let mut message = M::default();
    let mut input = Input::new(bytes);
    if let (Some(place), [HEADER, rest @ ..]) = (message.header(), input.rest) {
        input.rest = rest;
        input.part()?;
        *place = header;
    }
    input.message(&mut message)?;
    Ok(message)
}

/// How the header of a response begins: as field 1, with its length.
const HEADER: u8 = 1 << 3 | LENGTH_DELIMITED as u8;

/// The server that this response, or message of a stream, comes from. Every one has its header in field 1.
pub(crate) fn origin(bytes: &[u8]) -> Origin {
    #[derive(Default)]
    struct Response {
        header: Header,
    }

    decode!(Response { 1 "header" => header });

    // A header has no bytes to share.
    let mut input = Input {
        whole: &Bytes::new(),
        rest: bytes,
        depth: MAX_DEPTH,
    };
    let mut response = Response::default();
    // Nothing after the header is read: whether the rest is valid is checked elsewhere.
    while response.header.cluster_id == 0 && !input.rest.is_empty() {
        if input.field(&mut response).is_err() {
            return Origin::default();
        }
    }
    response.header.origin()
}

/// The part of a message that is not read yet.
struct Input<'a> {
    whole: &'a Bytes,
    rest: &'a [u8],
    /// How many more messages may be nested in this one.
    depth: u32,
}

impl<'a> Input<'a> {
    fn new(bytes: &'a Bytes) -> Self {
        Self {
            whole: bytes,
            rest: bytes,
            depth: MAX_DEPTH,
        }
    }

    /// Reads all fields of a message.
    fn message(&mut self, message: &mut impl Decode) -> Result<(), ProtobufError> {
        while !self.rest.is_empty() {
            self.field(message)?;
        }
        match message.missing() {
            Some(field) => Err(ProtobufError::Missing(field)),
            None => Ok(()),
        }
    }

    /// Reads one field of a message.
    #[inline]
    fn field(&mut self, message: &mut impl Decode) -> Result<(), ProtobufError> {
        let key = self.varint()?;
        let narrow = u32::try_from(key).map_err(|_| ProtobufError::Key(key))?;
        let (tag, wire_type) = (narrow >> 3, narrow & 7);
        if tag == 0 {
            return Err(ProtobufError::Key(key));
        }
        message.take(
            Key::Tag(tag),
            Value {
                wire_type,
                input: self,
            },
        )
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, ProtobufError> {
        match self.rest {
            // Keys, lengths and most numbers.
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ProtobufError> {
        let (value, length) = match self.rest.first_chunk() {
            Some(bytes) => varint_within(bytes)?,
            None => varint_at_end(self.rest)?,
        };
        self.take(length)?;
        Ok(value)
    }

    /// The next bytes, after their number.
    #[inline]
    fn part(&mut self) -> Result<&'a [u8], ProtobufError> {
        let length = self.varint()?;
        self.take(usize::try_from(length).map_err(|_| ProtobufError::Truncated)?)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let split = self.rest.split_at_checked(length);
        let (part, rest) = split.ok_or(ProtobufError::Truncated)?;
        self.rest = rest;
        Ok(part)
    }

    /// The input of a nested message or a packed list.
    #[inline]
    fn nested(&mut self) -> Result<Self, ProtobufError> {
        Ok(Self {
            whole: self.whole,
            rest: self.part()?,
            depth: self.depth.checked_sub(1).ok_or(ProtobufError::TooDeep)?,
        })
    }
}

/// Reads a number, and returns how many bytes it takes.
fn varint_at_end(bytes: &[u8]) -> Result<(u64, usize), ProtobufError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        // Of the tenth byte, one bit is left.
        if index == LONGEST_VARINT - 1 && byte > 1 {
            return Err(ProtobufError::Varint);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(ProtobufError::Truncated)
}

/// Likewise, where there are as many bytes as a number may take: eight of them at once, instead of one after the other. The
/// ids of clusters and members, which every response has, take nine or ten.
fn varint_within(bytes: &[u8; LONGEST_VARINT]) -> Result<(u64, usize), ProtobufError> {
    const MORE: u64 = 0x8080_8080_8080_8080;
    let [word @ .., ninth, tenth] = *bytes;
    let word = u64::from_le_bytes(word);
    let ends = !word & MORE;
    if ends != 0 {
        // Up to the end of the number, which is the first byte without the bit for more.
        let own = ends ^ (ends - 1);
        let length = (ends.trailing_zeros() / 8 + 1) as usize;
        return Ok((joined(word & own & !MORE), length));
    }
    let value = joined(word & !MORE) | u64::from(ninth & 0x7f) << 56;
    match (ninth, tenth) {
        (..0x80, _) => Ok((value, 9)),
        (_, 0 | 1) => Ok((value | u64::from(tenth) << 63, 10)),
        // Of the tenth byte, one bit is left.
        _ => Err(ProtobufError::Varint),
    }
}

/// Joins eight groups of seven bits, each in a byte, in three steps: pairs, fours, all.
fn joined(bytes: u64) -> u64 {
    let pairs = bytes & 0x007f_007f_007f_007f | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// How many bytes a number may take: seven bits in each.
const LONGEST_VARINT: usize = 10;

fn push<V>(list: &mut Vec<V>, element: V) -> Result<(), ProtobufError> {
    budget::push(list, element).map_err(|_| ProtobufError::TooLarge)
}

/// A value that is about to be read.
struct Value<'a, 'b> {
    wire_type: u32,
    input: &'b mut Input<'a>,
}

impl<'a, 'b> Value<'a, 'b> {
    #[inline]
    fn expect(self, expected: u32) -> Result<&'b mut Input<'a>, ProtobufError> {
        if self.wire_type == expected {
            Ok(self.input)
        } else {
            let found = self.wire_type;
            Err(ProtobufError::WireType { found, expected })
        }
    }
}

impl Field for Value<'_, '_> {
    type Error = ProtobufError;

    #[inline]
    fn read_into(self, place: &mut impl FromWire) -> Result<(), ProtobufError> {
        place.merge(self)
    }

    fn skip(self) -> Result<(), ProtobufError> {
        match self.wire_type {
            VARINT => self.input.varint().map(drop),
            FIXED_64 => self.input.take(8).map(drop),
            LENGTH_DELIMITED => self.input.part().map(drop),
            FIXED_32 => self.input.take(4).map(drop),
            other => Err(ProtobufError::UnsupportedWireType(other)),
        }
    }
}

impl ReadValue for Value<'_, '_> {
    type Error = ProtobufError;

    fn bytes(self) -> Result<Bytes, ProtobufError> {
        let input = self.expect(LENGTH_DELIMITED)?;
        let part = input.part()?;
        Ok(input.whole.slice_ref(part))
    }

    fn string(self) -> Result<String, ProtobufError> {
        let part = self.expect(LENGTH_DELIMITED)?.part()?;
        let text = str::from_utf8(part).map_err(|_| ProtobufError::Utf8)?;
        Ok(text.to_owned())
    }

    fn bool(self) -> Result<bool, ProtobufError> {
        Ok(self.uint64()? != 0)
    }

    #[inline]
    fn int64(self) -> Result<i64, ProtobufError> {
        Ok(self.uint64()? as i64)
    }

    #[inline]
    fn uint64(self) -> Result<u64, ProtobufError> {
        self.expect(VARINT)?.varint()
    }

    /// As protobuf wants it, the upper half of a longer integer is ignored.
    fn uint32(self) -> Result<u32, ProtobufError> {
        Ok(self.uint64()? as u32)
    }

    fn enumeration<V: Copy + 'static>(
        self,
        all: &'static [Named<V>],
        other: Option<V>,
    ) -> Result<V, ProtobufError> {
        let number = self.uint64()? as i32;
        let found = all.iter().find(|(known, ..)| *known == number);
        found
            .map(|(_, _, value)| *value)
            .or(other)
            .ok_or(ProtobufError::Enumeration(number))
    }

    #[inline]
    fn message(self, place: &mut impl Decode) -> Result<(), ProtobufError> {
        self.expect(LENGTH_DELIMITED)?.nested()?.message(place)
    }

    fn list<V: FromWire>(self, list: &mut Vec<V>) -> Result<(), ProtobufError> {
        // A sender may pack a list of numbers or not, whatever its declaration says.
        if !V::IS_PACKED || self.wire_type != LENGTH_DELIMITED {
            return push(list, V::read(self)?);
        }
        let mut input = self.input.nested()?;
        while !input.rest.is_empty() {
            let element = V::read(Value {
                wire_type: VARINT,
                input: &mut input,
            })?;
            push(list, element)?;
        }
        Ok(())
    }

    fn option<V: FromWire>(self, place: &mut Option<V>) -> Result<(), ProtobufError> {
        match place {
            Some(value) => value.merge(self)?,
            None => *place = Some(V::read(self)?),
        }
        Ok(())
    }

    fn invalid(what: &'static str) -> ProtobufError {
        ProtobufError::Invalid(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v3::RangeResponse;

    #[test]
    fn a_number_is_read_the_same_at_the_end_of_its_bytes_and_before_others() {
        let numbers = (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX << bit]);
        for number in numbers {
            let mut bytes = Vec::new();
            let mut rest: u64 = number;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            let length = bytes.len();
            assert_eq!(varint_at_end(&bytes), Ok((number, length)));
            for after in [0, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes.resize(LONGEST_VARINT, after);
                let within = varint_within(bytes[..].first_chunk().unwrap());
                assert_eq!(within, Ok((number, length)));
            }
        }
    }

    #[test]
    fn a_response_whose_header_was_read_before_is_the_same() {
        // All fields of a header, and a count.
        let all = b"\x0a\x08\x08\x07\x10\x08\x18\x09\x20\x02\x20\x05";
        // A second header, which is merged with the first one.
        let merged = [&all[..], b"\x0a\x02\x18\x0a"].concat();
        // The header is not the first field.
        let last = [&all[10..], &all[..10]].concat();
        for bytes in [all.to_vec(), merged, last] {
            let bytes = Bytes::from(bytes);
            let header = Header::of(&origin(&bytes)).unwrap();
            let read: RangeResponse = parse_after_header(&bytes, header).unwrap();
            assert_eq!(read, parse(&bytes).unwrap());
            assert_eq!((read.header.cluster_id, read.count), (7, 5));
        }
        // Fields that are left out tell nothing.
        assert_eq!(Header::of(&origin(b"\x0a\x02\x08\x07")), None);
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused_wherever_it_is() {
        for tenth in [2, 0x7f, 0x80, 0x81, 0xff] {
            let mut bytes = [0x80; LONGEST_VARINT];
            bytes[9] = tenth;
            assert_eq!(varint_within(&bytes), Err(ProtobufError::Varint));
            assert_eq!(varint_at_end(&bytes), Err(ProtobufError::Varint));
        }
    }
}
