//! SUBSCRIBE and UNSUBSCRIBE, and a subscription that is repeated when it lets in what was refused.

use super::ending::Ending;
use super::{Note, Phase, Session, Surroundings, translate};
use crate::gateway::message::{self, SubscribeContext};
use crate::gateway::metrics::add_code;
use crate::gateway::packet::{
    Packet, PropertiesBuf, Property, RetainHandling, SubAck, Subscribe, SubscribeOptions,
    Unsubscribe, Version, write_subscribe, write_unsubscribe,
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
}

enum Pending {
    Subscribe {
        /// What the program is told: a refusal of ours, or what the broker says of a filter.
        slots: Vec<Slot>,
        subscription_id: Option<NonZeroU32>,
    },
    Unsubscribe {
        filters: Vec<Box<str>>,
    },
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
    pub(super) fn refused_retained(&mut self, topic: &str, now: Duration) {
        self.refused.retain(|(known, _)| **known != *topic);
        if self.refused.len() < REFUSED {
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
            .filter(|(filter, _)| !filter.starts_with("$share/"))
            .filter(|(filter, _)| all || matches_one(filter))
            .map(|(filter, active)| (filter.clone(), *active));
        self.repeats = repeats.collect();
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
        let Some(program) = &self.program else {
            return Ok(());
        };
        let bridge = program.is_bridge;
        // What another program gets first is no replay for this one. A failure here is every judgement's, and told there.
        let _told_later = around.notary.introduce(&program.consumer);
        let device = around.notary.device();
        let context = SubscribeContext {
            rules: around.rules,
            permissions: &program.permissions,
            sender_in_topic: self.plan.listener.sender_in_topic,
            device: device.as_ref(),
        };
        let mut slots = Vec::new();
        let mut notes = Vec::new();
        for (filter, mut options) in subscribe.filters() {
            if bridge {
                // What a bridge of 3.1.1 gets by its protocol level (0x84), 5 says in words.
                options.no_local = !filter.starts_with("$share/");
                options.retain_as_published = true;
            }
            slots.push(match message::filter_upstream(filter, &context) {
                Ok(upstream) => Slot::Upstream(upstream.into(), options),
                Err(refused) => {
                    let (code, filter) = (refused.code, filter.to_owned());
                    notes.push(Note::FilterRefused { code, filter });
                    add_code(
                        &mut around
                            .counts
                            .listener(&self.plan.listener.name)
                            .filters_refused,
                        code,
                    );
                    Slot::Refused(refused.reason)
                }
            });
        }
        self.actions
            .extend(notes.into_iter().map(super::Action::Note));
        let subscription_id = subscribe.properties.find(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(id),
            _ => None,
        });
        let mut properties = PropertiesBuf::new();
        for property in subscribe.properties.iter() {
            if !matches!(property, Property::UserProperty(name, _) if message::is_ours(name)) {
                properties.push(property).ok();
            }
        }
        let filters = slots.iter().filter_map(Slot::upstream);
        if filters.clone().next().is_some() {
            let version = self.upstream.version;
            let out = &mut self.upstream_output;
            write_subscribe(packet_id, properties.as_properties(), filters, version, out)
                .map_err(|_| SUBSCRIBE_TOO_LARGE)?;
            self.subscriptions.pending.insert(
                packet_id,
                Pending::Subscribe {
                    slots,
                    subscription_id,
                },
            );
            self.sent_upstream(around);
            Ok(())
        } else {
            let codes: Vec<u8> = slots.iter().map(|slot| slot.code(None)).collect();
            self.answer_subscribe(packet_id, &codes, PropertiesBuf::new())
        }
    }

    pub(super) fn program_unsubscribes(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        self.expect_free(unsubscribe.packet_id)?;
        let Some(program) = &self.program else {
            return Ok(());
        };
        let device = around.notary.device();
        let context = SubscribeContext {
            rules: around.rules,
            permissions: &program.permissions,
            sender_in_topic: self.plan.listener.sender_in_topic,
            device: device.as_ref(),
        };
        let filters: Vec<Box<str>> = unsubscribe
            .filters()
            .map(|filter| match message::filter_upstream(filter, &context) {
                Ok(upstream) => upstream.into(),
                // Never subscribed here: the broker says so.
                Err(_) => filter.into(),
            })
            .collect();
        let mut properties = PropertiesBuf::new();
        for property in unsubscribe.properties.iter() {
            if !matches!(property, Property::UserProperty(name, _) if message::is_ours(name)) {
                properties.push(property).ok();
            }
        }
        write_unsubscribe(
            unsubscribe.packet_id,
            properties.as_properties(),
            filters.iter().map(|filter| &**filter),
            self.upstream.version,
            &mut self.upstream_output,
        )
        .map_err(|_| SUBSCRIBE_TOO_LARGE)?;
        let pending = Pending::Unsubscribe { filters };
        self.subscriptions
            .pending
            .insert(unsubscribe.packet_id, pending);
        self.sent_upstream(around);
        Ok(())
    }

    pub(super) fn broker_subscribed(
        &mut self,
        ack: &SubAck<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        if self.subscriptions.own == Some(ack.packet_id) {
            self.subscriptions.own = None;
            self.repeat_subscriptions(around);
            return self.take_held(around);
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
            let code = said.next().ok_or(SUBACK_COUNT)?;
            codes.push(slot.code(Some(code)));
            if code < 0x80 && self.subscriptions.active.len() < ACTIVE {
                let active = Active {
                    options: *options,
                    subscription_id,
                };
                self.subscriptions.active.insert(filter.clone(), active);
            }
        }
        if said.next().is_some() {
            return Err(SUBACK_COUNT);
        }
        let mut properties = PropertiesBuf::new();
        properties
            .extend(ack.properties.iter().filter(
                |property| !matches!(property, Property::UserProperty(name, _) if message::is_ours(name)),
            ))
            .ok();
        self.answer_subscribe(ack.packet_id, &codes, properties)
    }

    pub(super) fn broker_unsubscribed(&mut self, ack: &SubAck<'_>) -> Result<(), Ending> {
        let pending = self.subscriptions.pending.remove(&ack.packet_id);
        let Some(Pending::Unsubscribe { filters }) = pending else {
            return Err(Ending::broker_protocol("an UNSUBACK for no UNSUBSCRIBE"));
        };
        if self.upstream.version == Version::V5 && ack.codes.len() != filters.len() {
            return Err(SUBACK_COUNT);
        }
        for filter in &filters {
            self.subscriptions.active.remove(filter);
        }
        let version = self
            .program
            .as_ref()
            .map_or(Version::V5, |program| program.version);
        Packet::UnsubAck(*ack)
            .write(version, &mut self.local_output)
            .map_err(|_| Ending::broker_protocol("its UNSUBACK is too large"))
    }

    /// Other trust data is in force: retained messages that were refused may be accepted now, and only
    /// a SUBSCRIBE brings them again.
    pub(super) fn trust_changed(&mut self, around: &mut Surroundings<'_>) {
        if self.phase == Phase::Runs && self.subscriptions.own.is_none() {
            self.subscriptions.queue_repeats(around.now);
            self.repeat_subscriptions(around);
        }
    }

    /// Repeats what is queued. The identifier of a subscription belongs to the packet (5, 3.8.2.1.2):
    /// one packet for each, one at a time.
    fn repeat_subscriptions(&mut self, around: &mut Surroundings<'_>) {
        let Some((
            _,
            Active {
                subscription_id, ..
            },
        )) = self.subscriptions.repeats.last()
        else {
            return;
        };
        let subscription_id = *subscription_id;
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
        let version = self.upstream.version;
        let out = &mut self.upstream_output;
        if write_subscribe(packet_id, properties.as_properties(), filters, version, out).is_ok() {
            self.subscriptions.own = Some(packet_id);
            self.sent_upstream(around);
        }
    }

    fn answer_subscribe(
        &mut self,
        packet_id: u16,
        codes: &[u8],
        properties: PropertiesBuf,
    ) -> Result<(), Ending> {
        let version = self
            .program
            .as_ref()
            .map_or(Version::V5, |program| program.version);
        let codes: Vec<u8> = match version {
            Version::V5 => codes.to_vec(),
            Version::V311 => codes
                .iter()
                .map(|code| translate::suback_code(*code))
                .collect(),
        };
        let answer = Packet::SubAck(SubAck {
            packet_id,
            properties: properties.as_properties(),
            codes: &codes,
        });
        answer
            .write(version, &mut self.local_output)
            .map_err(|_| Ending::broker_protocol("its SUBACK is too large"))
    }

    fn expect_free(&self, packet_id: u16) -> Result<(), Ending> {
        if self.subscriptions.pending.contains_key(&packet_id) {
            return Err(Ending::program_protocol(
                "the program uses a packet identifier that is in use [MQTT-2.2.1-3]",
            ));
        }
        if self.subscriptions.pending.len() >= PENDING {
            return Err(Ending::program_protocol(
                "the program has 256 SUBSCRIBEs and UNSUBSCRIBEs unanswered",
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
/// Unanswered requests, remembered subscriptions, remembered refusals of a session.
const PENDING: usize = 256;
const ACTIVE: usize = 256;
const REFUSED: usize = 256;
const REFUSED_FOR: Duration = Duration::from_secs(3600);
const SUBSCRIBE_TOO_LARGE: Ending = Ending::new(
    "packet-size",
    "the program's SUBSCRIBE or UNSUBSCRIBE is too large",
    Some(0x95),
    None,
);
const SUBACK_COUNT: Ending = Ending::new(
    "broker-protocol",
    "its acknowledgement has another number of codes than there were filters [MQTT-3.9.3-1]",
    Some(0x89),
    Some(0x82),
);
