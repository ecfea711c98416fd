//! The backends of cases: servers, a transport that reaches them, and an executor.

use std::{marker::PhantomData, sync::Arc, time::SystemTime};

use etcd_http::{Protocol, transport::Transport};

/// A transport, an etcd that it reaches, and an executor for it.
pub trait Backend: 'static {
    /// How requests travel.
    type Transport: Transport;

    /// Starts what a case asks for.
    fn start(start: Start) -> World<Self::Transport>;

    /// Runs a future to its end.
    fn block_on<F: Future>(future: F) -> F::Output;
}

/// As `B`, with clients that use gRPC.
#[derive(Debug)]
pub struct Grpc<B>(PhantomData<B>);

/// As `B`, with clients that find out whether they can use gRPC.
#[derive(Debug)]
pub struct Auto<B>(PhantomData<B>);

impl<B: Backend> Backend for Grpc<B> {
    type Transport = B::Transport;

    fn start(start: Start) -> World<B::Transport> {
        World {
            protocol: Protocol::Grpc,
            ..B::start(start)
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        B::block_on(future)
    }
}

impl<B: Backend> Backend for Auto<B> {
    type Transport = B::Transport;

    fn start(start: Start) -> World<B::Transport> {
        World {
            protocol: Protocol::Auto,
            ..B::start(start)
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        B::block_on(future)
    }
}

/// What a case starts, or does not.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// The server that all such cases share, each with keys of its own.
    Shared,
    /// A server of its own: for cases that change more than keys, count indexes, or write a lot.
    Alone,
    /// Three members of its own.
    Three,
    /// A server of its own without the v2 API.
    WithoutV2,
    /// A server that responds to every request with success, and counts requests.
    Counting,
    /// Nothing: the port refuses connections, or the case brings its own server, such as a scripted one.
    Nothing,
}

/// The servers of a case, and what makes transports to them.
#[expect(missing_debug_implementations, reason = "it has a closure")]
pub struct World<T> {
    /// The servers.
    pub host: Arc<dyn Host>,
    /// Makes a transport to them.
    pub transport: Arc<dyn Fn() -> T + Send + Sync>,
    /// How v3 calls of clients travel.
    pub protocol: Protocol,
}

/// The servers of a case, numbered from 0: processes, or a fake.
pub trait Host: Send + Sync + 'static {
    /// Such as `3.5.16`.
    fn version(&self) -> String;

    /// Where clients reach the members.
    fn urls(&self) -> Vec<String>;

    /// The time of day there.
    fn time(&self) -> SystemTime;

    /// The requests that a [counting](Start::Counting) server received.
    fn requests(&self) -> Vec<String>;

    /// The name of a member of three.
    fn name(&self, member: usize) -> String;

    /// The leader of three members; waits until there is one.
    fn leader(&self) -> usize;

    /// Ends a member with no chance to do anything.
    fn kill(&self, member: usize);

    /// Restarts the only member with its data. A running member is stopped first.
    fn restart(&self);

    /// Pauses the only member: it accepts requests and does not respond.
    fn pause(&self);

    /// Resumes it.
    fn resume(&self);

    /// Whether the calls above take time that passes for the clients, too.
    fn is_slow(&self) -> bool;
}
