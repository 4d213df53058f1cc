//! SUBACK and UNSUBACK (sections 3.9 and 3.11 of both versions).

use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::properties::Properties;
use super::property::Carrier;
use super::writer::{self, TooLarge};
use super::{PacketType, Version};
use bytes::BytesMut;

/// SUBACK or UNSUBACK.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE or UNSUBSCRIBE; never 0.
    pub packet_id: u16,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// One for each filter, in their order; none in an UNSUBACK of 3.1.1.
    pub codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(super) fn read(mut cursor: Cursor<'a>, packet_type: PacketType) -> Result<Self, Malformed> {
        let version = cursor.version();
        let packet_id = cursor.packet_id()?;
        let properties = Properties::read(&mut cursor, Carrier::Packet(packet_type))?;
        let (allowed, none, wrong) = match (packet_type, version) {
            (PacketType::SubAck, Version::V311) => (CODES_OF_SUBACK_311, NO_SUBACK, CODE_OF_SUBACK),
            (PacketType::SubAck, Version::V5) => (CODES_OF_SUBACK_5, NO_SUBACK, CODE_OF_SUBACK),
            (_, Version::V5) => (CODES_OF_UNSUBACK, NO_UNSUBACK, CODE_OF_UNSUBACK),
            (_, Version::V311) => {
                cursor.end()?;
                return Ok(Self {
                    packet_id,
                    properties,
                    codes: &[],
                });
            }
        };
        let codes = cursor.rest();
        if codes.is_empty() {
            return Err(none.broken(version));
        }
        if !codes.iter().all(|code| allowed.contains(code)) {
            return Err(wrong.broken(version));
        }
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }

    pub(super) fn write(
        &self,
        packet_type: PacketType,
        version: Version,
        out: &mut BytesMut,
    ) -> Result<(), TooLarge> {
        writer::packet(packet_type.first_octet(), out, |out| {
            out.u16(self.packet_id);
            out.properties(self.properties, version)?;
            if packet_type == PacketType::SubAck || version == Version::V5 {
                out.raw(self.codes);
            }
            Ok(())
        })
    }
}

const CODES_OF_SUBACK_311: &[u8] = &[0x00, 0x01, 0x02, 0x80];
const CODES_OF_SUBACK_5: &[u8] = &[
    0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
];
const CODES_OF_UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];

const NO_SUBACK: Clause =
    Clause::malformed("MQTT-3.9.3-1", "MQTT-3.9.3-1", "SUBACK without a code");
const CODE_OF_SUBACK: Clause = Clause::malformed(
    "MQTT-3.9.3-2",
    "MQTT-3.9.3-2",
    "no return or reason code of SUBACK",
);
const NO_UNSUBACK: Clause = Clause::malformed("", "MQTT-3.11.3-1", "UNSUBACK without a code");
const CODE_OF_UNSUBACK: Clause =
    Clause::malformed("", "MQTT-3.11.3-2", "no reason code of UNSUBACK");
