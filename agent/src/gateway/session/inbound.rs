//! From the broker to the program: messages and their acknowledgements.

use super::acks::AckQueue;
use super::ending::Ending;
use super::hold::Hold;
use super::outbound::{NO_RULE, acknowledgement, pass, passed};
use super::surplus::Surplus;
use super::{Action, Note, Phase, Session, Surroundings, UNREAD_OCTETS};
use crate::engine::{LoadedKey, Step};
use crate::gateway::message::{self, Arrival, Copies, FirstVerdict, ReceiveContext};
use crate::gateway::metrics::{add, add_code};
use crate::gateway::packet::{self, Ack, Frame, Packet, PacketType, Publish, Version};
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
    /// QoS 2: the program has sent PUBREC, and the broker owes PUBREL.
    received: BTreeSet<u16>,
    /// QoS 2: PUBREL was handed on, and the program owes PUBCOMP.
    released: BTreeSet<u16>,
    /// QoS 2, refused when it came first: its PUBREL is ours to answer.
    refused: BTreeSet<u16>,
    /// What this connection to the broker brought under which subscription identifiers.
    pub(super) copies: Copies,
    /// Waits for a key to be loaded.
    waiting: Option<Frame>,
    /// Waits for the program to acknowledge what it has, or for what is held.
    pub(super) surplus: Surplus,
    pub(super) hold: Hold,
}

/// Whether a packet identifier of the broker stands for something new.
pub(super) enum Identified {
    /// The program has it, or its end is on the way.
    Known,
    /// It does.
    New,
}

impl Inbound {
    pub(super) fn outstanding(&self) -> usize {
        self.unanswered()
            .saturating_add(self.received.len())
            .saturating_add(self.released.len())
    }

    /// The program owes so many acknowledgements that it gets no more from a broker of 3.1.1, which
    /// knows no Receive Maximum.
    pub(super) fn is_full(&self) -> bool {
        self.unanswered() >= UNANSWERED
    }

    pub(super) const fn waits_for_key(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn waiting_octets(&self) -> usize {
        let waiting = self.waiting.as_ref();
        let waiting = waiting.map_or(0, |frame| frame.octets().len());
        waiting.saturating_add(self.surplus.octets())
    }

    /// Whether the identifier stands for a message that is not done with.
    pub(super) fn knows(&self, packet_id: u16) -> bool {
        self.level1.holds(packet_id)
            || self.level2.holds(packet_id)
            || self.received.contains(&packet_id)
            || self.released.contains(&packet_id)
    }

    /// Another connection to the broker: it releases anew what it has not seen completed.
    pub(super) fn begin_anew(&mut self) {
        self.received.append(&mut self.released);
        self.surplus.forget();
        self.hold.end();
    }

    fn unanswered(&self) -> usize {
        self.level1.len().saturating_add(self.level2.len())
    }

    fn passed_on(&mut self, qos: Qos, packet_id: u16) {
        self.refused.remove(&packet_id);
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => self.level1.passed_on(packet_id),
            Qos::ExactlyOnce => self.level2.passed_on(packet_id),
        }
    }
}

impl Session {
    /// The key that a message waited for.
    pub(super) fn key_loaded(
        &mut self,
        loaded: &LoadedKey,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        match self.inbound.waiting.take() {
            Some(frame) => {
                self.broker_publishes(frame, Some(loaded), around)?;
                self.hand_on_surplus(around)
            }
            None => Ok(()),
        }
    }

    pub(super) fn broker_publishes(
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
            copies: &mut self.inbound.copies,
            first: first.as_ref(),
            loaded,
            record: &mut record,
        };
        let out = &mut self.local_output;
        match message::receive(&publish, &mut context, around.notary, out) {
            Step::NeedsKey(ticket) => {
                self.local_output.truncate(before);
                self.actions.push_back(Action::LoadKey(ticket));
                self.inbound.waiting = Some(frame.clone());
                Ok(())
            }
            Step::Done(Arrival::Rejected {
                unknown_key: Some(kid),
                ..
            }) if self.is_held(&publish, &frame, kid, around.now)? => Ok(()),
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
                "it uses a topic alias, of which it was allowed none [MQTT-3.1.2-26]",
            ));
        }
        if self.phase == Phase::Stops {
            return Ok(false); // not acknowledged: it comes again
        }
        let Some(packet_id) = publish.packet_id else {
            let reads = self.local_output.len() < UNREAD_OCTETS;
            if !reads {
                add(&mut around.counts_of(&self.plan).dropped_qos0);
            }
            return Ok(reads);
        };
        let identified = self.identified(publish.qos, packet_id, publish.dup)?;
        Ok(matches!(identified, Identified::New))
    }

    /// What the broker may do with this packet identifier now.
    pub(super) fn identified(
        &mut self,
        qos: Qos,
        packet_id: u16,
        dup: bool,
    ) -> Result<Identified, Ending> {
        let inbound = &mut self.inbound;
        let awaited = inbound.level1.holds(packet_id) || inbound.level2.holds(packet_id);
        let received =
            inbound.received.contains(&packet_id) || inbound.released.contains(&packet_id);
        if (awaited || received) && !dup {
            return Err(Ending::broker_protocol(
                "it uses a packet identifier that is in use [MQTT-2.2.1-4]",
            ));
        }
        if awaited {
            // The program has it, over this very connection: its acknowledgement is on the way.
            return Ok(Identified::Known);
        }
        if received && qos != Qos::ExactlyOnce {
            // As another QoS the program would take what it has for something new.
            return Err(Ending::broker_protocol(
                "it repeats at QoS 1 what the program has at QoS 2 [MQTT-4.3.3-7]",
            ));
        }
        if received {
            // The program has said so already.
            let version = self.upstream.version;
            let ack = acknowledgement(PacketType::PubRec, packet_id, 0, version);
            let out = &mut self.upstream_output;
            inbound.level2.refused(packet_id, ack, out);
            return Ok(Identified::Known);
        }
        Ok(Identified::New)
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
                if let Some(packet_id) = publish.packet_id {
                    self.inbound.passed_on(publish.qos, packet_id);
                }
                return Ok(());
            }
            Arrival::Rejected {
                rule, code, sender, ..
            } => {
                let rule = rule.map_or(NO_RULE, |rule| rule.name.as_str());
                add_code(&mut counts.rule(rule).rejected, code);
                let topic = publish.topic.to_owned();
                if publish.retain {
                    self.subscriptions
                        .refused_retained(&topic, code, around.now);
                }
                self.note(Note::Rejected {
                    code,
                    topic,
                    sender: sender.map(|sender| sender.to_string()),
                });
            }
            Arrival::Failed(failure) => {
                add_code(&mut counts.failed, failure.code());
                return Err(Ending::failure(failure.code(), failure.to_string()));
            }
            Arrival::TooLarge { rule } => {
                add_code(&mut counts.rule(rule.name.as_str()).rejected, TOO_LARGE);
            }
        }
        self.refuse_arrival(publish.qos, publish.packet_id, publish.dup, around);
        Ok(())
    }

    /// The program does not get it. It is acknowledged on its behalf, else the broker sends it for
    /// ever.
    pub(super) fn refuse_arrival(
        &mut self,
        qos: Qos,
        packet_id: Option<u16>,
        dup: bool,
        around: &mut Surroundings<'_>,
    ) {
        let (Some(packet_id), Some(program)) = (packet_id, &self.program) else {
            return;
        };
        let version = self.upstream.version;
        let out = &mut self.upstream_output;
        if qos == Qos::AtLeastOnce {
            around.flows.ended(&program.consumer, packet_id);
            let ack = acknowledgement(PacketType::PubAck, packet_id, 0, version);
            self.inbound.level1.refused(packet_id, ack, out);
            return;
        }
        // The program may hold what comes again: then PUBREL is for it.
        let code = match (dup, version) {
            (false, Version::V5) => NOT_AUTHORIZED, // and no PUBREL follows
            _ => 0,
        };
        if !dup {
            around.flows.ended(&program.consumer, packet_id);
            self.inbound.refused.insert(packet_id);
        }
        let ack = acknowledgement(PacketType::PubRec, packet_id, code, version);
        self.inbound.level2.refused(packet_id, ack, out);
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
        let to = self.upstream.version;
        let octets = passed(ack, packet_type, frame, program.version, to);
        if !queue.acknowledged(ack.packet_id, &octets, &mut self.upstream_output) {
            return Ok(()); // for nothing that was handed on
        }
        if packet_type == PacketType::PubAck || ack.code >= 0x80 {
            around.flows.ended(&program.consumer, ack.packet_id);
        } else {
            self.inbound.received.insert(ack.packet_id);
        }
        self.sent_upstream(around);
        self.hand_on_surplus(around)
    }

    /// PUBREL of the broker. It may belong to a session before this connection: the program knows.
    pub(super) fn broker_releases(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let (from, to) = (self.upstream.version, program.version);
        let packet_id = ack.packet_id;
        if self.inbound.level2.holds(packet_id) {
            return Ok(()); // before its PUBREC: out of place
        }
        if self.inbound.refused.remove(&packet_id) {
            let complete = acknowledgement(PacketType::PubComp, packet_id, 0, from);
            self.upstream_output.extend_from_slice(&complete);
            return Ok(());
        }
        // From here on the broker does not send the message again.
        around.flows.ended(&program.consumer, packet_id);
        self.inbound.received.remove(&packet_id);
        if self.inbound.released.insert(packet_id) {
            let out = &mut self.local_output;
            pass(ack, PacketType::PubRel, frame, from, to, out);
        }
        Ok(())
    }

    /// PUBCOMP of the program.
    pub(super) fn program_completes(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        if !self.inbound.released.remove(&ack.packet_id) {
            return Ok(()); // for nothing that was released
        }
        let (from, to) = (self.program_version(), self.upstream.version);
        let out = &mut self.upstream_output;
        pass(ack, PacketType::PubComp, frame, from, to, out);
        self.sent_upstream(around);
        self.hand_on_surplus(around)
    }
}

const NOT_AUTHORIZED: u8 = 0x87;
const TOO_LARGE: &str = "program-packet-size";
/// Messages that a program may owe acknowledgements for before a broker of 3.1.1 is not read.
const UNANSWERED: usize = 1024;
