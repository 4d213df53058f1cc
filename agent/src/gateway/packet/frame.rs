//! One packet as received.

use super::cursor::{Cursor, VARINT_NOT_MINIMAL, VARINT_TOO_LONG};
use super::malformed::{Clause, Malformed};
use super::varint::{self, Varint};
use super::{Framed, Framer, LONGEST_PACKET_OCTETS, Version};
use bytes::{Bytes, BytesMut};

/// The types of packets with their numbers (3.1.1 section 2.2.1, 5.0 section 2.1.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PacketType {
    /// CONNECT: a client's first packet.
    Connect = 1,
    /// CONNACK: a server's first packet.
    ConnAck,
    /// PUBLISH: an application message.
    Publish,
    /// PUBACK: acknowledges QoS 1.
    PubAck,
    /// PUBREC: QoS 2, received.
    PubRec,
    /// PUBREL: QoS 2, release.
    PubRel,
    /// PUBCOMP: QoS 2, complete.
    PubComp,
    /// SUBSCRIBE.
    Subscribe,
    /// SUBACK.
    SubAck,
    /// UNSUBSCRIBE.
    Unsubscribe,
    /// UNSUBACK.
    UnsubAck,
    /// PINGREQ.
    PingReq,
    /// PINGRESP.
    PingResp,
    /// DISCONNECT.
    Disconnect,
    /// AUTH, in MQTT 5 only.
    Auth,
}

impl PacketType {
    /// The first octet of a packet of this type; flags of PUBLISH are all 0.
    pub(super) const fn first_octet(self) -> u8 {
        match self {
            Self::Connect => 0x10,
            Self::ConnAck => 0x20,
            Self::Publish => 0x30,
            Self::PubAck => 0x40,
            Self::PubRec => 0x50,
            Self::PubRel => 0x62,
            Self::PubComp => 0x70,
            Self::Subscribe => 0x82,
            Self::SubAck => 0x90,
            Self::Unsubscribe => 0xA2,
            Self::UnsubAck => 0xB0,
            Self::PingReq => 0xC0,
            Self::PingResp => 0xD0,
            Self::Disconnect => 0xE0,
            Self::Auth => 0xF0,
        }
    }

    /// The type in the upper four bits of a packet's first octet; 0 is none.
    const fn of(first_octet: u8) -> Option<Self> {
        Some(match first_octet >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }
}

/// One complete packet as received: its fixed header is right, its body has not been read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    packet_type: PacketType,
    flags: u8,
    header_octets: usize,
    octets: Bytes,
}

impl Frame {
    /// Takes octets that are exactly one packet, none `None`.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let mut input = BytesMut::from(octets);
        match Framer::new(LONGEST_PACKET_OCTETS).next(&mut input) {
            Ok(Some(Framed::Packet(frame))) if input.is_empty() => Some(frame),
            _ => None,
        }
    }

    /// A copy in memory of its own. A frame holds the buffer that it was received in, with all that
    /// came beside it: what is to be kept is detached.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            octets: Bytes::copy_from_slice(&self.octets),
            ..self.clone()
        }
    }

    /// The type.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// The lower four bits of the first octet: in PUBLISH DUP, QoS and RETAIN, in the others what is prescribed.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The whole packet, to forward it as it was received.
    #[must_use]
    pub const fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// Variable header and payload.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.octets.get(self.header_octets..).unwrap_or_default()
    }

    /// The packet identifier where packets of this type have one (PUBLISH only with QoS 1 and 2). `None` too where
    /// the body is too short for it, or it is 0: [`super::read`] refuses such a packet.
    #[must_use]
    pub fn packet_id(&self) -> Option<u16> {
        let mut cursor = Cursor::new(self.body(), Version::V5);
        match place_of_packet_id(self.packet_type, self.flags) {
            PacketIdPlace::Nowhere => return None,
            PacketIdPlace::First => {}
            PacketIdPlace::BehindTopic => {
                cursor.binary().ok()?;
            }
        }
        cursor.packet_id().ok()
    }

    /// Lengths in more octets than they need are forbidden in MQTT 5 alone.
    pub(super) fn expect_minimal_length(&self, version: Version) -> Result<(), Malformed> {
        let remaining = u32::try_from(self.body().len()).unwrap_or(varint::MAXIMUM);
        let shortest = varint::length(remaining).saturating_add(1);
        if version == Version::V5 && self.header_octets != shortest {
            return Err(VARINT_NOT_MINIMAL.broken(version));
        }
        Ok(())
    }

    pub(super) fn new(header: FixedHeader, octets: Bytes) -> Self {
        Self {
            packet_type: header.packet_type,
            flags: header.flags,
            header_octets: header.octets,
            octets,
        }
    }
}

/// A fixed header (3.1.1 section 2.2, 5.0 section 2.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedHeader {
    pub(super) packet_type: PacketType,
    pub(super) flags: u8,
    pub(super) octets: usize,
    pub(super) remaining: u32,
}

impl FixedHeader {
    /// Reads a fixed header, `None` while it is incomplete. Refuses by the first octet alone where it can.
    pub(super) fn read(input: &[u8], version: Version) -> Result<Option<Self>, Malformed> {
        let Some((first, length)) = input.split_first() else {
            return Ok(None);
        };
        let packet_type = PacketType::of(*first).ok_or_else(|| NO_TYPE.broken(version))?;
        let flags = first & 0x0F;
        expect_flags(packet_type, *first, version)?;
        let (remaining, octets) = match varint::parse(length) {
            Varint::Incomplete => return Ok(None),
            Varint::TooLong => return Err(VARINT_TOO_LONG.broken(version)),
            Varint::Whole { value, octets } => (value, octets.saturating_add(1)),
        };
        let bare = matches!(packet_type, PacketType::PingReq | PacketType::PingResp);
        if bare && remaining != 0 {
            return Err(PING_WITH_BODY.broken(version));
        }
        Ok(Some(Self {
            packet_type,
            flags,
            octets,
            remaining,
        }))
    }
}

/// Where packets of a type carry their packet identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PacketIdPlace {
    BehindTopic,
    First,
    Nowhere,
}

pub(super) const fn place_of_packet_id(packet_type: PacketType, flags: u8) -> PacketIdPlace {
    match packet_type {
        PacketType::Publish if flags & 0b0110 != 0 => PacketIdPlace::BehindTopic,
        PacketType::PubAck
        | PacketType::PubRec
        | PacketType::PubRel
        | PacketType::PubComp
        | PacketType::Subscribe
        | PacketType::SubAck
        | PacketType::Unsubscribe
        | PacketType::UnsubAck => PacketIdPlace::First,
        _ => PacketIdPlace::Nowhere,
    }
}

fn expect_flags(packet_type: PacketType, first: u8, version: Version) -> Result<(), Malformed> {
    let clause = match packet_type {
        PacketType::Publish if first & 0b0110 == 0b0110 => QOS_3,
        PacketType::Publish if first & 0b1110 == 0b1000 => DUP_WITH_QOS_0,
        PacketType::Publish => return Ok(()),
        PacketType::Auth if version == Version::V311 => NO_TYPE,
        _ if first == packet_type.first_octet() => return Ok(()),
        PacketType::PubRel => FLAGS_OF_PUBREL,
        PacketType::Subscribe => FLAGS_OF_SUBSCRIBE,
        PacketType::Unsubscribe => FLAGS_OF_UNSUBSCRIBE,
        PacketType::Disconnect => FLAGS_OF_DISCONNECT,
        PacketType::Auth => FLAGS_OF_AUTH,
        _ => FLAGS,
    };
    Err(clause.broken(version))
}

const NO_TYPE: Clause = Clause::malformed(
    "section 2.2.1",
    "section 2.1.2",
    "a packet type that is reserved",
);
const FLAGS: Clause = flags("MQTT-2.2.2-2", "MQTT-2.1.3-1");
const FLAGS_OF_PUBREL: Clause = flags("MQTT-3.6.1-1", "MQTT-3.6.1-1");
const FLAGS_OF_SUBSCRIBE: Clause = flags("MQTT-3.8.1-1", "MQTT-3.8.1-1");
const FLAGS_OF_UNSUBSCRIBE: Clause = flags("MQTT-3.10.1-1", "MQTT-3.10.1-1");
const FLAGS_OF_DISCONNECT: Clause = flags("MQTT-3.14.1-1", "MQTT-3.14.1-1");
const FLAGS_OF_AUTH: Clause = flags("section 2.2.1", "MQTT-3.15.1-1");
const QOS_3: Clause = Clause::malformed("MQTT-3.3.1-4", "MQTT-3.3.1-4", "PUBLISH with QoS 3");
const DUP_WITH_QOS_0: Clause =
    Clause::malformed("MQTT-3.3.1-2", "MQTT-3.3.1-2", "PUBLISH with DUP and QoS 0");
const PING_WITH_BODY: Clause =
    Clause::malformed("MQTT-4.8.0-1", "MQTT-4.13.1-1", "a ping with a body");

const fn flags(v311: &'static str, v5: &'static str) -> Clause {
    Clause::malformed(v311, v5, "reserved flags of the fixed header")
}
