//! A server of HTTP/2, frame by frame.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The only connection of a server of HTTP/2, frame by frame: libraries send nothing on a stream that was reset.
pub(super) struct Connection(pub(super) TcpStream);

impl Connection {
    pub(super) fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 24]).unwrap();
        let mut this = Self(stream);
        this.write(SETTINGS, 0, 0, &[]);
        this
    }

    /// Reads up to the next frame that ends a request or gives one up, and returns its kind and its stream.
    pub(super) fn read(&mut self) -> (u8, u32) {
        self.try_read().unwrap()
    }

    /// The same, until the client closes the connection.
    pub(super) fn try_read(&mut self) -> io::Result<(u8, u32)> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head)?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload)?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.write(SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => self.write(PING, ACK, 0, &payload),
                RST_STREAM => return Ok((kind, u32::from_be_bytes(stream))),
                HEADERS | DATA if flags & END_STREAM != 0 => {
                    return Ok((HEADERS, u32::from_be_bytes(stream)));
                }
                _ => {}
            }
        }
    }

    pub(super) fn write_ok(&mut self, stream: u32) {
        self.0.write_all(&ok(stream)).unwrap();
    }

    pub(super) fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0
            .write_all(&frame(kind, flags, stream, payload))
            .unwrap();
    }
}

/// Status 200, the entry 8 of HPACK's static table, and the end of the stream.
pub(super) fn ok(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88])
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mut frame = vec![0, 0, length, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
