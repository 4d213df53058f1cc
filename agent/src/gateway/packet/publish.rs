//! PUBLISH (section 3.3 of both versions).

use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::properties::Properties;
use super::property::Carrier;
use super::writer::{self, TooLarge};
use super::{PacketType, Version};
use crate::wire::Qos;
use bytes::BytesMut;

/// An application message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Publish<'a> {
    /// It may have been sent before; never with QoS 0.
    pub dup: bool,
    /// Quality of service.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
    /// The topic name; empty only where a Topic Alias stands for it.
    pub topic: &'a str,
    /// There with QoS 1 and 2, and only there; never 0.
    pub packet_id: Option<u16>,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    /// The application's octets.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    pub(super) fn read(mut cursor: Cursor<'a>, flags: u8) -> Result<Self, Malformed> {
        let qos = Qos::try_from((flags >> 1) & 0b11).map_err(|_| QOS_3.broken(cursor.version()))?;
        let name = cursor.text()?;
        if name.contains(['+', '#']) {
            return Err(WILDCARD.broken(cursor.version()));
        }
        let packet_id = match qos {
            Qos::AtMostOnce => None,
            Qos::AtLeastOnce | Qos::ExactlyOnce => Some(cursor.packet_id()?),
        };
        let carrier = Carrier::Packet(PacketType::Publish);
        let properties = Properties::read(&mut cursor, carrier)?;
        if name.is_empty() && properties.topic_alias().is_none() {
            return Err(NO_TOPIC.broken(cursor.version()));
        }
        Ok(Self {
            dup: flags & 0b1000 != 0,
            qos,
            retain: flags & 1 != 0,
            topic: name,
            packet_id,
            properties,
            payload: cursor.rest(),
        })
    }

    /// Appends the packet to `out`, in 3.1.1 without properties. Where QoS asks for a packet identifier and there is
    /// none, 0 is written, which every reader refuses.
    ///
    /// # Errors
    /// [`TooLarge`], and then nothing has been appended.
    pub fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        writer::packet(self.first_octet(), out, |out| {
            out.text(self.topic)?;
            if self.qos != Qos::AtMostOnce {
                out.u16(self.packet_id.unwrap_or_default());
            }
            out.properties(self.properties, version)?;
            out.raw(self.payload);
            Ok(())
        })
    }

    pub(super) const fn first_octet(&self) -> u8 {
        let qos = match self.qos {
            Qos::AtMostOnce => 0b000,
            Qos::AtLeastOnce => 0b010,
            Qos::ExactlyOnce => 0b100,
        };
        let dup = if self.dup { 0b1000 } else { 0 };
        let retain = if self.retain { 1 } else { 0 };
        PacketType::Publish.first_octet() | dup | qos | retain
    }
}

const QOS_3: Clause = Clause::malformed("MQTT-3.3.1-4", "MQTT-3.3.1-4", "PUBLISH with QoS 3");
const WILDCARD: Clause =
    Clause::malformed("MQTT-3.3.2-2", "MQTT-3.3.2-2", "a wildcard in a topic name");
const NO_TOPIC: Clause = Clause::protocol_error(
    "MQTT-4.7.3-1",
    "section 3.3.2.1",
    "an empty topic name without a Topic Alias",
);
