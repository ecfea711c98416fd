//! Exchanges of gRPC that break off at every place: before the request, behind each byte of its frames, before the head of the
//! response, behind each byte of its frames, and before its trailers. The outcome that the client reports is that of the store,
//! nothing is doubled, and nothing is lost.

mod breaking;
mod streams;
mod unary;
