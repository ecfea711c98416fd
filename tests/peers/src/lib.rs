//! Independent implementations that etcd-http's codecs are compared with.
//!
//! The `.proto` files beside this crate say what etcd's messages are. [`prost_reflect`] encodes and decodes any of them,
//! in both of protobuf's formats, without a line of code for a single message.

mod random;

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor, ReflectMessage, SerializeOptions, Value};

pub use prost_reflect::prost::Message;

pub use prost_reflect::DynamicMessage;
pub use random::Random;

/// etcd's messages and services.
pub static SCHEMA: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let files = [
        "mvccpb.proto",
        "authpb.proto",
        "etcdserverpb.proto",
        "v3lockpb.proto",
        "v3electionpb.proto",
    ];
    schema(concat!(env!("CARGO_MANIFEST_DIR"), "/proto"), &files)
});

/// What these `.proto` files declare, from this directory.
pub fn schema(directory: &str, files: &[&str]) -> DescriptorPool {
    let files = protox::compile(files, [directory]).expect("the .proto files are valid");
    DescriptorPool::from_file_descriptor_set(files).expect("the .proto files are complete")
}

/// A message of etcd's API by its full name: `etcdserverpb.PutRequest`.
pub fn message(name: &str) -> MessageDescriptor {
    let found = SCHEMA.get_message_by_name(name);
    found.unwrap_or_else(|| panic!("etcd has no message {name}"))
}

/// Whether etcd's API has a method with this path: `/etcdserverpb.KV/Put`.
pub fn has_method(path: &str) -> bool {
    SCHEMA.services().any(|service| {
        service.methods().any(|method| {
            let known = format!("/{}/{}", service.full_name(), method.name());
            known == path
        })
    })
}

/// The message in these bytes, in protobuf's binary format.
pub fn from_protobuf(name: &str, bytes: &[u8]) -> Result<DynamicMessage, String> {
    DynamicMessage::decode(message(name), bytes).map_err(|error| error.to_string())
}

/// The message in protobuf's JSON.
pub fn from_json(name: &str, json: &str) -> Result<DynamicMessage, String> {
    let mut json = serde_json::Deserializer::from_str(json);
    let read = DynamicMessage::deserialize(message(name), &mut json);
    let read = read.map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(read)
}

/// The message as protobuf's JSON, with the names of fields that etcd's gateway writes.
pub fn to_json(message: &DynamicMessage) -> String {
    let mut json = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().use_proto_field_name(true);
    let written = message.serialize_with_options(&mut json, &options);
    written.expect("a message can be written as JSON");
    String::from_utf8(json.into_inner()).expect("JSON is UTF-8")
}

/// The message as JSON, to be compared: without the fields at these paths (`header.revision`), without unknown fields, and
/// without empty messages, at any depth. Whether a message is missing or empty makes no difference then.
pub fn without(mut message: DynamicMessage, paths: &[&str]) -> String {
    prune(&mut message, paths, "");
    to_json(&message)
}

fn prune(message: &mut DynamicMessage, paths: &[&str], prefix: &str) {
    let is_empty = |message: &DynamicMessage| message.fields().next().is_none();
    for field in message.descriptor().fields() {
        if !message.has_field(&field) {
            continue;
        }
        let path = format!("{prefix}{}", field.name());
        if paths.contains(&path.as_str()) {
            message.clear_field(&field);
            continue;
        }
        let prefix = format!("{path}.");
        match message.get_field_mut(&field) {
            Value::Message(inner) => {
                prune(inner, paths, &prefix);
                let is_one_of = field.containing_oneof().is_some();
                if is_empty(inner) && !is_one_of {
                    message.clear_field(&field);
                }
            }
            Value::List(list) => {
                for value in list {
                    if let Value::Message(inner) = value {
                        prune(inner, paths, &prefix);
                    }
                }
            }
            _ => {}
        }
    }
}
