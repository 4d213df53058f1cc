//! SUBSCRIBE and UNSUBSCRIBE, and a subscription that is repeated when it lets in what was refused.

use super::ending::Ending;
use super::local::IDENTIFIER_IN_USE;
use super::{Action, Note, Phase, Session, Surroundings, translate};
use crate::gateway::message::{self, SubscribeContext};
use crate::gateway::metrics::add_code;
use crate::gateway::packet::{
    Packet, PacketType, Properties, PropertiesBuf, Property, RetainHandling, SubAck, Subscribe,
    SubscribeOptions, Unsubscribe, Version, write_subscribe, write_unsubscribe,
};
use crate::gateway::rules::overlaps;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// What the program has subscribed and asked for.
#[derive(Default)]
pub(super) struct Subscriptions {
    pending: BTreeMap<u16, Pending>,
    /// By the filter as it is upstream.
    active: BTreeMap<Box<str>, Active>,
    /// The identifier of a SUBSCRIBE of our own.
    own: Option<u16>,
    /// What is to be subscribed once more, by us.
    repeats: Vec<(Box<str>, Active)>,
    refused: Vec<(Box<str>, Duration)>,
    refused_more: Option<Duration>,
    /// The replay memory knows the program.
    introduced: bool,
    /// Other trust data is in force since the last repetition.
    trust_changed: bool,
}

enum Pending {
    Subscribe {
        /// What the program is told: a refusal of ours, or what the broker says of a filter.
        slots: Vec<Slot>,
        subscription_id: Option<NonZeroU32>,
    },
    Unsubscribe {
        /// The filters as they are upstream; nothing for one that was never subscribed here.
        slots: Vec<Option<Box<str>>>,
    },
}

impl Pending {
    fn filters(&self) -> impl Iterator<Item = &str> {
        let (subscribed, unsubscribed) = match self {
            Self::Subscribe { slots, .. } => (&**slots, &[][..]),
            Self::Unsubscribe { slots } => (&[][..], &**slots),
        };
        let subscribed = subscribed.iter().filter_map(Slot::upstream);
        let unsubscribed = unsubscribed.iter().filter_map(Option::as_deref);
        subscribed.map(|(filter, _)| filter).chain(unsubscribed)
    }
}

enum Slot {
    Refused(u8),
    Upstream(Box<str>, SubscribeOptions),
}

#[derive(Clone, Copy)]
struct Active {
    options: SubscribeOptions,
    subscription_id: Option<NonZeroU32>,
}

impl Subscriptions {
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.own.is_none()
    }

    /// A retained message was refused: other trust data may let it in.
    pub(super) fn refused_retained(&mut self, topic: &str, code: &str, now: Duration) {
        if !CURABLE.contains(&code) {
            return;
        }
        self.refused.retain(|(known, _)| **known != *topic);
        if self.refused.len() < REFUSED && topic.len() <= REMEMBERED_OCTETS {
            self.refused.push((topic.into(), now));
        } else {
            self.refused_more = Some(now);
        }
    }

    /// Queues the subscriptions that are to be repeated; nothing is remembered as refused any more.
    fn queue_repeats(&mut self, now: Duration) {
        let recent = |at: &Duration| now.saturating_sub(*at) < REFUSED_FOR;
        let all = self.refused_more.take().is_some_and(|at| recent(&at));
        let refused = std::mem::take(&mut self.refused);
        let matches_one = |filter: &str| {
            refused
                .iter()
                .any(|(topic, at)| recent(at) && overlaps(filter, topic))
        };
        let repeats = self
            .active
            .iter()
            // A broker sends nothing retained to a shared subscription (5, 4.8.2).
            .filter(|(filter, _)| !filter.starts_with(SHARE))
            // The program wants none at all.
            .filter(|(_, active)| active.options.retain_handling != RetainHandling::Never)
            .filter(|(filter, _)| all || matches_one(filter))
            .map(|(filter, active)| (filter.clone(), *active));
        self.repeats = repeats.collect();
    }

    /// Octets of the filters that the broker has not answered for.
    fn pending_octets(&self) -> usize {
        let slots = self.pending.values().flat_map(Pending::filters);
        slots.map(str::len).fold(0, usize::saturating_add)
    }

    fn is_free(&self, packet_id: u16) -> bool {
        !self.pending.contains_key(&packet_id) && self.own != Some(packet_id)
    }
}

impl Session {
    pub(super) fn program_subscribes(
        &mut self,
        subscribe: &Subscribe<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let packet_id = subscribe.packet_id;
        self.expect_free(packet_id)?;
        let slots = self.slots(subscribe, around);
        let subscription_id = subscribe.properties.find(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        });
        let filters = slots.iter().filter_map(Slot::upstream);
        if filters.clone().next().is_none() {
            let codes: Vec<u8> = slots.iter().map(|slot| slot.code(None)).collect();
            return self.answer(PacketType::SubAck, packet_id, &codes, Properties::EMPTY);
        }
        self.introduce(around)?;
        let properties = translate::without_ours(&subscribe.properties);
        let properties = properties.as_properties();
        let (version, before) = (self.upstream.version, self.upstream_output.len());
        let out = &mut self.upstream_output;
        write_subscribe(packet_id, properties, filters, version, out)
            .map_err(|_| SUBSCRIBE_TOO_LARGE)?;
        self.expect_size(before)?;
        if let Some(id) = subscription_id {
            self.inbound.copies.subscribed(id);
        }
        let pending = Pending::Subscribe {
            slots,
            subscription_id,
        };
        self.subscriptions.pending.insert(packet_id, pending);
        self.sent_upstream(around);
        self.watch_wedge(false, around);
        Ok(())
    }

    /// The program is about to receive: what others get from now on is new to it.
    pub(super) fn introduce(&mut self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        let Some(program) = self
            .program
            .as_ref()
            .filter(|_| !self.subscriptions.introduced)
        else {
            return Ok(());
        };
        let introduced = around.notary.introduce(&program.consumer);
        introduced.map_err(|failure| Ending::failure(failure.code(), failure.to_string()))?;
        self.subscriptions.introduced = true;
        Ok(())
    }

    /// What becomes of each filter.
    fn slots(&mut self, subscribe: &Subscribe<'_>, around: &mut Surroundings<'_>) -> Vec<Slot> {
        let Some(program) = &self.program else {
            return Vec::new();
        };
        let device = around.notary.device();
        let context = SubscribeContext {
            rules: around.rules,
            permissions: &program.permissions,
            sender_in_topic: self.plan.listener.sender_in_topic,
            device: device.as_ref(),
        };
        let counts = around.counts.listener(&self.plan.listener.name);
        let mut slots = Vec::new();
        for (filter, mut options) in subscribe.filters() {
            if program.is_bridge {
                // What a bridge of 3.1.1 gets by its protocol level (0x84), 5 says in words.
                options.no_local = !filter.starts_with(SHARE);
                options.retain_as_published = true;
            }
            slots.push(match message::filter_upstream(filter, &context) {
                Ok(upstream) => Slot::Upstream(upstream.into(), options),
                Err(refused) => {
                    let (code, filter) = (refused.code, filter.to_owned());
                    add_code(&mut counts.filters_refused, code);
                    if self.actions.len() < NOTES {
                        let note = Note::FilterRefused { code, filter };
                        self.actions.push_back(Action::Note(note));
                    }
                    Slot::Refused(refused.reason)
                }
            });
        }
        slots
    }

    pub(super) fn program_unsubscribes(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let packet_id = unsubscribe.packet_id;
        self.expect_free(packet_id)?;
        let Some(program) = &self.program else {
            return Ok(());
        };
        let device = around.notary.device();
        let sender_in_topic = self.plan.listener.sender_in_topic;
        let context = SubscribeContext {
            rules: around.rules,
            permissions: &program.permissions,
            sender_in_topic,
            device: device.as_ref(),
        };
        let slot = |filter: &str| match message::filter_upstream(filter, &context) {
            Ok(upstream) => Some(upstream.into()),
            // Upstream it may be the name of another subscription.
            Err(_) if sender_in_topic => None,
            // It may have been allowed when it was subscribed.
            Err(_) => Some(filter.into()),
        };
        let slots: Vec<Option<Box<str>>> = unsubscribe.filters().map(slot).collect();
        let filters = slots.iter().flatten().map(|filter| &**filter);
        if filters.clone().next().is_none() {
            let codes = vec![NOT_SUBSCRIBED; slots.len()];
            return self.answer(PacketType::UnsubAck, packet_id, &codes, Properties::EMPTY);
        }
        let properties = translate::without_ours(&unsubscribe.properties);
        let properties = properties.as_properties();
        let (version, before) = (self.upstream.version, self.upstream_output.len());
        let out = &mut self.upstream_output;
        write_unsubscribe(packet_id, properties, filters, version, out)
            .map_err(|_| SUBSCRIBE_TOO_LARGE)?;
        self.expect_size(before)?;
        let pending = Pending::Unsubscribe { slots };
        self.subscriptions.pending.insert(packet_id, pending);
        self.sent_upstream(around);
        self.watch_wedge(false, around);
        Ok(())
    }

    pub(super) fn broker_subscribed(
        &mut self,
        ack: &SubAck<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        if self.subscriptions.own == Some(ack.packet_id) {
            self.subscriptions.own = None;
            self.watch_wedge(true, around);
            return Ok(());
        }
        let pending = self.subscriptions.pending.remove(&ack.packet_id);
        let Some(Pending::Subscribe {
            slots,
            subscription_id,
        }) = pending
        else {
            return Err(Ending::broker_protocol("a SUBACK for no SUBSCRIBE"));
        };
        let mut said = ack.codes.iter().copied();
        let mut codes = Vec::with_capacity(slots.len());
        for slot in &slots {
            let Slot::Upstream(filter, options) = slot else {
                codes.push(slot.code(None));
                continue;
            };
            let code = said.next().ok_or(ACK_COUNT)?;
            codes.push(slot.code(Some(code)));
            let active = &mut self.subscriptions.active;
            let has_room = active.len() < ACTIVE && filter.len() <= REMEMBERED_OCTETS;
            if code < 0x80 && (has_room || active.contains_key(filter)) {
                let options = *options;
                let subscription = Active {
                    options,
                    subscription_id,
                };
                active.insert(filter.clone(), subscription);
            }
        }
        if said.next().is_some() {
            return Err(ACK_COUNT);
        }
        self.watch_wedge(true, around);
        let properties = translate::without_ours(&ack.properties);
        let properties = properties.as_properties();
        self.answer(PacketType::SubAck, ack.packet_id, &codes, properties)
    }

    pub(super) fn broker_unsubscribed(
        &mut self,
        ack: &SubAck<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let pending = self.subscriptions.pending.remove(&ack.packet_id);
        let Some(Pending::Unsubscribe { slots }) = pending else {
            return Err(Ending::broker_protocol("an UNSUBACK for no UNSUBSCRIBE"));
        };
        let mut said = ack.codes.iter().copied();
        let mut codes = Vec::with_capacity(slots.len());
        for slot in &slots {
            let Some(filter) = slot else {
                codes.push(NOT_SUBSCRIBED);
                continue;
            };
            self.subscriptions.active.remove(filter);
            codes.push(match self.upstream.version {
                Version::V311 => 0,
                Version::V5 => said.next().ok_or(ACK_COUNT)?,
            });
        }
        if said.next().is_some() {
            return Err(ACK_COUNT);
        }
        self.watch_wedge(true, around);
        let properties = translate::without_ours(&ack.properties);
        let properties = properties.as_properties();
        self.answer(PacketType::UnsubAck, ack.packet_id, &codes, properties)
    }

    /// Other trust data is in force.
    pub(super) fn trust_changed(&mut self) {
        self.subscriptions.trust_changed = true;
    }

    /// Retained messages that were refused may be accepted under other trust data, and only a SUBSCRIBE
    /// brings them again. The identifier of a subscription belongs to the packet (5, 3.8.2.1.2): one
    /// packet for each, one at a time.
    pub(super) fn repeat_subscriptions(&mut self, around: &mut Surroundings<'_>) {
        if self.phase != Phase::Runs || self.subscriptions.own.is_some() {
            return;
        }
        if self.subscriptions.repeats.is_empty() && self.subscriptions.trust_changed {
            self.subscriptions.trust_changed = false;
            self.subscriptions.queue_repeats(around.now);
        }
        let Some((_, last)) = self.subscriptions.repeats.last() else {
            return;
        };
        let subscription_id = last.subscription_id;
        let free = |id: &u16| self.subscriptions.is_free(*id) && !self.outbound.uses(*id);
        let Some(packet_id) = (1..=u16::MAX).rev().find(free) else {
            return;
        };
        let mut properties = PropertiesBuf::new();
        if let Some(id) = subscription_id {
            properties.push(Property::SubscriptionIdentifier(id)).ok();
        }
        let (now, later) = std::mem::take(&mut self.subscriptions.repeats)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, active)| active.subscription_id == subscription_id);
        self.subscriptions.repeats = later;
        let filters = now.iter().map(|(filter, active)| {
            let options = SubscribeOptions {
                retain_handling: RetainHandling::AtSubscribe,
                ..active.options
            };
            (&**filter, options)
        });
        let (version, before) = (self.upstream.version, self.upstream_output.len());
        let properties = properties.as_properties();
        let out = &mut self.upstream_output;
        let written = write_subscribe(packet_id, properties, filters, version, out).is_ok();
        if written && self.expect_size(before).is_ok() {
            self.subscriptions.own = Some(packet_id);
            self.sent_upstream(around);
            self.watch_wedge(false, around);
        } else {
            self.upstream_output.truncate(before);
        }
    }

    /// The program's SUBACK or UNSUBACK.
    fn answer(
        &mut self,
        packet_type: PacketType,
        packet_id: u16,
        codes: &[u8],
        properties: Properties<'_>,
    ) -> Result<(), Ending> {
        let version = self.program_version();
        let codes: Vec<u8> = match version {
            Version::V5 => codes.to_vec(),
            Version::V311 => codes
                .iter()
                .map(|code| translate::suback_code(*code))
                .collect(),
        };
        let answer = SubAck {
            packet_id,
            properties,
            codes: &codes,
        };
        let answer = match packet_type {
            PacketType::SubAck => Packet::SubAck(answer),
            _ => Packet::UnsubAck(answer),
        };
        answer
            .write(version, &mut self.local_output)
            .map_err(|_| Ending::broker_protocol("its answer to a SUBSCRIBE is too large"))
    }

    /// What was written behind `before` is no larger than the broker takes.
    fn expect_size(&self, before: usize) -> Result<(), Ending> {
        let octets = self.upstream_output.len().saturating_sub(before);
        match u32::try_from(octets) {
            Ok(octets) if octets <= self.upstream.limits.max_packet_octets => Ok(()),
            _ => Err(SUBSCRIBE_TOO_LARGE),
        }
    }

    fn expect_free(&self, packet_id: u16) -> Result<(), Ending> {
        if self.subscriptions.pending.contains_key(&packet_id) {
            return Err(IDENTIFIER_IN_USE);
        }
        if self.subscriptions.pending.len() >= PENDING
            || self.subscriptions.pending_octets() >= PENDING_OCTETS
        {
            return Err(Ending::program_protocol(
                "the program has 256 SUBSCRIBEs and UNSUBSCRIBEs, or filters of 256 KiB, unanswered",
            ));
        }
        Ok(())
    }

    /// Whether a packet of the program has to wait: its identifier is that of a SUBSCRIBE of our own.
    pub(super) fn clashes_with_own(&self, packet_id: Option<u16>) -> bool {
        packet_id.is_some() && self.subscriptions.own == packet_id
    }
}

impl Slot {
    fn upstream(&self) -> Option<(&str, SubscribeOptions)> {
        match self {
            Self::Upstream(filter, options) => Some((filter, *options)),
            Self::Refused(_) => None,
        }
    }

    fn code(&self, said: Option<u8>) -> u8 {
        match (self, said) {
            (Self::Refused(reason), _) => *reason,
            (Self::Upstream(..), Some(code)) => code,
            (Self::Upstream(..), None) => UNSPECIFIED,
        }
    }
}

const UNSPECIFIED: u8 = 0x80;
/// 0x11: no subscription existed (5, 3.11.3).
const NOT_SUBSCRIBED: u8 = 0x11;
const SHARE: &str = "$share/";
/// Why a message may be refused today and accepted under tomorrow's trust data.
const CURABLE: &[&str] = &[
    "audience",
    "audience-not-granted",
    "device-pending",
    "device-suspended",
    "key-not-yet-valid",
    "kind-not-granted",
    "lifetime",
    "response-not-granted",
    "subject",
    "topic-not-granted",
    "unknown-key",
    "vouch-not-granted",
];
/// Unanswered requests, remembered subscriptions, remembered refusals of a session.
const PENDING: usize = 256;
const PENDING_OCTETS: usize = 256 * 1024;
const ACTIVE: usize = 256;
const REFUSED: usize = 256;
/// A longer filter or topic is not remembered.
const REMEMBERED_OCTETS: usize = 1024;
/// Actions that wait at most, before a refused filter is no more than counted.
const NOTES: usize = 64;
const REFUSED_FOR: Duration = Duration::from_secs(3600);
const SUBSCRIBE_TOO_LARGE: Ending = Ending::new(
    "packet-size",
    "the program's SUBSCRIBE or UNSUBSCRIBE is too large",
    Some(0x95),
    None,
);
const ACK_COUNT: Ending = Ending::new(
    "broker-protocol",
    "its acknowledgement has another number of codes than there were filters [MQTT-3.9.3-1]",
    Some(0x89),
    Some(0x82),
);
