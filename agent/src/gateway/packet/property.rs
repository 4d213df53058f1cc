//! The 27 properties of MQTT 5 (section 2.2.2.2): identifiers, values, and the packets that may carry them.

use super::PacketType;
use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::topic;
use super::writer::{TooLarge, Writer};
use crate::wire::Qos;
use std::num::{NonZeroU16, NonZeroU32};

/// One property with its value. Intervals are in seconds, sizes in octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Property<'a> {
    /// CONNACK.
    AssignedClientIdentifier(&'a str),
    /// CONNECT, CONNACK, AUTH; never without a method.
    AuthenticationData(&'a [u8]),
    /// CONNECT, CONNACK, AUTH.
    AuthenticationMethod(&'a str),
    /// PUBLISH, will.
    ContentType(&'a str),
    /// PUBLISH, will.
    CorrelationData(&'a [u8]),
    /// CONNECT, CONNACK.
    MaximumPacketSize(NonZeroU32),
    /// CONNACK; 2 cannot be said, it is the absence of the property.
    MaximumQos(Qos),
    /// PUBLISH, will.
    MessageExpiryInterval(u32),
    /// PUBLISH, will: whether the payload is UTF-8.
    PayloadFormatIndicator(bool),
    /// CONNACK, every acknowledgement, DISCONNECT, AUTH.
    ReasonString(&'a str),
    /// CONNECT, CONNACK.
    ReceiveMaximum(NonZeroU16),
    /// CONNECT.
    RequestProblemInformation(bool),
    /// CONNECT.
    RequestResponseInformation(bool),
    /// CONNACK.
    ResponseInformation(&'a str),
    /// PUBLISH, will: a topic name.
    ResponseTopic(&'a str),
    /// CONNACK.
    RetainAvailable(bool),
    /// CONNACK.
    ServerKeepAlive(u16),
    /// CONNACK, DISCONNECT.
    ServerReference(&'a str),
    /// CONNECT, CONNACK, DISCONNECT.
    SessionExpiryInterval(u32),
    /// CONNACK.
    SharedSubscriptionAvailable(bool),
    /// SUBSCRIBE once, PUBLISH any number of times; at most 268,435,455.
    SubscriptionIdentifier(NonZeroU32),
    /// CONNACK.
    SubscriptionIdentifiersAvailable(bool),
    /// PUBLISH.
    TopicAlias(NonZeroU16),
    /// CONNECT, CONNACK.
    TopicAliasMaximum(u16),
    /// Every packet but pings, and will, any number of times: name and value.
    UserProperty(&'a str, &'a str),
    /// CONNACK.
    WildcardSubscriptionAvailable(bool),
    /// Will.
    WillDelayInterval(u32),
}

impl<'a> Property<'a> {
    /// Reads the value of the property `id`.
    pub(super) fn read(id: u8, cursor: &mut Cursor<'a>) -> Result<Self, Malformed> {
        Ok(match id {
            0x01 => Self::PayloadFormatIndicator(flag(cursor, &PAYLOAD_FORMAT)?),
            0x02 => Self::MessageExpiryInterval(cursor.u32()?),
            0x03 => Self::ContentType(cursor.text()?),
            0x08 => Self::ResponseTopic(response_topic(cursor)?),
            0x09 => Self::CorrelationData(cursor.binary()?),
            0x0B => Self::SubscriptionIdentifier(subscription_identifier(cursor)?),
            0x11 => Self::SessionExpiryInterval(cursor.u32()?),
            0x12 => Self::AssignedClientIdentifier(cursor.text()?),
            0x13 => Self::ServerKeepAlive(cursor.u16()?),
            0x15 => Self::AuthenticationMethod(cursor.text()?),
            0x16 => Self::AuthenticationData(cursor.binary()?),
            0x17 => Self::RequestProblemInformation(flag(cursor, &REQUEST_PROBLEM)?),
            0x18 => Self::WillDelayInterval(cursor.u32()?),
            0x19 => Self::RequestResponseInformation(flag(cursor, &REQUEST_RESPONSE)?),
            0x1A => Self::ResponseInformation(cursor.text()?),
            0x1C => Self::ServerReference(cursor.text()?),
            0x1F => Self::ReasonString(cursor.text()?),
            0x21 => Self::ReceiveMaximum(non_zero_u16(cursor, &RECEIVE_MAXIMUM)?),
            0x22 => Self::TopicAliasMaximum(cursor.u16()?),
            0x23 => Self::TopicAlias(non_zero_u16(cursor, &TOPIC_ALIAS)?),
            0x24 => Self::MaximumQos(maximum_qos(cursor)?),
            0x25 => Self::RetainAvailable(flag(cursor, &RETAIN_AVAILABLE)?),
            0x26 => Self::UserProperty(cursor.text()?, cursor.text()?),
            0x27 => Self::MaximumPacketSize(maximum_packet_size(cursor)?),
            0x28 => Self::WildcardSubscriptionAvailable(flag(cursor, &WILDCARD_SUBSCRIPTION)?),
            0x29 => Self::SubscriptionIdentifiersAvailable(flag(cursor, &SUBSCRIPTION_IDS)?),
            0x2A => Self::SharedSubscriptionAvailable(flag(cursor, &SHARED_SUBSCRIPTION)?),
            _ => return Err(UNKNOWN.broken(cursor.version())),
        })
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> u8 {
        match self {
            Self::PayloadFormatIndicator(_) => 0x01,
            Self::MessageExpiryInterval(_) => 0x02,
            Self::ContentType(_) => 0x03,
            Self::ResponseTopic(_) => 0x08,
            Self::CorrelationData(_) => 0x09,
            Self::SubscriptionIdentifier(_) => 0x0B,
            Self::SessionExpiryInterval(_) => 0x11,
            Self::AssignedClientIdentifier(_) => 0x12,
            Self::ServerKeepAlive(_) => 0x13,
            Self::AuthenticationMethod(_) => 0x15,
            Self::AuthenticationData(_) => 0x16,
            Self::RequestProblemInformation(_) => 0x17,
            Self::WillDelayInterval(_) => 0x18,
            Self::RequestResponseInformation(_) => 0x19,
            Self::ResponseInformation(_) => 0x1A,
            Self::ServerReference(_) => 0x1C,
            Self::ReasonString(_) => 0x1F,
            Self::ReceiveMaximum(_) => 0x21,
            Self::TopicAliasMaximum(_) => 0x22,
            Self::TopicAlias(_) => 0x23,
            Self::MaximumQos(_) => 0x24,
            Self::RetainAvailable(_) => 0x25,
            Self::UserProperty(..) => USER_PROPERTY,
            Self::MaximumPacketSize(_) => 0x27,
            Self::WildcardSubscriptionAvailable(_) => 0x28,
            Self::SubscriptionIdentifiersAvailable(_) => 0x29,
            Self::SharedSubscriptionAvailable(_) => 0x2A,
        }
    }

    /// Writes identifier and value.
    pub(super) fn write(&self, out: &mut Writer<'_>) -> Result<(), TooLarge> {
        out.u8(self.id());
        match self {
            Self::AssignedClientIdentifier(text)
            | Self::AuthenticationMethod(text)
            | Self::ContentType(text)
            | Self::ReasonString(text)
            | Self::ResponseInformation(text)
            | Self::ResponseTopic(text)
            | Self::ServerReference(text) => out.text(text)?,
            Self::AuthenticationData(octets) | Self::CorrelationData(octets) => {
                out.binary(octets)?;
            }
            Self::MaximumPacketSize(octets) => out.u32(octets.get()),
            Self::MaximumQos(qos) => out.u8(u8::from(*qos)),
            Self::MessageExpiryInterval(seconds)
            | Self::SessionExpiryInterval(seconds)
            | Self::WillDelayInterval(seconds) => out.u32(*seconds),
            Self::PayloadFormatIndicator(flag)
            | Self::RequestProblemInformation(flag)
            | Self::RequestResponseInformation(flag)
            | Self::RetainAvailable(flag)
            | Self::SharedSubscriptionAvailable(flag)
            | Self::SubscriptionIdentifiersAvailable(flag)
            | Self::WildcardSubscriptionAvailable(flag) => out.u8(u8::from(*flag)),
            Self::ReceiveMaximum(number) | Self::TopicAlias(number) => out.u16(number.get()),
            Self::ServerKeepAlive(number) | Self::TopicAliasMaximum(number) => out.u16(*number),
            Self::SubscriptionIdentifier(id) => out.checked_varint(id.get())?,
            Self::UserProperty(name, value) => {
                out.text(name)?;
                out.text(value)?;
            }
        }
        Ok(())
    }
}

/// The identifier of user properties, which may stand any number of times.
pub(super) const USER_PROPERTY: u8 = 0x26;

/// The identifier of the Subscription Identifier, which may stand any number of times in PUBLISH.
pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;

/// What carries properties: a packet, or the will within CONNECT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    Packet(PacketType),
    Will,
}

impl Carrier {
    /// Whether this may carry the property `id` (table 2-4 of 5.0). `None` for an id that is no property.
    pub(super) const fn may_carry(self, id: u8) -> Option<bool> {
        use PacketType as P;
        Some(match id {
            0x01..=0x03 | 0x08 | 0x09 => matches!(self, Self::Packet(P::Publish) | Self::Will),
            0x0B => matches!(self, Self::Packet(P::Publish | P::Subscribe)),
            0x11 => matches!(self, Self::Packet(P::Connect | P::ConnAck | P::Disconnect)),
            0x12 | 0x13 | 0x1A | 0x24 | 0x25 | 0x28..=0x2A => {
                matches!(self, Self::Packet(P::ConnAck))
            }
            0x15 | 0x16 => matches!(self, Self::Packet(P::Connect | P::ConnAck | P::Auth)),
            0x17 | 0x19 => matches!(self, Self::Packet(P::Connect)),
            0x18 => matches!(self, Self::Will),
            0x1C => matches!(self, Self::Packet(P::ConnAck | P::Disconnect)),
            0x1F => !matches!(
                self,
                Self::Packet(P::Connect | P::Publish | P::Subscribe | P::Unsubscribe) | Self::Will
            ),
            0x21 | 0x22 | 0x27 => matches!(self, Self::Packet(P::Connect | P::ConnAck)),
            0x23 => matches!(self, Self::Packet(P::Publish)),
            USER_PROPERTY => true,
            _ => return None,
        })
    }

    /// The section of 5.0 on the properties of this carrier.
    pub(super) const fn section(self) -> &'static str {
        match self {
            Self::Will => "section 3.1.3.2",
            Self::Packet(PacketType::Connect) => "section 3.1.2.11",
            Self::Packet(PacketType::ConnAck) => "section 3.2.2.3",
            Self::Packet(PacketType::Publish) => "section 3.3.2.3",
            Self::Packet(PacketType::PubAck) => "section 3.4.2.2",
            Self::Packet(PacketType::PubRec) => "section 3.5.2.2",
            Self::Packet(PacketType::PubRel) => "section 3.6.2.2",
            Self::Packet(PacketType::PubComp) => "section 3.7.2.2",
            Self::Packet(PacketType::Subscribe) => "section 3.8.2.1",
            Self::Packet(PacketType::SubAck) => "section 3.9.2.1",
            Self::Packet(PacketType::Unsubscribe) => "section 3.10.2.1",
            Self::Packet(PacketType::UnsubAck) => "section 3.11.2.1",
            Self::Packet(PacketType::Disconnect) => "section 3.14.2.2",
            Self::Packet(PacketType::Auth) => "section 3.15.2.2",
            Self::Packet(PacketType::PingReq | PacketType::PingResp) => "section 2.2.2",
        }
    }
}

fn flag(cursor: &mut Cursor<'_>, clause: &Clause) -> Result<bool, Malformed> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(clause.broken(cursor.version())),
    }
}

fn maximum_qos(cursor: &mut Cursor<'_>) -> Result<Qos, Malformed> {
    let one = flag(cursor, &MAXIMUM_QOS)?;
    Ok(if one {
        Qos::AtLeastOnce
    } else {
        Qos::AtMostOnce
    })
}

fn non_zero_u16(cursor: &mut Cursor<'_>, clause: &Clause) -> Result<NonZeroU16, Malformed> {
    NonZeroU16::new(cursor.u16()?).ok_or_else(|| clause.broken(cursor.version()))
}

fn maximum_packet_size(cursor: &mut Cursor<'_>) -> Result<NonZeroU32, Malformed> {
    NonZeroU32::new(cursor.u32()?).ok_or_else(|| MAXIMUM_PACKET_SIZE.broken(cursor.version()))
}

fn subscription_identifier(cursor: &mut Cursor<'_>) -> Result<NonZeroU32, Malformed> {
    NonZeroU32::new(cursor.varint()?).ok_or_else(|| SUBSCRIPTION_ID.broken(cursor.version()))
}

fn response_topic<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Malformed> {
    let name = cursor.text()?;
    topic::expect_name(name, &RESPONSE_TOPIC, cursor.version())?;
    Ok(name)
}

pub(super) const UNKNOWN: Clause = Clause::malformed("", "section 2.2.2.2", "an unknown property");
const PAYLOAD_FORMAT: Clause = out_of_range(
    "section 3.3.2.3.2",
    "Payload Format Indicator is not 0 or 1",
);
const RESPONSE_TOPIC: Clause =
    Clause::malformed("", "MQTT-3.3.2-14", "a wildcard in Response Topic");
const SUBSCRIPTION_ID: Clause = out_of_range(
    "sections 3.3.2.3.8 and 3.8.2.1.2",
    "Subscription Identifier is 0",
);
const REQUEST_PROBLEM: Clause = out_of_range(
    "section 3.1.2.11.7",
    "Request Problem Information is not 0 or 1",
);
const REQUEST_RESPONSE: Clause = out_of_range(
    "section 3.1.2.11.6",
    "Request Response Information is not 0 or 1",
);
const RECEIVE_MAXIMUM: Clause =
    out_of_range("sections 3.1.2.11.3 and 3.2.2.3.3", "Receive Maximum is 0");
const TOPIC_ALIAS: Clause = Clause::new("", "MQTT-3.3.2-8", "Topic Alias is 0", 0x94);
const MAXIMUM_QOS: Clause = out_of_range("section 3.2.2.3.4", "Maximum QoS is not 0 or 1");
const RETAIN_AVAILABLE: Clause =
    out_of_range("section 3.2.2.3.5", "Retain Available is not 0 or 1");
const MAXIMUM_PACKET_SIZE: Clause = out_of_range(
    "sections 3.1.2.11.4 and 3.2.2.3.6",
    "Maximum Packet Size is 0",
);
const WILDCARD_SUBSCRIPTION: Clause = out_of_range(
    "section 3.2.2.3.11",
    "Wildcard Subscription Available is not 0 or 1",
);
const SUBSCRIPTION_IDS: Clause = out_of_range(
    "section 3.2.2.3.12",
    "Subscription Identifiers Available is not 0 or 1",
);
const SHARED_SUBSCRIPTION: Clause = out_of_range(
    "section 3.2.2.3.13",
    "Shared Subscription Available is not 0 or 1",
);

const fn out_of_range(section: &'static str, what: &'static str) -> Clause {
    Clause::protocol_error("", section, what)
}
