//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7 of both versions), DISCONNECT (3.14) and AUTH (5.0 section 3.15).

use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::properties::Properties;
use super::property::Carrier;
use super::writer::{self, TooLarge};
use super::{PacketType, Version};
use bytes::BytesMut;

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ack<'a> {
    /// The identifier of the PUBLISH; never 0.
    pub packet_id: u16,
    /// The reason code; 0x00 in 3.1.1.
    pub code: u8,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    pub(super) fn read(mut cursor: Cursor<'a>, packet_type: PacketType) -> Result<Self, Malformed> {
        let packet_id = cursor.packet_id()?;
        let mut ack = Self {
            packet_id,
            code: 0,
            properties: Properties::EMPTY,
        };
        if cursor.version() == Version::V5 && !cursor.is_empty() {
            ack.code = cursor.u8()?;
            let (codes, clause) = match packet_type {
                PacketType::PubAck => (CODES_OF_RECEIPT, CODE_OF_PUBACK),
                PacketType::PubRec => (CODES_OF_RECEIPT, CODE_OF_PUBREC),
                PacketType::PubRel => (CODES_OF_RELEASE, CODE_OF_PUBREL),
                _ => (CODES_OF_RELEASE, CODE_OF_PUBCOMP),
            };
            if !codes.contains(&ack.code) {
                return Err(clause.broken(cursor.version()));
            }
            if !cursor.is_empty() {
                ack.properties = Properties::read(&mut cursor, Carrier::Packet(packet_type))?;
            }
        }
        cursor.end()?;
        Ok(ack)
    }

    pub(super) fn write(
        &self,
        packet_type: PacketType,
        version: Version,
        out: &mut BytesMut,
    ) -> Result<(), TooLarge> {
        writer::packet(packet_type.first_octet(), out, |out| {
            out.u16(self.packet_id);
            let bare = self.code == 0 && self.properties.is_empty();
            if version == Version::V5 && !bare {
                out.u8(self.code);
                if !self.properties.is_empty() {
                    out.properties(self.properties, version)?;
                }
            }
            Ok(())
        })
    }
}

/// DISCONNECT or AUTH.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reasoned<'a> {
    /// The reason code; 0x00 in 3.1.1.
    pub code: u8,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

impl<'a> Reasoned<'a> {
    /// Only the code may stand alone, or nothing.
    pub(super) fn read_disconnect(mut cursor: Cursor<'a>) -> Result<Self, Malformed> {
        let mut disconnect = Self::SUCCESS;
        if cursor.version() == Version::V5 && !cursor.is_empty() {
            disconnect.code = cursor.u8()?;
            if !CODES_OF_DISCONNECT.contains(&disconnect.code) {
                return Err(CODE_OF_DISCONNECT.broken(cursor.version()));
            }
            if !cursor.is_empty() {
                let carrier = Carrier::Packet(PacketType::Disconnect);
                disconnect.properties = Properties::read(&mut cursor, carrier)?;
            }
        }
        cursor.end()?;
        Ok(disconnect)
    }

    /// Code and properties stand together or not at all. What says more than success names its method.
    pub(super) fn read_auth(mut cursor: Cursor<'a>) -> Result<Self, Malformed> {
        if cursor.version() == Version::V311 {
            return Err(AUTH_IN_311.broken(cursor.version()));
        }
        if cursor.is_empty() {
            return Ok(Self::SUCCESS);
        }
        let code = cursor.u8()?;
        if !CODES_OF_AUTH.contains(&code) {
            return Err(CODE_OF_AUTH.broken(cursor.version()));
        }
        let properties = Properties::read(&mut cursor, Carrier::Packet(PacketType::Auth))?;
        let auth = Self { code, properties };
        if auth != Self::SUCCESS && properties.authentication_method().is_none() {
            return Err(AUTH_WITHOUT_METHOD.broken(cursor.version()));
        }
        cursor.end()?;
        Ok(auth)
    }

    pub(super) fn write_disconnect(
        &self,
        version: Version,
        out: &mut BytesMut,
    ) -> Result<(), TooLarge> {
        writer::packet(PacketType::Disconnect.first_octet(), out, |out| {
            if version == Version::V5 && *self != Self::SUCCESS {
                out.u8(self.code);
                if !self.properties.is_empty() {
                    out.properties(self.properties, version)?;
                }
            }
            Ok(())
        })
    }

    pub(super) fn write_auth(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        if version == Version::V311 {
            return Ok(());
        }
        writer::packet(PacketType::Auth.first_octet(), out, |out| {
            if *self != Self::SUCCESS {
                out.u8(self.code);
                out.properties(self.properties, version)?;
            }
            Ok(())
        })
    }

    const SUCCESS: Self = Self {
        code: 0,
        properties: Properties::EMPTY,
    };
}

const CODES_OF_RECEIPT: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const CODES_OF_RELEASE: &[u8] = &[0x00, 0x92];
const CODES_OF_DISCONNECT: &[u8] = &[
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];
const CODES_OF_AUTH: &[u8] = &[0x00, 0x18, 0x19];

const CODE_OF_PUBACK: Clause = Clause::malformed("", "MQTT-3.4.2-1", "no reason code of PUBACK");
const CODE_OF_PUBREC: Clause = Clause::malformed("", "MQTT-3.5.2-1", "no reason code of PUBREC");
const CODE_OF_PUBREL: Clause = Clause::malformed("", "MQTT-3.6.2-1", "no reason code of PUBREL");
const CODE_OF_PUBCOMP: Clause = Clause::malformed("", "MQTT-3.7.2-1", "no reason code of PUBCOMP");
const CODE_OF_DISCONNECT: Clause =
    Clause::malformed("", "MQTT-3.14.2-1", "no reason code of DISCONNECT");
const CODE_OF_AUTH: Clause = Clause::malformed("", "MQTT-3.15.2-1", "no reason code of AUTH");
const AUTH_IN_311: Clause = Clause::malformed("section 2.2.1", "", "3.1.1 has no AUTH");
const AUTH_WITHOUT_METHOD: Clause = Clause::protocol_error(
    "",
    "section 3.15.2.2.2",
    "AUTH without an Authentication Method",
);
