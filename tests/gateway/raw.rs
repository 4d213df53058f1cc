//! A client of octets: it sends what it is given and hears what comes.

use crate::packet::{self, CONNACK, Connect, Packet, Publish};
use crate::process::PATIENCE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// One TCP connection that speaks MQTT, well or badly.
pub(crate) struct Raw {
    stream: TcpStream,
    pub(crate) version: u8,
    had: Vec<u8>,
    closed: bool,
}

/// What came, or did not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    Closed,
    Nothing,
    Packet(Packet),
}

impl Raw {
    /// A connection on which nothing was said yet.
    pub(crate) fn open(port: u16, version: u8) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        Self::over(stream, version)
    }

    pub(crate) fn over(stream: TcpStream, version: u8) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            version,
            had: Vec::new(),
            closed: false,
        }
    }

    /// A connection that was accepted, and its CONNACK.
    pub(crate) fn connect(port: u16, connect: &Connect) -> (Self, Packet) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A gateway whose broker is not there yet says so, and a program comes again.
            let mut raw = Self::open(port, connect.version & 0x7f);
            raw.send(&connect.octets());
            if let Heard::Packet(ack) = raw.next(PATIENCE) {
                assert_eq!(ack.kind(), CONNACK, "{ack:?}");
                let code = ack.body[1];
                if code == 0 {
                    return (raw, ack);
                }
                assert!(matches!(code, 3 | 0x88), "refused: {code:#x}");
            }
            assert!(Instant::now() < deadline, "not accepted in time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends. An error means that the other side has closed, which [`Self::next`] tells.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    pub(crate) fn publish(&mut self, publish: &Publish) {
        let version = self.version;
        self.send(&publish.octets(version));
    }

    /// The next packet, within `patience`.
    pub(crate) fn next(&mut self, patience: Duration) -> Heard {
        let deadline = Instant::now() + patience;
        loop {
            match packet::next(&mut self.had) {
                Ok(Some(packet)) => return Heard::Packet(packet),
                Ok(None) => {}
                Err(()) => panic!("no packet: {:02x?}", self.had),
            }
            if self.closed {
                return Heard::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.read(left);
        }
    }

    /// The next packet of a kind; others before it are passed over.
    pub(crate) fn expect(&mut self, kind: u8) -> Packet {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())) {
                Heard::Packet(packet) if packet.kind() == kind => return packet,
                Heard::Packet(_) => {}
                other => panic!("{other:?} in place of {kind:#04x}"),
            }
        }
    }

    /// Subscribes, and waits for the SUBACK. Gives its codes.
    pub(crate) fn subscribe(&mut self, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
        self.send(&packet::subscribe(self.version, id, filters, &Vec::new()));
        let ack = self.expect(packet::SUBACK);
        ack.answer(self.version).unwrap().codes
    }

    /// Ends the connection without a word.
    pub(crate) fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn read(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(count) => self.had.extend(&buffer[..count]),
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.closed = true,
        }
    }
}
