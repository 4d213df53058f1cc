//! MQTT packets as octets: exact readers and minimal writers of MQTT 3.1.1 (OASIS, 29 October 2014) and
//! MQTT 5.0 (OASIS, 7 March 2019).
//!
//! [`Framer`] cuts a stream into [`Frame`]s, [`read`] and [`read_connect`] look into one, and every packet
//! writes itself again. Reading borrows from the frame and allocates nothing. A packet that breaks a statement
//! of its specification is [`Malformed`], which names the statement. What a packet alone cannot break (who may
//! send it and when, an alias above the maximum, a packet identifier in use) is not judged here.

mod ack;
mod connack;
mod connect;
mod cursor;
mod frame;
mod framer;
mod malformed;
mod properties;
mod properties_buf;
mod property;
mod publish;
mod rewrite;
mod suback;
mod subscribe;
mod topic;
mod varint;
mod writer;

pub use ack::{Ack, Reasoned};
pub use connack::ConnAck;
pub use connect::{Connect, ConnectRefused, Will, read_connect};
pub use frame::{Frame, PacketType};
pub use framer::{Framed, Framer, Oversized};
pub use malformed::Malformed;
pub use properties::Properties;
pub use properties_buf::PropertiesBuf;
pub use property::Property;
pub use publish::Publish;
pub use rewrite::Rewrite;
pub use suback::SubAck;
pub use subscribe::{
    RetainHandling, Subscribe, SubscribeOptions, Unsubscribe, write_subscribe, write_unsubscribe,
};
pub use writer::TooLarge;

use bytes::BytesMut;
use cursor::Cursor;
use malformed::Clause;

/// The longest packet that MQTT can frame, in octets: fixed header of 5, remaining length of 268,435,455
/// (3.1.1 section 2.2.3, 5.0 section 2.1.4).
pub const LONGEST_PACKET_OCTETS: u32 = 268_435_460;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol version 5.
    V5,
}

/// A packet of any type but CONNECT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packet<'a> {
    /// AUTH, in MQTT 5 only.
    Auth(Reasoned<'a>),
    /// CONNACK.
    ConnAck(ConnAck<'a>),
    /// DISCONNECT; in 3.1.1 always code 0x00 without properties.
    Disconnect(Reasoned<'a>),
    /// PINGREQ.
    PingReq,
    /// PINGRESP.
    PingResp,
    /// PUBACK.
    PubAck(Ack<'a>),
    /// PUBCOMP.
    PubComp(Ack<'a>),
    /// PUBREC.
    PubRec(Ack<'a>),
    /// PUBREL.
    PubRel(Ack<'a>),
    /// PUBLISH.
    Publish(Publish<'a>),
    /// SUBACK.
    SubAck(SubAck<'a>),
    /// SUBSCRIBE.
    Subscribe(Subscribe<'a>),
    /// UNSUBACK; in 3.1.1 without codes.
    UnsubAck(SubAck<'a>),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe<'a>),
}

/// Reads a packet of any type but CONNECT.
///
/// A server that knows only 3.1.1 answers a CONNECT of version 5 with a CONNACK of 3.1.1 (a body of 2 octets):
/// read that one with [`Version::V311`].
///
/// # Errors
/// [`Malformed`], naming the statement of `version` that the packet breaks; for CONNECT too, since a second one
/// is a protocol violation.
pub fn read(frame: &Frame, version: Version) -> Result<Packet<'_>, Malformed> {
    frame.expect_minimal_length(version)?;
    let cursor = Cursor::new(frame.body(), version);
    match frame.packet_type() {
        PacketType::Connect => Err(SECOND_CONNECT.broken(version)),
        PacketType::ConnAck => ConnAck::read(cursor).map(Packet::ConnAck),
        PacketType::Publish => Publish::read(cursor, frame.flags()).map(Packet::Publish),
        PacketType::PubAck => Ack::read(cursor, PacketType::PubAck).map(Packet::PubAck),
        PacketType::PubRec => Ack::read(cursor, PacketType::PubRec).map(Packet::PubRec),
        PacketType::PubRel => Ack::read(cursor, PacketType::PubRel).map(Packet::PubRel),
        PacketType::PubComp => Ack::read(cursor, PacketType::PubComp).map(Packet::PubComp),
        PacketType::Subscribe => Subscribe::read(cursor).map(Packet::Subscribe),
        PacketType::SubAck => SubAck::read(cursor, PacketType::SubAck).map(Packet::SubAck),
        PacketType::Unsubscribe => Unsubscribe::read(cursor).map(Packet::Unsubscribe),
        PacketType::UnsubAck => SubAck::read(cursor, PacketType::UnsubAck).map(Packet::UnsubAck),
        PacketType::PingReq => cursor.end().map(|()| Packet::PingReq),
        PacketType::PingResp => cursor.end().map(|()| Packet::PingResp),
        PacketType::Disconnect => Reasoned::read_disconnect(cursor).map(Packet::Disconnect),
        PacketType::Auth => Reasoned::read_auth(cursor).map(Packet::Auth),
    }
}

impl Packet<'_> {
    /// The type of the packet.
    #[must_use]
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Auth(_) => PacketType::Auth,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubComp(_) => PacketType::PubComp,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::Publish(_) => PacketType::Publish,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
        }
    }

    /// Appends the packet to `out` in its shortest form. In 3.1.1 what that version lacks is left out:
    /// properties, the codes of acknowledgements and DISCONNECT, and AUTH as a whole.
    ///
    /// # Errors
    /// [`TooLarge`], and then nothing has been appended.
    pub fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        match self {
            Self::Auth(auth) => auth.write_auth(version, out),
            Self::ConnAck(connack) => connack.write(version, out),
            Self::Disconnect(disconnect) => disconnect.write_disconnect(version, out),
            Self::PingReq | Self::PingResp => {
                writer::packet(self.packet_type().first_octet(), out, |_| Ok(()))
            }
            Self::PubAck(ack) | Self::PubComp(ack) | Self::PubRec(ack) | Self::PubRel(ack) => {
                ack.write(self.packet_type(), version, out)
            }
            Self::Publish(publish) => publish.write(version, out),
            Self::SubAck(suback) | Self::UnsubAck(suback) => {
                suback.write(self.packet_type(), version, out)
            }
            Self::Subscribe(subscribe) => subscribe.write(version, out),
            Self::Unsubscribe(unsubscribe) => unsubscribe.write(version, out),
        }
    }
}

const SECOND_CONNECT: Clause = Clause::protocol_error(
    "MQTT-3.1.0-2",
    "MQTT-3.1.0-2",
    "CONNECT where it may not stand",
);

#[cfg(test)]
mod tests;
