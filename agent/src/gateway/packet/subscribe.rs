//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10 of both versions).

use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::properties::Properties;
use super::property::Carrier;
use super::writer::{self, TooLarge};
use super::{PacketType, Version, topic};
use crate::wire::Qos;
use bytes::BytesMut;

/// SUBSCRIBE, with one filter or more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subscribe<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    payload: &'a [u8],
    version: Version,
}

/// UNSUBSCRIBE, with one filter or more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unsubscribe<'a> {
    /// Never 0.
    pub packet_id: u16,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
    payload: &'a [u8],
    version: Version,
}

/// What a subscription asks for besides its filter (5.0 section 3.8.3.1); 3.1.1 knows QoS alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SubscribeOptions {
    /// The highest quality of service wanted.
    pub qos: Qos,
    /// Nothing that this client itself publishes; never on a shared subscription.
    pub no_local: bool,
    /// RETAIN as it was published, instead of 0.
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

/// When the server sends the retained messages of a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetainHandling {
    /// 0: at every SUBSCRIBE, the only way of 3.1.1.
    AtSubscribe,
    /// 1: only where the subscription is new.
    IfNew,
    /// 2: never.
    Never,
}

impl<'a> Subscribe<'a> {
    /// The filters with their options, in their order.
    pub fn filters(&self) -> impl Iterator<Item = (&'a str, SubscribeOptions)> + Clone + use<'a> {
        let mut cursor = Cursor::new(self.payload, self.version);
        std::iter::from_fn(move || read_subscription(&mut cursor).ok())
    }

    pub(super) fn read(cursor: Cursor<'a>) -> Result<Self, Malformed> {
        let without_filter = &SUBSCRIBE_WITHOUT_FILTER;
        let read = read_list(cursor, PacketType::Subscribe, without_filter, |cursor| {
            read_subscription(cursor).map(drop)
        });
        let (packet_id, properties, payload) = read?;
        Ok(Self {
            packet_id,
            properties,
            payload,
            version: cursor.version(),
        })
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        write_subscribe(
            self.packet_id,
            self.properties,
            self.filters(),
            version,
            out,
        )
    }
}

impl<'a> Unsubscribe<'a> {
    /// The filters in their order.
    pub fn filters(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        let mut cursor = Cursor::new(self.payload, self.version);
        std::iter::from_fn(move || read_filter(&mut cursor).ok())
    }

    pub(super) fn read(cursor: Cursor<'a>) -> Result<Self, Malformed> {
        let without_filter = &UNSUBSCRIBE_WITHOUT_FILTER;
        let read = read_list(cursor, PacketType::Unsubscribe, without_filter, |cursor| {
            read_filter(cursor).map(drop)
        });
        let (packet_id, properties, payload) = read?;
        Ok(Self {
            packet_id,
            properties,
            payload,
            version: cursor.version(),
        })
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        write_unsubscribe(
            self.packet_id,
            self.properties,
            self.filters(),
            version,
            out,
        )
    }
}

impl SubscribeOptions {
    /// What a subscription of 3.1.1 says: nothing but its quality of service.
    #[must_use]
    pub const fn of_qos(qos: Qos) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::AtSubscribe,
        }
    }

    fn octet(self, version: Version) -> u8 {
        let qos = u8::from(self.qos);
        if version == Version::V311 {
            return qos;
        }
        let no_local = if self.no_local { NO_LOCAL } else { 0 };
        let as_published = if self.retain_as_published {
            RETAIN_AS_PUBLISHED
        } else {
            0
        };
        let handling = match self.retain_handling {
            RetainHandling::AtSubscribe => 0x00,
            RetainHandling::IfNew => 0x10,
            RetainHandling::Never => 0x20,
        };
        qos | no_local | as_published | handling
    }

    fn read(octet: u8, version: Version) -> Result<Self, Malformed> {
        let reserved = match version {
            Version::V311 => 0xFC,
            Version::V5 => 0xC0,
        };
        if octet & reserved != 0 {
            return Err(RESERVED_OPTIONS.broken(version));
        }
        let qos = Qos::try_from(octet & 0b11).map_err(|_| QOS_3.broken(version))?;
        Ok(Self {
            qos,
            no_local: octet & NO_LOCAL != 0,
            retain_as_published: octet & RETAIN_AS_PUBLISHED != 0,
            retain_handling: match octet & 0x30 {
                0x00 => RetainHandling::AtSubscribe,
                0x10 => RetainHandling::IfNew,
                0x20 => RetainHandling::Never,
                _ => return Err(RETAIN_HANDLING_3.broken(version)),
            },
        })
    }
}

/// Appends a SUBSCRIBE to `out`, in 3.1.1 without properties and with no option but QoS.
///
/// # Errors
/// [`TooLarge`], and then nothing has been appended.
pub fn write_subscribe<'a>(
    packet_id: u16,
    properties: Properties<'_>,
    filters: impl Iterator<Item = (&'a str, SubscribeOptions)> + Clone,
    version: Version,
    out: &mut BytesMut,
) -> Result<(), TooLarge> {
    writer::packet(PacketType::Subscribe.first_octet(), out, |out| {
        out.u16(packet_id);
        out.properties(properties, version)?;
        filters.clone().try_for_each(|(filter, options)| {
            out.text(filter)?;
            out.u8(options.octet(version));
            Ok(())
        })
    })
}

/// Appends an UNSUBSCRIBE to `out`, in 3.1.1 without properties.
///
/// # Errors
/// [`TooLarge`], and then nothing has been appended.
pub fn write_unsubscribe<'a>(
    packet_id: u16,
    properties: Properties<'_>,
    filters: impl Iterator<Item = &'a str> + Clone,
    version: Version,
    out: &mut BytesMut,
) -> Result<(), TooLarge> {
    writer::packet(PacketType::Unsubscribe.first_octet(), out, |out| {
        out.u16(packet_id);
        out.properties(properties, version)?;
        filters.clone().try_for_each(|filter| out.text(filter))
    })
}

/// Packet identifier, properties and at least one of what `read_one` reads, as octets.
fn read_list<'a>(
    mut cursor: Cursor<'a>,
    packet_type: PacketType,
    without_any: &Clause,
    mut read_one: impl FnMut(&mut Cursor<'a>) -> Result<(), Malformed>,
) -> Result<(u16, Properties<'a>, &'a [u8]), Malformed> {
    let packet_id = cursor.packet_id()?;
    let properties = Properties::read(&mut cursor, Carrier::Packet(packet_type))?;
    if cursor.is_empty() {
        return Err(without_any.broken(cursor.version()));
    }
    let payload = cursor.rest();
    while !cursor.is_empty() {
        read_one(&mut cursor)?;
    }
    Ok((packet_id, properties, payload))
}

fn read_subscription<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<(&'a str, SubscribeOptions), Malformed> {
    let version = cursor.version();
    let filter = read_filter(cursor)?;
    let options = SubscribeOptions::read(cursor.u8()?, version)?;
    if version == Version::V5 && options.no_local && topic::is_shared(filter) {
        return Err(NO_LOCAL_ON_SHARE.broken(version));
    }
    Ok((filter, options))
}

fn read_filter<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Malformed> {
    let filter = cursor.text()?;
    topic::expect_filter(filter, cursor.version())?;
    Ok(filter)
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;

const SUBSCRIBE_WITHOUT_FILTER: Clause =
    Clause::protocol_error("MQTT-3.8.3-3", "MQTT-3.8.3-2", "SUBSCRIBE without a filter");
const UNSUBSCRIBE_WITHOUT_FILTER: Clause = Clause::protocol_error(
    "MQTT-3.10.3-2",
    "MQTT-3.10.3-2",
    "UNSUBSCRIBE without a filter",
);
const RESERVED_OPTIONS: Clause = Clause::malformed(
    "MQTT-3-8.3-4", // so written in the specification
    "MQTT-3.8.3-5",
    "reserved bits of the subscription options",
);
const QOS_3: Clause = Clause::protocol_error(
    "MQTT-3-8.3-4",
    "section 3.8.3.1",
    "a subscription with QoS 3",
);
const RETAIN_HANDLING_3: Clause = Clause::protocol_error(
    "",
    "section 3.8.3.1",
    "a subscription with Retain Handling 3",
);
const NO_LOCAL_ON_SHARE: Clause =
    Clause::protocol_error("", "MQTT-3.8.3-4", "No Local on a shared subscription");
