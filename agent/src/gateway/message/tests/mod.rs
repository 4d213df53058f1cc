//! Two devices whose gateways talk to each other, and a broker between them that may be anything.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod again;
mod cost;
mod hostile;
mod kills;
mod marking;
mod receiving;
mod relaying;
mod sending;
mod subscribing;
mod weeks;
mod wills;

use super::{
    Arrival, Copies, EngineNotary, FirstVerdict, ReceiveContext, SendContext, Sent, receive, send,
};
use crate::engine::{Engine, InForce, KeyTable, LoadedKey, Settings, Signing, Step};
use crate::gateway::packet::{
    Framed, Framer, Packet, PropertiesBuf, Property, Publish, Version, read,
};
use crate::gateway::rules::{
    AudienceTemplate, IncomingRule, IncomingSettings, Mode, OutgoingRule, Permissions, Rule,
    RuleName, Rules,
};
use crate::wire::Qos;
use bytes::BytesMut;
use edgeseal_trust::clock::{ClockReading, Now};
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey, Role, TrustView};
use edgeseal_trust::replay::{Bounds, ConsumerId, Past, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::topic::TopicFilter;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const BOUNDS: Bounds = Bounds {
    consumers: 8,
    windows: 64,
    statements: 64,
};

/// A device with its gateway and one program.
pub(super) struct Side {
    pub(super) engine: Engine,
    pub(super) rules: Rules,
    pub(super) permissions: Permissions,
    pub(super) consumer: ConsumerId,
    pub(super) copies: Copies,
    /// Seconds since 1970.
    pub(super) time: u64,
    pub(super) synchronized: bool,
    pub(super) upstream: Version,
    pub(super) program: Version,
    pub(super) broker_max: u32,
    pub(super) program_max: u32,
    pub(super) sender_in_topic: bool,
}

/// A PUBLISH that owns its parts, for comparison.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) dup: bool,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) topic: String,
    pub(super) packet_id: Option<u16>,
    pub(super) properties: PropertiesBuf,
    pub(super) payload: Vec<u8>,
}

/// What came of a message from the broker.
#[derive(Debug)]
pub(super) struct Got {
    /// `delivered`, `again`, `too-large`, or the code of a rejection or failure.
    pub(super) outcome: &'static str,
    /// The word, where it was delivered under a rule that judges.
    pub(super) word: Option<&'static str>,
    pub(super) sender: Option<DeviceId>,
    pub(super) refused: Option<&'static str>,
    pub(super) first: Option<FirstVerdict>,
    pub(super) recorded: Vec<FirstVerdict>,
    pub(super) packet: Option<Seen>,
}

pub(super) fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(super) fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).unwrap()
}

fn view() -> TrustView {
    let grant = |publish: &str, audience: &str| Grant {
        publish: vec![filter(publish)],
        audiences: vec![AudiencePattern::parse(audience).unwrap()],
        responses: vec![filter("reply/#")],
        ..Grant::default()
    };
    let roles = [
        Role {
            name: RoleName::parse("sensor").unwrap(),
            grants: vec![
                Grant {
                    retained_seconds: Some(7200),
                    will_seconds: Some(86_400),
                    ..grant("site/#", "domain")
                },
                grant("cmd/#", "device:*"),
                Grant {
                    lifetime_seconds: Some(3600),
                    ..grant("long/#", "domain")
                },
                Grant {
                    vouch: true,
                    ..grant("vouch/#", "domain")
                },
                Grant {
                    retained_seconds: Some(30 * 86_400),
                    will_seconds: Some(7 * 86_400),
                    ..grant("weeks/#", "domain")
                },
            ],
            manifest_age_seconds: None,
        },
        Role {
            name: RoleName::parse("zone").unwrap(),
            grants: Vec::new(),
            manifest_age_seconds: None,
        },
    ];
    let roles: BTreeMap<_, _> = roles
        .into_iter()
        .map(|role| (role.name.clone(), Arc::new(role)))
        .collect();
    TrustView {
        domain: TrustDomain::parse("farm").unwrap(),
        root_version: 1,
        root_expires_at: at(NOW + 1_000_000),
        sequence: 7,
        issued_at: at(NOW - 100),
        expires_at: at(NOW + 500_000),
        roles: roles.into_iter().collect(),
    }
}

pub(super) fn peer(seed: u8, id: &str) -> PeerKey {
    let roles = ["sensor", "zone"].map(|name| RoleName::parse(name).unwrap());
    PeerKey {
        key: key(seed).public().clone(),
        state: KeyState::Active,
        not_before: at(0),
        retired_at: None,
        device: Arc::new(Device {
            id: DeviceId::parse(id).unwrap(),
            state: DeviceState::Active,
            roles: roles.into(),
            groups: [GroupName::parse("all").unwrap()].into(),
        }),
    }
}

/// The trust data of the device with the key of this seed.
pub(super) fn in_force(own: u8) -> InForce {
    in_force_with(own, peer(1, "one"))
}

/// The same where `one` is another.
pub(super) fn in_force_with(own: u8, one: PeerKey) -> InForce {
    let keys: KeyTable = [one, peer(2, "two")].into_iter().collect();
    InForce {
        view: Arc::new(view()),
        own: keys.get(key(own).public().id()).map(|key| (&**key).into()),
        keys: Box::new(keys),
    }
}

pub(super) fn rule(topic: &str, change: impl FnOnce(&mut Rule)) -> Rule {
    let filter = filter(topic);
    let mut rule = Rule {
        name: RuleName::numbered(1, &filter),
        filter,
        mode: Mode::Enforce,
        outgoing: OutgoingRule::default(),
        incoming: IncomingRule::default(),
    };
    change(&mut rule);
    rule
}

pub(super) fn incoming(change: impl FnOnce(&mut IncomingSettings)) -> IncomingRule {
    let mut settings = IncomingSettings::default();
    change(&mut settings);
    IncomingRule::new(&settings)
}

pub(super) fn audience(text: &str, topic: &str) -> AudienceTemplate {
    AudienceTemplate::parse(text, &filter(topic)).unwrap()
}

/// Properties of a packet.
pub(super) fn properties(list: &[Property<'_>]) -> PropertiesBuf {
    let mut properties = PropertiesBuf::default();
    properties.extend(list.iter().copied()).unwrap();
    properties
}

pub(super) const fn user<'a>(name: &'a str, value: &'a str) -> Property<'a> {
    Property::UserProperty(name, value)
}

/// A message at QoS 1 with properties.
pub(super) fn message(topic: &str, payload: &[u8], list: &[Property<'_>]) -> Seen {
    Seen {
        dup: false,
        qos: Qos::AtLeastOnce,
        retain: false,
        topic: topic.to_owned(),
        packet_id: Some(9),
        properties: properties(list),
        payload: payload.to_owned(),
    }
}

impl Seen {
    pub(super) fn publish(&self) -> Publish<'_> {
        Publish {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: self.packet_id,
            properties: self.properties.as_properties(),
            payload: &self.payload,
        }
    }

    pub(super) fn at_most_once(mut self) -> Self {
        self.qos = Qos::AtMostOnce;
        self.packet_id = None;
        self
    }

    pub(super) fn with_retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// With one more property.
    pub(super) fn and(mut self, property: Property<'_>) -> Self {
        self.properties.push(property).unwrap();
        self
    }

    /// With these user properties and nothing else.
    pub(super) fn only(mut self, list: &[Property<'_>]) -> Self {
        self.properties = properties(list);
        self
    }

    /// The values of the user properties of this name.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        let user = self.properties.as_properties().user();
        user.filter(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    pub(super) fn token(&self) -> String {
        self.values("edgeseal").pop().unwrap()
    }

    pub(super) fn list(&self) -> Vec<String> {
        let properties = self.properties.as_properties();
        properties.iter().map(|p| format!("{p:?}")).collect()
    }
}

impl Side {
    /// The device with the key of this seed: 1 is `one`, 2 is `two`. Its program may do everything.
    pub(super) fn new(seed: u8, rules: Vec<Rule>) -> Self {
        let memory = ReplayMemory::new(BOUNDS, Past::Known, at(NOW - 1000));
        Self::remembering(seed, rules, memory)
    }

    /// The same with what it remembers.
    pub(super) fn remembering(seed: u8, rules: Vec<Rule>, memory: ReplayMemory) -> Self {
        let settings = Settings {
            grace_seconds: 1000,
            ..Settings::default()
        };
        let signing = Signing::Ready {
            epoch: 5,
            key: Box::new(key(seed)),
        };
        let mut engine = Engine::new(settings, signing, Some(memory));
        engine.set_in_force(Some(in_force(seed)));
        Self {
            engine,
            rules: Rules::new(rules),
            permissions: Permissions {
                publish: vec![filter("#"), filter("$SYS/#")],
                subscribe: vec![filter("#"), filter("$SYS/#")],
            },
            consumer: "program".into(),
            copies: Copies::default(),
            time: NOW,
            synchronized: true,
            upstream: Version::V5,
            program: Version::V5,
            broker_max: u32::MAX,
            program_max: u32::MAX,
            sender_in_topic: false,
        }
    }

    pub(super) fn now(&self) -> Now {
        self.engine.now(ClockReading {
            time: at(self.time),
            synchronized: self.synchronized,
        })
    }

    pub(super) fn on_v311(mut self) -> Self {
        self.upstream = Version::V311;
        self
    }

    /// What the broker gets, and what became of it: `forwarded`, else a code.
    pub(super) fn sends(&mut self, message: &Seen) -> (&'static str, Vec<Seen>) {
        let (outcome, packets) = self.tries(message, |_| {});
        (outcome.0, packets)
    }

    /// The one packet that the broker gets.
    pub(super) fn sent(&mut self, message: &Seen) -> Seen {
        let (outcome, mut packets) = self.sends(message);
        assert_eq!((outcome, packets.len()), ("forwarded", 1));
        packets.remove(0)
    }

    /// Outcome, why it is unsigned, MQTT reason.
    pub(super) fn tries(
        &mut self,
        message: &Seen,
        change: impl FnOnce(&mut SendContext<'_>),
    ) -> ((&'static str, Option<&'static str>, u8), Vec<Seen>) {
        let mut notary = EngineNotary {
            now: self.now(),
            engine: &mut self.engine,
        };
        let mut context = SendContext {
            rules: &self.rules,
            permissions: &self.permissions,
            upstream: self.upstream,
            max_packet_octets: self.broker_max,
            resend: None,
        };
        change(&mut context);
        let mut out = BytesMut::from(&b"before"[..]);
        let sent = send(&message.publish(), &context, &mut notary, &mut out);
        let appended = out.split_off(6);
        assert_eq!(&out[..], b"before");
        let packets = packets(appended, self.upstream);
        let outcome = match sent {
            Sent::Failed(failure) => (failure.code(), None, 0),
            Sent::Forwarded {
                unsigned,
                packets: number,
                ..
            } => {
                assert_eq!(usize::from(number), packets.len());
                ("forwarded", unsigned, 0)
            }
            Sent::Refused(refusal) => {
                assert!(!refusal.sentence.is_empty());
                (refusal.code, None, refusal.reason)
            }
        };
        (outcome, packets)
    }

    pub(super) fn receives(&mut self, message: &Seen) -> Got {
        self.receives_with(message, None, None)
    }

    pub(super) fn receives_with(
        &mut self,
        message: &Seen,
        first: Option<&FirstVerdict>,
        loaded: Option<&LoadedKey>,
    ) -> Got {
        let mut notary = EngineNotary {
            now: self.now(),
            engine: &mut self.engine,
        };
        let mut recorded = Vec::new();
        let mut out = BytesMut::from(&b"before"[..]);
        let mut context = ReceiveContext {
            rules: &self.rules,
            permissions: &self.permissions,
            upstream: self.upstream,
            program: self.program,
            program_max_octets: self.program_max,
            sender_in_topic: self.sender_in_topic,
            consumer: &self.consumer,
            first,
            loaded,
            copies: &mut self.copies,
            record: &mut |first| recorded.push(first.clone()),
        };
        let step = receive(&message.publish(), &mut context, &mut notary, &mut out);
        let appended = out.split_off(6);
        assert_eq!(&out[..], b"before");
        let mut packets = packets(appended, self.program);
        let got = |outcome| Got {
            outcome,
            word: None,
            sender: None,
            refused: None,
            first: None,
            recorded,
            packet: None,
        };
        let arrival = match step {
            Step::NeedsKey(_) => return got("needs-key"),
            Step::Done(arrival) => arrival,
        };
        let delivered = matches!(arrival, Arrival::Delivered(_));
        assert_eq!(packets.len(), usize::from(delivered));
        match arrival {
            Arrival::Delivered(delivered) => Got {
                word: delivered.word.map(super::VerdictWord::as_str),
                sender: delivered.sender,
                refused: delivered.refused,
                first: delivered.first,
                packet: packets.pop(),
                ..got(if delivered.again {
                    "again"
                } else {
                    "delivered"
                })
            },
            Arrival::Failed(failure) => got(failure.code()),
            Arrival::Rejected { code, sender, .. } => Got {
                sender,
                ..got(code)
            },
            Arrival::TooLarge { .. } => got("too-large"),
        }
    }
}

impl Got {
    pub(super) fn packet(self) -> Seen {
        let outcome = self.outcome;
        self.packet.unwrap_or_else(|| panic!("{outcome}"))
    }

    pub(super) fn sender(&self) -> &str {
        self.sender.as_ref().map_or("nobody", DeviceId::as_str)
    }
}

/// The PUBLISH packets in octets, which are nothing else.
fn packets(mut octets: BytesMut, version: Version) -> Vec<Seen> {
    let mut framer = Framer::new(u32::MAX);
    let mut packets = Vec::new();
    while let Some(framed) = framer.next(&mut octets).unwrap() {
        let Framed::Packet(frame) = framed else {
            panic!("{framed:?}");
        };
        let Packet::Publish(publish) = read(&frame, version).unwrap() else {
            panic!("no PUBLISH");
        };
        let list: Vec<_> = publish.properties.iter().collect();
        packets.push(Seen {
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            topic: publish.topic.to_owned(),
            packet_id: publish.packet_id,
            properties: properties(&list),
            payload: publish.payload.to_owned(),
        });
    }
    assert!(octets.is_empty());
    packets
}

/// `one` and `two` under the same rules.
pub(super) fn both(rules: impl Fn() -> Vec<Rule>) -> (Side, Side) {
    (Side::new(1, rules()), Side::new(2, rules()))
}
