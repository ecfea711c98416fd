use super::{
    error::GatewayError,
    read::Messages,
    route::{Route, Stream},
    stream::line,
};
use crate::{
    front::grpc::frame,
    profile::Profile,
    v3::message::{
        Message,
        decode::decode,
        lease::{LeaseKeepAliveRequest, LeaseKeepAliveResponse},
        watch::{WatchRequest, WatchResponse},
    },
};

/// A call whose requests and responses are streams, as JSON of the gateway and as messages of gRPC.
#[derive(Clone, Copy)]
pub(in crate::front) struct Duplex {
    /// The path of gRPC.
    pub(in crate::front) path: &'static str,
    read: fn(&[u8], Profile) -> Option<Vec<u8>>,
    show: fn(&[u8], Profile) -> Option<Vec<u8>>,
}

impl Duplex {
    pub(in crate::front) fn find(path: &str, profile: Profile) -> Option<Self> {
        match Route::find(path.as_bytes(), profile)? {
            Route::Stream(Stream::Watch) => Some(Self {
                path: "/etcdserverpb.Watch/Watch",
                read: read::<WatchRequest>,
                show: show::<WatchResponse>,
            }),
            Route::Stream(Stream::KeepAlive) => Some(Self {
                path: "/etcdserverpb.Lease/LeaseKeepAlive",
                read: read::<LeaseKeepAliveRequest>,
                show: show::<LeaseKeepAliveResponse>,
            }),
            _ => None,
        }
    }

    /// The message that this JSON spells, with its prefix.
    pub(in crate::front) fn read(&self, json: &[u8], profile: Profile) -> Option<Vec<u8>> {
        (self.read)(json, profile)
    }

    /// The line that shows a message.
    pub(in crate::front) fn show(&self, message: &[u8], profile: Profile) -> Option<Vec<u8>> {
        (self.show)(message, profile)
    }
}

/// Whether the gateway has a call at this path.
pub(in crate::front) fn is_served(path: &str, profile: Profile) -> bool {
    Route::find(path.as_bytes(), profile).is_some()
}

/// The line with which a stream ends that etcd has ended with this code.
pub(in crate::front) fn last_line(code: u8, message: &str, profile: Profile) -> Vec<u8> {
    GatewayError::new(code, message).line(profile)
}

fn read<M: Message + Default>(json: &[u8], profile: Profile) -> Option<Vec<u8>> {
    let message: M = Messages::new(json, profile).next()?.ok()?;
    Some(frame(&message))
}

fn show<M: Message + Default>(message: &[u8], profile: Profile) -> Option<Vec<u8>> {
    let message: M = decode(message).ok()?;
    Some(line(&message, profile))
}
