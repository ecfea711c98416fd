//! HTTP/2 written frame by frame, for what no HTTP/2 library would send.

use std::io;

use crate::{Connection, Received};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Error codes of RFC 9113, section 7.
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

/// The server's side of an HTTP/2 connection.
pub(crate) struct Http2Connection<'a>(&'a mut Connection);

/// A request; nothing of its head is decoded.
pub(crate) struct Http2Request {
    /// The id of its stream.
    pub(crate) stream: u32,
    /// 1 for the first that the server received.
    pub(crate) number: usize,
}

impl<'a> Http2Connection<'a> {
    /// Reads the client's preface and sends the server's, which are settings without any.
    pub(crate) fn accept(connection: &'a mut Connection) -> io::Result<Self> {
        let mut this = Self::accept_without_settings(connection)?;
        this.write(SETTINGS, 0, 0, &[])?;
        Ok(this)
    }

    /// Reads the client's preface and sends nothing.
    pub(crate) fn accept_without_settings(connection: &'a mut Connection) -> io::Result<Self> {
        let mut preface = [0; PREFACE.len()];
        connection.read_exact(&mut preface)?;
        if preface == PREFACE {
            Ok(Self(connection))
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Reads until a request is complete, and counts it among those that the server has received.
    pub(crate) fn read_request(&mut self) -> io::Result<Http2Request> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head)?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload)?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[])?,
                PING if flags & ACK == 0 => self.write(PING, ACK, 0, &payload)?,
                HEADERS | DATA if flags & END_STREAM != 0 => {
                    return Ok(Http2Request {
                        stream: u32::from_be_bytes(stream),
                        number: self.0.record(Received::default()),
                    });
                }
                _ => {}
            }
        }
    }

    /// Sends status 200 and ends the stream.
    pub(crate) fn write_ok(&mut self, stream: u32) -> io::Result<()> {
        // `:status: 200` is entry 8 of HPACK's static table.
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88])
    }

    pub(crate) fn write_reset(&mut self, stream: u32, code: u32) -> io::Result<()> {
        self.write(RST_STREAM, 0, stream, &code.to_be_bytes())
    }

    pub(crate) fn write_goaway(&mut self, last_stream: u32, code: u32) -> io::Result<()> {
        let payload = [last_stream.to_be_bytes(), code.to_be_bytes()].concat();
        self.write(GOAWAY, 0, 0, &payload)
    }

    pub(crate) fn wait_until_closed(&mut self) -> io::Result<()> {
        self.0.wait_until_closed()
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
        let mut frame = length.to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write(frame)
    }
}
