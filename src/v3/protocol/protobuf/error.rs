/// Why bytes are not a message in protobuf's format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtobufError {
    #[error("the message is truncated")]
    Truncated,
    #[error("an integer has more than 64 bits")]
    Varint,
    #[error("{0} is not the key of a field")]
    Key(u64),
    #[error("the wire type {0} is not supported")]
    UnsupportedWireType(u32),
    #[error("the wire type is {found} instead of {expected}")]
    WireType { found: u32, expected: u32 },
    #[error("a string is not valid UTF-8")]
    Utf8,
    #[error("{0} is not a known value of this enumeration")]
    Enumeration(i32),
    #[error("messages are nested more than {max} deep", max = super::MAX_DEPTH)]
    TooDeep,
    #[error("decoded, the message is too large")]
    TooLarge,
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
}
