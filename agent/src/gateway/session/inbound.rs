//! From the broker to the program: messages and their acknowledgements.

use super::acks::AckQueue;
use super::connect::RECEIVE_MAXIMUM;
use super::ending::Ending;
use super::outbound::{NO_RULE, acknowledgement, pass};
use super::{Action, Note, OUTPUT_OCTETS, Phase, Session, Surroundings, translate};
use crate::config::Credentials;
use crate::engine::{LoadedKey, Step};
use crate::gateway::message::{self, Arrival, FirstVerdict, ReceiveContext};
use crate::gateway::metrics::{add, add_code};
use crate::gateway::packet::{
    self, Ack, Frame, Oversized, Packet, PacketType, PropertiesBuf, Property, Publish, Reasoned,
    Version,
};
use crate::wire::Qos;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the broker has sent and the program has not done with.
#[derive(Default)]
pub(super) struct Inbound {
    /// QoS 1: a PUBACK is due to the broker.
    level1: AckQueue,
    /// QoS 2: a PUBREC is due to the broker.
    level2: AckQueue,
    /// QoS 2: the program has sent PUBREC, or was sent PUBREL, and owes PUBCOMP.
    received: BTreeSet<u16>,
    /// QoS 2, refused towards a broker of 3.1.1: its PUBREL is ours to answer.
    refused: BTreeSet<u16>,
    /// Waits for a key to be loaded.
    waiting: Option<Frame>,
}

impl Inbound {
    pub(super) fn outstanding(&self) -> usize {
        self.level1
            .len()
            .saturating_add(self.level2.len())
            .saturating_add(self.received.len())
    }

    pub(super) const fn waits_for_key(&self) -> bool {
        self.waiting.is_some()
    }
}

impl Session {
    /// A packet of the broker.
    pub(super) fn upstream_packet(
        &mut self,
        frame: Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let version = self.upstream.version;
        if matches!(self.phase, Phase::AwaitsConnAck | Phase::Renews) {
            return match frame.packet_type() {
                PacketType::Auth if version == Version::V5 => self.broker_authenticates(&frame),
                _ => self.broker_answers(&frame, around),
            };
        }
        if let Some(pings) = &mut self.upstream.pings {
            pings.heard();
        }
        if frame.packet_type() == PacketType::Publish {
            return self.broker_publishes(frame, None, around);
        }
        if frame.packet_type() == PacketType::Connect {
            return Err(ONLY_PROGRAMS);
        }
        let packet = packet::read(&frame, version)
            .map_err(|malformed| Ending::broker_malformed(&malformed))?;
        match packet {
            Packet::PubAck(ack) => {
                self.broker_acknowledges(PacketType::PubAck, &ack, &frame, around)
            }
            Packet::PubRec(ack) => {
                self.broker_acknowledges(PacketType::PubRec, &ack, &frame, around)
            }
            Packet::PubComp(ack) => self.broker_completes(&ack, &frame, around),
            Packet::PubRel(ack) => self.broker_releases(&ack, &frame, around),
            Packet::SubAck(ack) => self.broker_subscribed(&ack, around),
            Packet::UnsubAck(ack) => self.broker_unsubscribed(&ack),
            Packet::PingResp => Ok(()),
            Packet::Disconnect(farewell) => Err(self.broker_leaves(&farewell)),
            Packet::Auth(_) => self.broker_authenticates(&frame),
            _ => Err(ONLY_PROGRAMS),
        }
    }

    /// A packet of the broker that is too large for this gateway has been thrown away.
    pub(super) fn upstream_oversized(
        &mut self,
        packet: &Oversized,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        add(&mut around.counts_of(&self.plan).oversized_upstream);
        let runs = matches!(self.phase, Phase::Runs | Phase::Settles | Phase::Stops);
        if !runs || packet.packet_type != PacketType::Publish {
            return Err(Ending::broker_protocol(
                "its packet is larger than it may be",
            ));
        }
        let qos = Qos::try_from((packet.flags >> 1) & 3)
            .map_err(|_| Ending::broker_protocol("a PUBLISH of QoS 3 [MQTT-3.3.1-4]"))?;
        self.refuse_arrival(qos, packet.packet_id, packet.flags & 8 != 0);
        Ok(())
    }

    /// The key that a message waited for.
    pub(super) fn key_loaded(
        &mut self,
        loaded: &LoadedKey,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        match self.inbound.waiting.take() {
            Some(frame) => self.broker_publishes(frame, Some(loaded), around),
            None => Ok(()),
        }
    }

    fn broker_publishes(
        &mut self,
        frame: Frame,
        loaded: Option<&LoadedKey>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let packet = packet::read(&frame, self.upstream.version);
        let Packet::Publish(publish) =
            packet.map_err(|malformed| Ending::broker_malformed(&malformed))?
        else {
            return Ok(());
        };
        if !self.is_to_be_judged(&publish, around)? {
            return Ok(());
        }
        let Some(program) = &self.program else {
            return Ok(());
        };
        let before = self.local_output.len();
        let rules = Arc::clone(around.rules);
        let permissions = Arc::clone(&program.permissions);
        let consumer = Arc::clone(&program.consumer);
        let packet_id = publish.packet_id;
        let flows = &mut *around.flows;
        let first = packet_id
            .and_then(|packet_id| flows.first(&consumer, packet_id))
            .cloned();
        let mut record = |verdict: &FirstVerdict| {
            if let Some(packet_id) = packet_id {
                // Without room for it a repetition after a kill is a replay, and counted there.
                let _kept = flows.arrived(&consumer, packet_id, verdict);
            }
        };
        let mut context = ReceiveContext {
            rules: &rules,
            permissions: &permissions,
            upstream: self.upstream.version,
            program: program.version,
            program_max_octets: program.max_packet_octets,
            sender_in_topic: self.plan.listener.sender_in_topic,
            consumer: &consumer,
            first: first.as_ref(),
            loaded,
            record: &mut record,
            copies: &mut message::Copies::default(),
        };
        let out = &mut self.local_output;
        let step = message::receive(&publish, &mut context, around.notary, out);
        match step {
            Step::NeedsKey(ticket) => {
                self.local_output.truncate(before);
                self.actions.push_back(Action::LoadKey(ticket));
                self.inbound.waiting = Some(frame.clone());
                Ok(())
            }
            Step::Done(arrival) => self.arrived(&publish, arrival, around),
        }
    }

    /// False for a message that needs no verdict: repeated, or for a program that does not read.
    fn is_to_be_judged(
        &mut self,
        publish: &Publish<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<bool, Ending> {
        if publish.properties.topic_alias().is_some() {
            return Err(Ending::broker_protocol(
                "it uses a topic alias, of which it was allowed none [MQTT-3.3.2-11]",
            ));
        }
        if self.phase == Phase::Stops {
            return Ok(false); // not acknowledged: it comes again
        }
        let Some(packet_id) = publish.packet_id else {
            let reads = self.local_output.len() < QOS0_OCTETS;
            if !reads {
                add(&mut around.counts_of(&self.plan).dropped_qos0);
            }
            return Ok(reads);
        };
        let in_use = self.inbound.level1.holds(packet_id) || self.inbound.level2.holds(packet_id);
        match (in_use, publish.dup) {
            // The program has it, over this very connection: its acknowledgement is on the way.
            (true, true) => return Ok(false),
            (true, false) => {
                return Err(Ending::broker_protocol(
                    "it uses a packet identifier that is in use [MQTT-2.2.1-4]",
                ));
            }
            (false, _) => {}
        }
        if self.inbound.outstanding() >= usize::from(RECEIVE_MAXIMUM.get())
            && self.upstream.version == Version::V5
        {
            return Err(Ending::broker_protocol(
                "it sends more than the Receive Maximum [MQTT-3.3.4-9]",
            ));
        }
        Ok(true)
    }

    fn arrived(
        &mut self,
        publish: &Publish<'_>,
        arrival: Arrival<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let counts = around.counts.listener(&self.plan.listener.name);
        match arrival {
            Arrival::Delivered(delivered) => {
                let counts = counts.rule(delivered.rule.name.as_str());
                add(&mut counts.delivered);
                if let Some(code) = delivered.refused {
                    add_code(&mut counts.observed, code);
                }
                match (publish.qos, publish.packet_id) {
                    (Qos::AtLeastOnce, Some(id)) => self.inbound.level1.passed_on(id),
                    (Qos::ExactlyOnce, Some(id)) => self.inbound.level2.passed_on(id),
                    _ => {}
                }
                Ok(())
            }
            Arrival::Rejected { rule, code, sender } => {
                let rule = rule.map_or(NO_RULE, |rule| rule.name.as_str());
                add_code(&mut counts.rule(rule).rejected, code);
                let topic = publish.topic.to_owned();
                if publish.retain {
                    self.subscriptions.refused_retained(&topic, around.now);
                }
                self.note(Note::Rejected {
                    code,
                    topic,
                    sender: sender.map(|sender| sender.to_string()),
                });
                self.refuse_arrival(publish.qos, publish.packet_id, publish.dup);
                Ok(())
            }
            Arrival::Failed(failure) => {
                add_code(&mut counts.failed, failure.code());
                Err(Ending::failure(failure.code(), failure.to_string()))
            }
            Arrival::TooLarge { rule } => {
                add_code(&mut counts.rule(rule.name.as_str()).rejected, TOO_LARGE);
                self.refuse_arrival(publish.qos, publish.packet_id, publish.dup);
                Ok(())
            }
        }
    }

    /// The program does not get it. It is acknowledged on its behalf, else the broker sends it for
    /// ever.
    fn refuse_arrival(&mut self, qos: Qos, packet_id: Option<u16>, dup: bool) {
        let Some(packet_id) = packet_id else { return };
        let version = self.upstream.version;
        let out = &mut self.upstream_output;
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => {
                let ack = acknowledgement(PacketType::PubAck, packet_id, 0, version);
                self.inbound.level1.refused(packet_id, ack, out);
            }
            Qos::ExactlyOnce => {
                // The program may hold what comes again: then PUBREL is for it.
                let code = match (dup, version) {
                    (false, Version::V5) => NOT_AUTHORIZED, // and no PUBREL follows
                    _ => 0,
                };
                if !dup && version == Version::V311 {
                    self.inbound.refused.insert(packet_id);
                }
                let ack = acknowledgement(PacketType::PubRec, packet_id, code, version);
                self.inbound.level2.refused(packet_id, ack, out);
            }
        }
    }

    /// PUBACK and PUBREC of the program.
    pub(super) fn program_acknowledges(
        &mut self,
        packet_type: PacketType,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let queue = match packet_type {
            PacketType::PubAck => &mut self.inbound.level1,
            _ => &mut self.inbound.level2,
        };
        let mut octets = bytes::BytesMut::new();
        let to = self.upstream.version;
        pass(ack, packet_type, frame, program.version, to, &mut octets);
        if !queue.acknowledged(ack.packet_id, &octets, &mut self.upstream_output) {
            return Ok(()); // for nothing that was handed on
        }
        if packet_type == PacketType::PubAck || ack.code >= 0x80 {
            around.flows.ended(&program.consumer, ack.packet_id);
        } else {
            self.inbound.received.insert(ack.packet_id);
        }
        self.sent_upstream(around);
        Ok(())
    }

    fn broker_releases(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let from = self.upstream.version;
        if self.inbound.refused.remove(&ack.packet_id) {
            let complete = acknowledgement(PacketType::PubComp, ack.packet_id, 0, from);
            self.upstream_output.extend_from_slice(&complete);
            return Ok(());
        }
        // From here on the broker does not send the message again.
        around.flows.ended(&program.consumer, ack.packet_id);
        self.inbound.received.insert(ack.packet_id);
        let to = program.version;
        pass(
            ack,
            PacketType::PubRel,
            frame,
            from,
            to,
            &mut self.local_output,
        );
        Ok(())
    }

    /// PUBCOMP of the program.
    pub(super) fn program_completes(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        if !self.inbound.received.remove(&ack.packet_id) {
            return Ok(()); // for nothing that was released
        }
        let to = self.upstream.version;
        pass(
            ack,
            PacketType::PubComp,
            frame,
            program.version,
            to,
            &mut self.upstream_output,
        );
        self.sent_upstream(around);
        Ok(())
    }

    /// The broker's DISCONNECT. A program of 5 is told why, but not to go elsewhere.
    fn broker_leaves(&mut self, farewell: &Reasoned<'_>) -> Ending {
        let version = self.program.as_ref().map(|program| program.version);
        if version == Some(Version::V5) {
            let mut properties = PropertiesBuf::new();
            for property in farewell.properties.iter() {
                match property {
                    Property::ServerReference(_) => {}
                    Property::UserProperty(name, _) if message::is_ours(name) => {}
                    other => {
                        properties.push(other).ok();
                    }
                }
            }
            let goodbye = Packet::Disconnect(Reasoned {
                code: translate::without_redirect(farewell.code, 0x89),
                properties: properties.as_properties(),
            });
            goodbye.write(Version::V5, &mut self.local_output).ok();
        }
        Ending {
            code: "broker-disconnected",
            what: format!("the broker closes: reason 0x{:02x}", farewell.code).into(),
            program: None,
            broker: None,
        }
    }

    fn broker_authenticates(&mut self, frame: &Frame) -> Result<(), Ending> {
        let own = matches!(self.plan.upstream.credentials, Credentials::Program);
        let version = self.program.as_ref().map(|program| program.version);
        if !own || version != Some(Version::V5) || self.phase == Phase::Renews {
            return Err(Ending::broker_protocol(
                "it authenticates nobody who asked for it",
            ));
        }
        packet::read(frame, Version::V5)
            .map_err(|malformed| Ending::broker_malformed(&malformed))?;
        self.local_output.extend_from_slice(frame.octets());
        Ok(())
    }
}

const NOT_AUTHORIZED: u8 = 0x87;
/// QoS 0 to a program that does not read is dropped beyond this.
const QOS0_OCTETS: usize = 16 * OUTPUT_OCTETS;
const TOO_LARGE: &str = "program-packet-size";
const ONLY_PROGRAMS: Ending = Ending::new(
    "broker-protocol",
    "the broker sent a packet that only programs send",
    Some(0x89),
    Some(0x82),
);
