//! What is known of the broker at the other end of this session.

use super::timers::{Pings, Wedge};
use crate::gateway::packet::{ConnAck, Property, Version};
use crate::wire::Qos;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

/// The broker's end.
pub(super) struct Upstream {
    /// What is spoken to it.
    pub(super) version: Version,
    /// The connection is there.
    pub(super) is_open: bool,
    /// What it said in CONNACK.
    pub(super) limits: Limits,
    pub(super) pings: Option<Pings>,
    pub(super) wedge: Wedge,
    /// Messages of QoS 1 and 2 that CONNECT let it send at once.
    pub(super) receive_maximum: u16,
    /// CONNECT asked for a session that outlives the connection where the program did not.
    pub(super) expiry_raised: bool,
    /// The client identifier that it gave a program without one.
    pub(super) assigned: Option<Box<str>>,
    /// Enhanced authentication: the next AUTH is the broker's.
    pub(super) is_to_authenticate: bool,
    /// When the login token makes a planned renewal due.
    pub(super) renew_at: Option<Duration>,
}

/// What a broker takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Limits {
    pub(super) receive_maximum: u16,
    pub(super) maximum_qos: Qos,
    pub(super) retain_available: bool,
    pub(super) max_packet_octets: u32,
    pub(super) wildcards: bool,
    pub(super) subscription_ids: bool,
    pub(super) shared: bool,
}

impl Limits {
    /// Without a word: everything (5, 3.2.2.3).
    pub(super) const NONE: Self = Self {
        receive_maximum: u16::MAX,
        maximum_qos: Qos::ExactlyOnce,
        retain_available: true,
        max_packet_octets: u32::MAX,
        wildcards: true,
        subscription_ids: true,
        shared: true,
    };

    pub(super) fn of(connack: &ConnAck<'_>) -> Self {
        let properties = &connack.properties;
        let mut limits = Self {
            receive_maximum: properties
                .receive_maximum()
                .map_or(u16::MAX, NonZeroU16::get),
            maximum_qos: properties.maximum_qos(),
            retain_available: true,
            max_packet_octets: properties
                .maximum_packet_size()
                .map_or(u32::MAX, NonZeroU32::get),
            wildcards: true,
            subscription_ids: true,
            shared: true,
        };
        for property in properties.iter() {
            match property {
                Property::RetainAvailable(there) => limits.retain_available = there,
                Property::WildcardSubscriptionAvailable(there) => limits.wildcards = there,
                Property::SubscriptionIdentifiersAvailable(there) => {
                    limits.subscription_ids = there;
                }
                Property::SharedSubscriptionAvailable(there) => limits.shared = there,
                _ => {}
            }
        }
        limits
    }

    /// Whether whoever was told of `before` may go on without being told of these.
    pub(super) fn cover(&self, before: &Self) -> bool {
        self.receive_maximum >= before.receive_maximum
            && u8::from(self.maximum_qos) >= u8::from(before.maximum_qos)
            && (self.retain_available || !before.retain_available)
            && self.max_packet_octets >= before.max_packet_octets
            && (self.wildcards || !before.wildcards)
            && (self.subscription_ids || !before.subscription_ids)
            && (self.shared || !before.shared)
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            version: Version::V5,
            is_open: false,
            limits: Limits::NONE,
            receive_maximum: u16::MAX,
            expiry_raised: false,
            assigned: None,
            is_to_authenticate: false,
            pings: None,
            wedge: Wedge::default(),
            renew_at: None,
        }
    }
}
