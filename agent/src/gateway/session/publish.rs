//! A PUBLISH of the program: signed and sent, or refused.

use super::ending::Ending;
use super::local::IDENTIFIER_IN_USE;
use super::outbound::{NO_RULE, Placed, acknowledgement};
use super::{Note, Session, Surroundings};
use crate::gateway::message::{self, SendContext, SendRefusal, Sent};
use crate::gateway::metrics::{add, add_code};
use crate::gateway::packet::{PacketType, Publish, Version};
use crate::gateway::rules::RuleName;
use crate::wire::Qos;
use std::sync::Arc;

impl Session {
    pub(super) fn program_publishes(
        &mut self,
        publish: &Publish<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let alias = publish.properties.topic_alias();
        let Some(topic) = program.aliases.resolve(publish.topic, alias) else {
            return Err(ALIAS_UNKNOWN);
        };
        let publish = Publish {
            topic: &topic,
            ..*publish
        };
        if let Some(packet_id) = publish.packet_id
            && self.outbound.uses(packet_id)
        {
            if !publish.dup {
                return Err(IDENTIFIER_IN_USE);
            }
            if self.outbound.is_received(packet_id) {
                if self.outbound.awaits_ack(packet_id) {
                    return Ok(()); // ours is on its way, behind older ones
                }
                // The broker has it, and says so once.
                let ack = acknowledgement(PacketType::PubRec, packet_id, 0, program.version);
                let out = &mut self.local_output;
                self.outbound.level2.refused(packet_id, ack, out);
                return Ok(());
            }
        }
        let limits = &self.upstream.limits;
        if u8::from(publish.qos) > u8::from(limits.maximum_qos)
            || (publish.retain && !limits.retain_available)
        {
            let what = "the broker takes no such QoS, or nothing retained".to_owned();
            let counts = around.counts_of(&self.plan).rule(NO_RULE);
            add_code(&mut counts.refused, BROKER_LIMIT);
            return self.not_sent(&publish, BROKER_LIMIT, what, NOT_SUPPORTED);
        }
        self.sign_and_send(&publish, around)
    }

    fn sign_and_send(
        &mut self,
        publish: &Publish<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let permissions = Arc::clone(&program.permissions);
        let consumer = Arc::clone(&program.consumer);
        // What is sent for the first time is another message, however alike.
        let resend = publish
            .packet_id
            .filter(|_| publish.dup)
            .and_then(|packet_id| around.flows.resend(&consumer, packet_id));
        let rules = Arc::clone(around.rules);
        let context = SendContext {
            rules: &rules,
            permissions: &permissions,
            upstream: self.upstream.version,
            max_packet_octets: self
                .upstream
                .limits
                .max_packet_octets
                .min(self.plan.upstream_packet_octets()),
            resend,
        };
        let before = self.upstream_output.len();
        let sent = message::send(publish, &context, around.notary, &mut self.upstream_output);
        let (rule, id, unsigned) = match sent {
            Sent::Forwarded {
                rule, id, unsigned, ..
            } => (rule, id, unsigned),
            Sent::Refused(refusal) => return self.refused(publish, &refusal, around),
            Sent::Failed(failure) => {
                return Err(Ending::failure(failure.code(), failure.to_string()));
            }
        };
        let counts = around.counts.listener(&self.plan.listener.name);
        let counts = counts.rule(rule.name.as_str());
        match (id, unsigned) {
            (Some(_), _) => add(&mut counts.signed),
            (None, Some(code)) => add_code(&mut counts.unsigned, code),
            (None, None) => add(&mut counts.passed),
        }
        let Some(packet_id) = publish.packet_id else {
            self.sent_upstream(around);
            return Ok(());
        };
        if let Some(id) = id {
            around.flows.sent(&consumer, packet_id, id);
        }
        self.place(publish.qos, packet_id, before, around)
    }

    /// A message of QoS 1 or 2 has been written behind `before`: may it go now? A deletion in an
    /// envelope is two packets, of which one counts.
    fn place(
        &mut self,
        qos: Qos,
        packet_id: u16,
        before: usize,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let placed = self
            .outbound
            .send(packet_id, before, &mut self.upstream_output);
        match placed {
            Placed::NoRoom => return Err(TOO_MANY_PARKED),
            Placed::Parked => add(&mut around.counts_of(&self.plan).parked),
            Placed::Sent => self.sent_upstream(around),
        }
        self.outbound.is_sent_on(packet_id);
        match qos {
            // An old habit of 3.1: one acknowledgement is due.
            _ if self.outbound.awaits_ack(packet_id) => {}
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
        // MQTT 5 has a word for it.
        if self.plan.listener.close_on_refused && self.program_version() == Version::V311 {
            return Err(Ending {
                code,
                what: format!("{what} (topic {topic})").into(),
                program: Some(reason),
                broker: None,
                passes: false,
            });
        }
        self.note(Note::NotSent { code, topic, what });
        let in_flight = publish
            .packet_id
            .is_some_and(|packet_id| self.outbound.awaits_ack(packet_id));
        if !in_flight {
            self.refuse_publish(publish.qos, publish.packet_id, reason);
        }
        Ok(())
    }

    /// The program's message goes nowhere. 5 is told why; 3.1.1 has no word for it and gets its
    /// acknowledgement.
    pub(super) fn refuse_publish(&mut self, qos: Qos, packet_id: Option<u16>, reason: u8) {
        let Some(packet_id) = packet_id else { return };
        let version = self.program_version();
        let code = match (version, reason) {
            (Version::V311, _) => 0,
            // Acknowledgements cannot say Packet too large (5, 3.4.2.1).
            (Version::V5, PACKET_TOO_LARGE) => QUOTA_EXCEEDED,
            (Version::V5, reason) => reason,
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
                    self.outbound.await_release(packet_id);
                }
                let ack = acknowledgement(PacketType::PubRec, packet_id, code, version);
                self.outbound.level2.refused(packet_id, ack, out);
            }
        }
    }
}

const BROKER_LIMIT: &str = "broker-limit";
const PACKET_TOO_LARGE: u8 = 0x95;
const QUOTA_EXCEEDED: u8 = 0x97;
/// Implementation specific error: PUBACK knows no better one.
const NOT_SUPPORTED: u8 = 0x83;

const ALIAS_UNKNOWN: Ending = Ending::new(
    "program-protocol",
    "the program used a topic alias that it has not set, or one above 16 [MQTT-3.3.2-9]",
    Some(0x94),
    None,
);
const TOO_MANY_PARKED: Ending = Ending::new(
    "parked-full",
    "the program sent more than the broker takes at once, and did not release it",
    Some(0x93),
    None,
);
