//! The properties of a packet, as they stand in it.

use super::PacketType;
use super::Version;
use super::cursor::Cursor;
use super::malformed::{Clause, Malformed, PROTOCOL_ERROR};
use super::property::{Carrier, Property, SUBSCRIPTION_IDENTIFIER, UNKNOWN, USER_PROPERTY};
use crate::wire::Qos;
use std::num::{NonZeroU16, NonZeroU32};

/// The properties of one packet: each known, allowed in that packet, in range, and none twice that may stand once.
/// A packet of 3.1.1 has none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Properties<'a> {
    octets: &'a [u8],
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Properties<'static> = Properties { octets: &[] };

    /// The properties in their order.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + Clone + use<'a> {
        let mut cursor = Cursor::new(self.octets, Version::V5);
        std::iter::from_fn(move || {
            let id = cursor.property_id().ok()?;
            Property::read(id, &mut cursor).ok()
        })
    }

    /// The first property that `pick` takes something from.
    pub fn find<T>(&self, pick: impl FnMut(Property<'a>) -> Option<T>) -> Option<T> {
        self.iter().find_map(pick)
    }

    /// Names and values of the user properties in their order.
    pub fn user(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// The octets, without the length before them.
    #[must_use]
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Assigned Client Identifier.
    #[must_use]
    pub fn assigned_client_identifier(&self) -> Option<&'a str> {
        self.find(|property| match property {
            Property::AssignedClientIdentifier(id) => Some(id),
            _ => None,
        })
    }

    /// Authentication Method.
    #[must_use]
    pub fn authentication_method(&self) -> Option<&'a str> {
        self.find(|property| match property {
            Property::AuthenticationMethod(method) => Some(method),
            _ => None,
        })
    }

    /// Content Type.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a str> {
        self.find(|property| match property {
            Property::ContentType(text) => Some(text),
            _ => None,
        })
    }

    /// Correlation Data.
    #[must_use]
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.find(|property| match property {
            Property::CorrelationData(octets) => Some(octets),
            _ => None,
        })
    }

    /// Maximum Packet Size in octets.
    #[must_use]
    pub fn maximum_packet_size(&self) -> Option<NonZeroU32> {
        self.find(|property| match property {
            Property::MaximumPacketSize(octets) => Some(octets),
            _ => None,
        })
    }

    /// Maximum QoS; 2 where nothing is said.
    #[must_use]
    pub fn maximum_qos(&self) -> Qos {
        self.find(|property| match property {
            Property::MaximumQos(qos) => Some(qos),
            _ => None,
        })
        .unwrap_or(Qos::ExactlyOnce)
    }

    /// Message Expiry Interval in seconds.
    #[must_use]
    pub fn message_expiry_interval(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::MessageExpiryInterval(seconds) => Some(seconds),
            _ => None,
        })
    }

    /// Reason String.
    #[must_use]
    pub fn reason_string(&self) -> Option<&'a str> {
        self.find(|property| match property {
            Property::ReasonString(text) => Some(text),
            _ => None,
        })
    }

    /// Receive Maximum.
    #[must_use]
    pub fn receive_maximum(&self) -> Option<NonZeroU16> {
        self.find(|property| match property {
            Property::ReceiveMaximum(number) => Some(number),
            _ => None,
        })
    }

    /// Response Topic.
    #[must_use]
    pub fn response_topic(&self) -> Option<&'a str> {
        self.find(|property| match property {
            Property::ResponseTopic(topic) => Some(topic),
            _ => None,
        })
    }

    /// Server Keep Alive in seconds.
    #[must_use]
    pub fn server_keep_alive(&self) -> Option<u16> {
        self.find(|property| match property {
            Property::ServerKeepAlive(seconds) => Some(seconds),
            _ => None,
        })
    }

    /// Session Expiry Interval in seconds; 0xFFFFFFFF: never.
    #[must_use]
    pub fn session_expiry_interval(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::SessionExpiryInterval(seconds) => Some(seconds),
            _ => None,
        })
    }

    /// Topic Alias.
    #[must_use]
    pub fn topic_alias(&self) -> Option<NonZeroU16> {
        self.find(|property| match property {
            Property::TopicAlias(alias) => Some(alias),
            _ => None,
        })
    }

    /// Will Delay Interval in seconds.
    #[must_use]
    pub fn will_delay_interval(&self) -> Option<u32> {
        self.find(|property| match property {
            Property::WillDelayInterval(seconds) => Some(seconds),
            _ => None,
        })
    }

    /// Reads the length and as many octets of properties; nothing in 3.1.1.
    pub(super) fn read(cursor: &mut Cursor<'a>, carrier: Carrier) -> Result<Self, Malformed> {
        if cursor.version() == Version::V311 {
            return Ok(Self::default());
        }
        let length = cursor.varint()?;
        let octets = cursor.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        expect_sound(Cursor::new(octets, Version::V5), carrier)?;
        Ok(Self { octets })
    }

    /// `octets` have been written by [`super::PropertiesBuf`].
    pub(super) const fn written(octets: &'a [u8]) -> Self {
        Self { octets }
    }
}

fn expect_sound(mut cursor: Cursor<'_>, carrier: Carrier) -> Result<(), Malformed> {
    let mut seen = 0_u64;
    while !cursor.is_empty() {
        let id = cursor.property_id()?;
        match carrier.may_carry(id) {
            Some(true) => {}
            Some(false) => return Err(MISPLACED.broken(Version::V5)),
            None => return Err(UNKNOWN.broken(Version::V5)),
        }
        let bit = 1_u64.wrapping_shl(u32::from(id));
        if seen & bit != 0 && !may_repeat(id, carrier) {
            return Err(Malformed {
                statement: carrier.section(),
                what: "a property twice that may stand once",
                reason: PROTOCOL_ERROR,
            });
        }
        seen |= bit;
        Property::read(id, &mut cursor)?;
    }
    Ok(())
}

fn may_repeat(id: u8, carrier: Carrier) -> bool {
    id == USER_PROPERTY
        || (id == SUBSCRIPTION_IDENTIFIER && carrier == Carrier::Packet(PacketType::Publish))
}

const MISPLACED: Clause = Clause::malformed(
    "",
    "section 2.2.2.2",
    "a property that packets of this type do not have",
);
