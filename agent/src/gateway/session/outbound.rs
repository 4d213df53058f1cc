//! From the program to the broker: messages and their acknowledgements.

use super::acks::AckQueue;
use super::ending::Ending;
use super::{Note, Phase, Session, Surroundings};
use crate::config::Credentials;
use crate::gateway::message::{self, SendContext, SendRefusal, Sent};
use crate::gateway::metrics::{add, add_code};
use crate::gateway::packet::{
    self, Ack, Frame, Oversized, Packet, PacketType, Properties, Publish, Version,
};
use crate::gateway::rules::RuleName;
use crate::wire::Qos;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What the program has sent and the broker has not done with.
#[derive(Default)]
pub(super) struct Outbound {
    /// QoS 1: a PUBACK is due to the program.
    level1: AckQueue,
    /// QoS 2: a PUBREC is due to the program.
    level2: AckQueue,
    /// QoS 2: the broker has sent PUBREC, and owes PUBCOMP.
    received: BTreeSet<u16>,
    /// QoS 2, refused towards a program of 3.1.1: its PUBREL is ours to answer.
    refused: BTreeSet<u16>,
    /// What the broker takes at once (its Receive Maximum), and what of that is in use.
    quota: u16,
    in_flight: BTreeSet<u16>,
    parked: VecDeque<(u16, Bytes)>,
    parked_octets: usize,
    /// What came of the program while it should wait.
    held: Option<Frame>,
}

impl Outbound {
    pub(super) fn set_quota(&mut self, quota: u16) {
        self.quota = quota;
    }

    pub(super) fn outstanding(&self) -> usize {
        self.level1
            .len()
            .saturating_add(self.level2.len())
            .saturating_add(self.received.len())
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) const fn parked_octets(&self) -> usize {
        self.parked_octets
    }

    /// Whether the program may send more now. It may while nothing is parked; beyond that only where
    /// a PUBREL of its own has to come before anything moves.
    pub(super) fn takes_more(&self) -> bool {
        self.held.is_none() && (self.parked.len() < PARKED_MESSAGES || self.only_program_moves())
    }

    /// Whether the program awaits PUBACK or PUBREC for this identifier.
    fn awaits_ack(&self, packet_id: u16) -> bool {
        self.level1.holds(packet_id) || self.level2.holds(packet_id)
    }

    /// Whether this identifier is in use by a message of the program.
    pub(super) fn uses(&self, packet_id: u16) -> bool {
        self.awaits_ack(packet_id)
            || self.received.contains(&packet_id)
            || self.refused.contains(&packet_id)
    }

    pub(super) fn take_held(&mut self) -> Option<Frame> {
        self.held.take()
    }

    /// All that is in flight waits for PUBREL.
    fn only_program_moves(&self) -> bool {
        self.in_flight
            .iter()
            .all(|packet_id| self.received.contains(packet_id))
    }

    /// Sends, or parks what the broker does not take yet.
    fn send(&mut self, packet_id: u16, octets: &[u8], out: &mut BytesMut) -> Placed {
        let known = self.in_flight.contains(&packet_id);
        let room = self.in_flight.len() < usize::from(self.quota);
        if known || (room && self.parked.is_empty()) {
            self.in_flight.insert(packet_id);
            out.extend_from_slice(octets);
            return Placed::Sent;
        }
        let total = self.parked_octets.saturating_add(octets.len());
        if self.parked.len() >= PARKED_MESSAGES_AT_ALL || total > PARKED_OCTETS {
            return Placed::NoRoom;
        }
        self.parked_octets = total;
        self.parked
            .push_back((packet_id, Bytes::copy_from_slice(octets)));
        Placed::Parked
    }

    /// The broker has done with this one: the next may go.
    fn done(&mut self, packet_id: u16, out: &mut BytesMut) {
        self.in_flight.remove(&packet_id);
        while self.in_flight.len() < usize::from(self.quota) {
            let Some((packet_id, octets)) = self.parked.pop_front() else {
                return;
            };
            self.parked_octets = self.parked_octets.saturating_sub(octets.len());
            self.in_flight.insert(packet_id);
            out.extend_from_slice(&octets);
        }
    }
}

enum Placed {
    NoRoom,
    Parked,
    Sent,
}

impl Session {
    /// A packet of the program.
    pub(super) fn local_packet(
        &mut self,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        if self.phase == Phase::AwaitsConnect {
            if frame.packet_type() != PacketType::Connect {
                return Err(FIRST_IS_CONNECT);
            }
            return self.program_connects(frame, around);
        }
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        program.silence.heard(around.now);
        if frame.packet_type() == PacketType::Connect {
            return Err(SECOND_CONNECT);
        }
        let version = program.version;
        let packet = packet::read(frame, version)
            .map_err(|malformed| Ending::program_malformed(&malformed))?;
        let waits = matches!(self.phase, Phase::Settles | Phase::Stops);
        match packet {
            Packet::PubAck(ack) => {
                self.program_acknowledges(PacketType::PubAck, &ack, frame, around)
            }
            Packet::PubRec(ack) => {
                self.program_acknowledges(PacketType::PubRec, &ack, frame, around)
            }
            Packet::PubComp(ack) => self.program_completes(&ack, frame, around),
            Packet::PubRel(ack) => self.program_releases(&ack, frame),
            Packet::Disconnect(farewell) => Err(self.program_leaves(&farewell)),
            _ if waits || self.clashes_with_own(frame.packet_id()) => {
                self.outbound.held = Some(frame.clone());
                Ok(())
            }
            Packet::Publish(publish) => self.program_publishes(&publish, around),
            Packet::Subscribe(subscribe) => self.program_subscribes(&subscribe, around),
            Packet::Unsubscribe(unsubscribe) => self.program_unsubscribes(&unsubscribe, around),
            Packet::PingReq => {
                self.local_output.extend_from_slice(PINGRESP);
                Ok(())
            }
            Packet::Auth(_) => self.program_authenticates(frame, around),
            _ => Err(Ending::program_protocol(
                "the program sent a packet that only brokers send",
            )),
        }
    }

    /// A packet of the program that is too large for this gateway has been thrown away.
    pub(super) fn local_oversized(
        &mut self,
        packet: &Oversized,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        add(&mut around.counts_of(&self.plan).oversized_local);
        if self.phase != Phase::Runs || packet.packet_type != PacketType::Publish {
            return Err(TOO_LARGE);
        }
        let qos = Qos::try_from((packet.flags >> 1) & 3)
            .map_err(|_| Ending::program_protocol("a PUBLISH of QoS 3 [MQTT-3.3.1-4]"))?;
        self.refuse_publish(qos, packet.packet_id, QUOTA_EXCEEDED);
        Ok(())
    }

    fn program_publishes(
        &mut self,
        publish: &Publish<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let permissions = Arc::clone(&program.permissions);
        let consumer = Arc::clone(&program.consumer);
        let alias = publish.properties.topic_alias();
        let Some(topic) = program.aliases.resolve(publish.topic, alias) else {
            return Err(ALIAS_UNKNOWN);
        };
        let publish = Publish {
            topic: &topic,
            ..*publish
        };
        let qos = publish.qos;
        let again = publish
            .packet_id
            .is_some_and(|packet_id| self.outbound.awaits_ack(packet_id));
        if again && !publish.dup {
            return Err(IDENTIFIER_IN_USE);
        }
        let limits = &self.upstream.limits;
        if u8::from(qos) > u8::from(limits.maximum_qos)
            || (publish.retain && !limits.retain_available)
        {
            let code = "broker-limit";
            let what = "the broker takes no such QoS, or nothing retained";
            return self.not_sent(&publish, code, what.to_owned(), NOT_SUPPORTED);
        }
        let resend = publish
            .packet_id
            .and_then(|packet_id| around.flows.resend(&consumer, packet_id));
        let rules = Arc::clone(around.rules);
        let context = SendContext {
            rules: &rules,
            permissions: &permissions,
            upstream: self.upstream.version,
            max_packet_octets: limits
                .max_packet_octets
                .min(self.plan.upstream_packet_octets()),
            resend,
        };
        let before = self.upstream_output.len();
        let sent = message::send(&publish, &context, around.notary, &mut self.upstream_output);
        match sent {
            Sent::Forwarded {
                rule, id, unsigned, ..
            } => {
                let counts = around.counts.listener(&self.plan.listener.name);
                let counts = counts.rule(rule.name.as_str());
                match (id, unsigned) {
                    (Some(_), _) => add(&mut counts.signed),
                    (None, Some(code)) => add_code(&mut counts.observed, code),
                    (None, None) => add(&mut counts.passed),
                }
                let Some(packet_id) = publish.packet_id else {
                    self.sent_upstream(around);
                    return Ok(());
                };
                if let Some(id) = id {
                    around.flows.sent(&consumer, packet_id, id);
                }
                self.place(qos, packet_id, again, before, around)
            }
            Sent::Refused(refusal) => self.refused(&publish, &refusal, around),
            Sent::Failed(failure) => Err(Ending::failure(failure.code(), failure.to_string())),
        }
    }

    /// A message of QoS 1 or 2 has been written behind `before`: may it go now?
    fn place(
        &mut self,
        qos: Qos,
        packet_id: u16,
        again: bool,
        before: usize,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let written = self.upstream_output.split_off(before);
        let placed = self
            .outbound
            .send(packet_id, &written, &mut self.upstream_output);
        match placed {
            Placed::NoRoom => return Err(TOO_MANY_PARKED),
            Placed::Parked => add(&mut around.counts_of(&self.plan).parked),
            Placed::Sent => self.sent_upstream(around),
        }
        match qos {
            _ if again => {} // an old habit of 3.1: one acknowledgement is due
            Qos::ExactlyOnce => self.outbound.level2.passed_on(packet_id),
            _ => self.outbound.level1.passed_on(packet_id),
        }
        self.watch_wedge(false, around);
        Ok(())
    }

    fn refused(
        &mut self,
        publish: &Publish<'_>,
        refusal: &SendRefusal<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let counts = around
            .counts_of(&self.plan)
            .rule(refusal.rule.map_or(NO_RULE, RuleName::as_str));
        add_code(&mut counts.refused, refusal.code);
        let (code, reason) = (refusal.code, refusal.reason);
        self.not_sent(publish, code, refusal.sentence.to_string(), reason)
    }

    fn not_sent(
        &mut self,
        publish: &Publish<'_>,
        code: &'static str,
        what: String,
        reason: u8,
    ) -> Result<(), Ending> {
        let topic = publish.topic.to_owned();
        if self.plan.listener.close_on_refused {
            return Err(Ending {
                code,
                what: format!("{what} (topic {topic})").into(),
                program: Some(reason),
                broker: None,
            });
        }
        self.note(Note::NotSent { code, topic, what });
        self.refuse_publish(publish.qos, publish.packet_id, reason);
        Ok(())
    }

    /// The program's message goes nowhere. 5 is told why; 3.1.1 has no word for it and gets its
    /// acknowledgement.
    fn refuse_publish(&mut self, qos: Qos, packet_id: Option<u16>, reason: u8) {
        let (Some(packet_id), Some(program)) = (packet_id, &self.program) else {
            return;
        };
        let version = program.version;
        let code = match version {
            Version::V5 => reason,
            Version::V311 => 0,
        };
        let out = &mut self.local_output;
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => {
                let ack = acknowledgement(PacketType::PubAck, packet_id, code, version);
                self.outbound.level1.refused(packet_id, ack, out);
            }
            Qos::ExactlyOnce => {
                if version == Version::V311 {
                    self.outbound.refused.insert(packet_id);
                }
                let ack = acknowledgement(PacketType::PubRec, packet_id, code, version);
                self.outbound.level2.refused(packet_id, ack, out);
            }
        }
    }

    fn program_releases(&mut self, ack: &Ack<'_>, frame: &Frame) -> Result<(), Ending> {
        let program = self.program.as_ref().map(|program| program.version);
        let version = program.unwrap_or(Version::V5);
        if self.outbound.refused.remove(&ack.packet_id) {
            let complete = acknowledgement(PacketType::PubComp, ack.packet_id, 0, version);
            self.local_output.extend_from_slice(&complete);
            return Ok(());
        }
        // Of a session before this connection, too: the broker knows.
        self.outbound.received.insert(ack.packet_id);
        pass(
            ack,
            PacketType::PubRel,
            frame,
            version,
            self.upstream.version,
            &mut self.upstream_output,
        );
        Ok(())
    }

    /// PUBACK and PUBREC of the broker.
    pub(super) fn broker_acknowledges(
        &mut self,
        packet_type: PacketType,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let (version, packet_id) = (program.version, ack.packet_id);
        let mut octets = BytesMut::new();
        pass(
            ack,
            packet_type,
            frame,
            self.upstream.version,
            version,
            &mut octets,
        );
        let queue = match packet_type {
            PacketType::PubAck => &mut self.outbound.level1,
            _ => &mut self.outbound.level2,
        };
        if !queue.acknowledged(packet_id, &octets, &mut self.local_output) {
            return Ok(()); // for nothing that was sent here
        }
        let over = packet_type == PacketType::PubAck || ack.code >= 0x80;
        if over {
            around.flows.acknowledged(&program.consumer, packet_id);
            self.outbound.done(packet_id, &mut self.upstream_output);
        } else {
            self.outbound.received.insert(packet_id);
        }
        if over && packet_type == PacketType::PubRec && version == Version::V311 {
            // It takes PUBREC for a yes and goes on; the broker does not.
            self.outbound.refused.insert(packet_id);
        }
        self.watch_wedge(true, around);
        Ok(())
    }

    /// PUBCOMP of the broker.
    pub(super) fn broker_completes(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        if !self.outbound.received.remove(&ack.packet_id) {
            return Ok(()); // for nothing that was released here
        }
        around.flows.acknowledged(&program.consumer, ack.packet_id);
        let from = self.upstream.version;
        pass(
            ack,
            PacketType::PubComp,
            frame,
            from,
            program.version,
            &mut self.local_output,
        );
        self.outbound.done(ack.packet_id, &mut self.upstream_output);
        self.watch_wedge(true, around);
        Ok(())
    }

    fn program_authenticates(
        &mut self,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let own = matches!(self.plan.upstream.credentials, Credentials::Program);
        if !own || self.upstream.version != Version::V5 {
            return Err(Ending::program_protocol(
                "the program authenticates nobody asked for",
            ));
        }
        self.upstream_output.extend_from_slice(frame.octets());
        self.sent_upstream(around);
        Ok(())
    }

    /// Something goes to the broker: no ping is needed for a while.
    pub(super) fn sent_upstream(&mut self, around: &Surroundings<'_>) {
        if let Some(pings) = &mut self.upstream.pings {
            pings.sent(around.now);
        }
    }

    pub(super) fn watch_wedge(&mut self, progressed: bool, around: &Surroundings<'_>) {
        let outstanding =
            !self.outbound.in_flight.is_empty() && !self.outbound.only_program_moves();
        self.upstream
            .wedge
            .watch(outstanding, progressed, around.now);
    }
}

/// An acknowledgement of our own.
pub(super) fn acknowledgement(
    packet_type: PacketType,
    packet_id: u16,
    code: u8,
    version: Version,
) -> Bytes {
    let mut out = BytesMut::with_capacity(8);
    write_ack(
        packet_type,
        &Ack {
            packet_id,
            code,
            properties: Properties::EMPTY,
        },
        version,
        &mut out,
    );
    out.freeze()
}

/// Hands an acknowledgement on: as it is between equals, else in the other's language.
pub(super) fn pass(
    ack: &Ack<'_>,
    packet_type: PacketType,
    frame: &Frame,
    from: Version,
    to: Version,
    out: &mut BytesMut,
) {
    if from == to {
        out.extend_from_slice(frame.octets());
    } else {
        let (packet_id, code) = (ack.packet_id, ack.code);
        write_ack(
            packet_type,
            &Ack {
                packet_id,
                code,
                properties: Properties::EMPTY,
            },
            to,
            out,
        );
    }
}

fn write_ack(packet_type: PacketType, ack: &Ack<'_>, version: Version, out: &mut BytesMut) {
    let packet = match packet_type {
        PacketType::PubAck => Packet::PubAck(*ack),
        PacketType::PubRec => Packet::PubRec(*ack),
        PacketType::PubRel => Packet::PubRel(*ack),
        _ => Packet::PubComp(*ack),
    };
    packet.write(version, out).ok(); // cannot be too large: it has no properties
}

/// 3.13: no more than its header.
const PINGRESP: &[u8] = &[0xD0, 0];
/// Parked messages before nothing more is read, and at all.
const PARKED_MESSAGES: usize = 64;
const PARKED_MESSAGES_AT_ALL: usize = 1024;
const PARKED_OCTETS: usize = 2 * 1024 * 1024;
/// What is counted where no rule was asked.
pub(super) const NO_RULE: &str = "none";
const QUOTA_EXCEEDED: u8 = 0x97;
/// Implementation specific error: PUBACK knows no better one.
const NOT_SUPPORTED: u8 = 0x83;

const FIRST_IS_CONNECT: Ending = Ending::new(
    "program-protocol",
    "the first packet of the program is no CONNECT [MQTT-3.1.0-1]",
    None,
    None,
);
const SECOND_CONNECT: Ending = Ending::new(
    "program-protocol",
    "the program sent a second CONNECT [MQTT-3.1.0-2]",
    Some(0x82),
    None,
);
const TOO_LARGE: Ending = Ending::new(
    "packet-size",
    "a packet of the program that is no PUBLISH is larger than gateway.max_message_bytes",
    Some(0x95),
    None,
);
const ALIAS_UNKNOWN: Ending = Ending::new(
    "program-protocol",
    "the program used a topic alias that it has not set, or one above 16 [MQTT-3.3.2-9]",
    Some(0x94),
    None,
);
const IDENTIFIER_IN_USE: Ending = Ending::new(
    "program-protocol",
    "the program used a packet identifier that is in use [MQTT-2.2.1-3]",
    Some(0x82),
    None,
);
const TOO_MANY_PARKED: Ending = Ending::new(
    "parked-full",
    "the program sent more than the broker takes at once, and did not release it",
    Some(0x93),
    None,
);
