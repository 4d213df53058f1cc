//! CONNACK (section 3.2 of both versions).

use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::properties::Properties;
use super::property::Carrier;
use super::writer::{self, TooLarge};
use super::{PacketType, Version};
use bytes::BytesMut;

/// The answer to CONNECT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnAck<'a> {
    /// Whether the server goes on with a session that it has.
    pub session_present: bool,
    /// 0x00: accepted. Else the return code of 3.1.1 (1 to 5) or the reason code of 5.0 (from 0x80).
    pub code: u8,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(super) fn read(mut cursor: Cursor<'a>) -> Result<Self, Malformed> {
        let version = cursor.version();
        let session_present = match cursor.u8()? {
            0 => false,
            1 => true,
            _ => return Err(FLAGS.broken(version)),
        };
        let code = cursor.u8()?;
        let codes = match version {
            Version::V311 => CODES_311,
            Version::V5 => CODES_5,
        };
        if !codes.contains(&code) {
            return Err(CODE.broken(version));
        }
        if session_present && code != 0 {
            return Err(SESSION_PRESENT.broken(version));
        }
        let carrier = Carrier::Packet(PacketType::ConnAck);
        let properties = Properties::read(&mut cursor, carrier)?;
        cursor.end()?;
        Ok(Self {
            session_present,
            code,
            properties,
        })
    }

    /// Appends the packet to `out`, in 3.1.1 without properties; `code` is the one of `version`.
    ///
    /// # Errors
    /// [`TooLarge`], and then nothing has been appended.
    pub fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        writer::packet(PacketType::ConnAck.first_octet(), out, |out| {
            out.u8(u8::from(self.session_present));
            out.u8(self.code);
            out.properties(self.properties, version)
        })
    }
}

const CODES_311: &[u8] = &[0, 1, 2, 3, 4, 5];
const CODES_5: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
    0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];

const FLAGS: Clause = Clause::malformed(
    "section 3.2.2.1",
    "MQTT-3.2.2-1",
    "reserved flags of CONNACK",
);
const CODE: Clause = Clause::malformed(
    "section 3.2.2.3",
    "MQTT-3.2.2-8",
    "no return or reason code of CONNACK",
);
const SESSION_PRESENT: Clause = Clause::protocol_error(
    "MQTT-3.2.2-4",
    "MQTT-3.2.2-6",
    "session present in a CONNACK that refuses",
);
