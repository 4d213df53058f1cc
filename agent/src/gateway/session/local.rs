//! The packets of the program, one by one.

use super::ending::Ending;
use super::{Phase, Session, Surroundings, UNREAD_OCTETS};
use crate::config::Credentials;
use crate::gateway::message;
use crate::gateway::metrics::add;
use crate::gateway::packet::{
    self, Frame, Oversized, Packet, PacketType, PropertiesBuf, Property, Reasoned, Version,
};
use crate::wire::Qos;

impl Session {
    /// Whether octets of the program are taken now.
    #[must_use]
    pub fn reads_local(&self) -> bool {
        let room = self.upstream_output.len() < super::OUTPUT_OCTETS
            && self.local_output.len() < UNREAD_OCTETS;
        match self.phase {
            Phase::AwaitsConnect => true,
            Phase::AwaitsConnAck => room && self.authenticates(),
            Phase::Runs | Phase::Settles | Phase::Stops => {
                room && self.held.takes_more() && self.outbound.takes_more()
            }
            _ => false,
        }
    }

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
        match packet {
            Packet::Auth(_) if self.phase == Phase::AwaitsConnAck => {
                self.program_authenticates(frame, around)
            }
            Packet::Disconnect(farewell) if self.held.is_empty() => {
                Err(self.program_leaves(&farewell))
            }
            _ if self.phase == Phase::AwaitsConnAck => Err(ONLY_AUTH),
            Packet::PubAck(ack) => {
                self.program_acknowledges(PacketType::PubAck, &ack, frame, around)
            }
            Packet::PubRec(ack) => {
                self.program_acknowledges(PacketType::PubRec, &ack, frame, around)
            }
            Packet::PubComp(ack) => self.program_completes(&ack, frame, around),
            Packet::PubRel(ack) => self.program_releases(&ack, frame, around),
            Packet::PingReq => {
                self.local_output.extend_from_slice(PINGRESP);
                Ok(())
            }
            _ if self.has_to_wait(frame.packet_id()) => {
                self.held.push(frame);
                Ok(())
            }
            packet => self.program_wants(&packet, frame, around),
        }
    }

    /// A packet that waited.
    pub(super) fn program_asks(
        &mut self,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let version = self.program_version();
        let packet = packet::read(frame, version)
            .map_err(|malformed| Ending::program_malformed(&malformed))?;
        self.program_wants(&packet, frame, around)
    }

    fn program_wants(
        &mut self,
        packet: &Packet<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        match packet {
            Packet::Publish(publish) => self.program_publishes(publish, around),
            Packet::Subscribe(subscribe) => self.program_subscribes(subscribe, around),
            Packet::Unsubscribe(unsubscribe) => self.program_unsubscribes(unsubscribe, around),
            Packet::Auth(_) => self.program_authenticates(frame, around),
            Packet::Disconnect(farewell) => Err(self.program_leaves(farewell)),
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
        let runs = matches!(self.phase, Phase::Runs | Phase::Settles | Phase::Stops);
        let Some(program) = self.program.as_mut().filter(|_| runs) else {
            return Err(TOO_LARGE);
        };
        program.silence.heard(around.now);
        if packet.packet_type != PacketType::Publish {
            return Err(TOO_LARGE);
        }
        // It may have set one, which would misdirect the next message.
        program.aliases.forget();
        let qos = Qos::try_from((packet.flags >> 1) & 3)
            .map_err(|_| Ending::program_protocol("a PUBLISH of QoS 3 [MQTT-3.3.1-4]"))?;
        let again = packet.flags & DUP != 0;
        if packet
            .packet_id
            .is_some_and(|packet_id| self.outbound.uses(packet_id))
        {
            return if again {
                Ok(())
            } else {
                Err(IDENTIFIER_IN_USE)
            };
        }
        self.refuse_publish(qos, packet.packet_id, QUOTA_EXCEEDED);
        Ok(())
    }

    /// The program said good-bye: so do we.
    pub(super) fn program_leaves(&mut self, farewell: &Reasoned<'_>) -> Ending {
        let session_ends = self
            .program
            .as_ref()
            .is_some_and(|program| program.expiry_seconds == 0);
        let mut properties = PropertiesBuf::new();
        for property in farewell.properties.iter() {
            match property {
                Property::SessionExpiryInterval(1..) if session_ends => return SESSION_REVIVED,
                Property::SessionExpiryInterval(_) if session_ends => {}
                Property::UserProperty(name, _) if message::is_ours(name) => {}
                other => {
                    properties.push(other).ok();
                }
            }
        }
        if session_ends && self.upstream.expiry_raised {
            properties.push(Property::SessionExpiryInterval(0)).ok();
        }
        let goodbye = Packet::Disconnect(Reasoned {
            code: farewell.code,
            properties: properties.as_properties(),
        });
        goodbye
            .write(self.upstream.version, &mut self.upstream_output)
            .ok();
        Ending::LOCAL_CLOSED
    }

    /// The program asked for enhanced authentication, and may have it.
    pub(super) fn authenticates(&self) -> bool {
        let own = matches!(self.plan.upstream.credentials, Credentials::Program);
        let asked = self
            .program
            .as_ref()
            .is_some_and(|program| program.authenticates);
        own && asked && self.upstream.version == Version::V5
    }

    fn program_authenticates(
        &mut self,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        if !self.authenticates() || self.upstream.is_to_authenticate {
            return Err(Ending::program_protocol(
                "the program authenticates where nobody asked for it [MQTT-4.12.0-6]",
            ));
        }
        self.upstream.is_to_authenticate = true;
        pass_auth(frame, &mut self.upstream_output);
        self.sent_upstream(around);
        Ok(())
    }

    pub(super) fn program_version(&self) -> Version {
        self.program
            .as_ref()
            .map_or(Version::V5, |program| program.version)
    }
}

/// Hands AUTH on: as it is, but for what is ours to say.
pub(super) fn pass_auth(frame: &Frame, out: &mut bytes::BytesMut) {
    match packet::read(frame, Version::V5) {
        Ok(Packet::Auth(auth))
            if auth
                .properties
                .user()
                .any(|(name, _)| message::is_ours(name)) =>
        {
            let properties = super::translate::without_ours(&auth.properties);
            let properties = properties.as_properties();
            let auth = Packet::Auth(Reasoned { properties, ..auth });
            auth.write(Version::V5, out).ok(); // shorter than it was
        }
        _ => out.extend_from_slice(frame.octets()),
    }
}

/// 3.13: no more than its header.
const PINGRESP: &[u8] = &[0xD0, 0];
const DUP: u8 = 8;
const QUOTA_EXCEEDED: u8 = 0x97;

const FIRST_IS_CONNECT: Ending = Ending::new(
    "program-protocol",
    "the first packet of the program is no CONNECT [MQTT-3.1.0-1]",
    None,
    None,
);
/// No valid DISCONNECT, so its will is published (5, 3.14.2.2.2).
const SESSION_REVIVED: Ending =
    Ending::program_protocol("DISCONNECT sets a session expiry although CONNECT had none");
const SECOND_CONNECT: Ending =
    Ending::program_protocol("the program sent a second CONNECT [MQTT-3.1.0-2]");
const ONLY_AUTH: Ending = Ending::program_protocol(
    "the program sent something else than AUTH before it was authenticated [MQTT-3.1.2-30]",
);
pub(super) const IDENTIFIER_IN_USE: Ending =
    Ending::program_protocol("the program used a packet identifier that is in use [MQTT-2.2.1-3]");
const TOO_LARGE: Ending = Ending::new(
    "packet-size",
    "a packet of the program that is no PUBLISH is larger than gateway.max_message_bytes",
    Some(0x95),
    None,
);
