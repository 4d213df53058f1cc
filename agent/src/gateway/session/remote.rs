//! The packets of the broker, one by one.

use super::ending::Ending;
use super::inbound::Identified;
use super::local::pass_auth;
use super::{OUTPUT_OCTETS, Phase, Session, Surroundings, UNREAD_OCTETS, translate};
use crate::gateway::message;
use crate::gateway::metrics::add;
use crate::gateway::packet::{
    self, Frame, Oversized, Packet, PacketType, Properties, PropertiesBuf, Property, Reasoned,
    Version,
};
use crate::wire::Qos;

impl Session {
    /// Whether octets of the broker are taken now.
    #[must_use]
    pub fn reads_upstream(&self) -> bool {
        let open = matches!(
            self.phase,
            Phase::AwaitsConnAck | Phase::Runs | Phase::Settles | Phase::Renews | Phase::Stops
        );
        // What a broker sends without end is answered only while it takes the answers.
        let most = UNREAD_OCTETS.saturating_add(
            usize::try_from(self.plan.upstream_packet_octets()).unwrap_or(usize::MAX),
        );
        open && self.upstream.is_open
            && !self.is_upstream_paused()
            && self.upstream_output.len() < most
    }

    /// Nothing of the broker is read because of the program or of a sender's key: that it is not heard of says
    /// nothing about it.
    pub(super) fn is_upstream_paused(&self) -> bool {
        // An upstream that speaks 3.1.1 knows no Receive Maximum: there is no other way to hold it.
        let held = self.upstream.version == Version::V311
            && (self.local_output.len() >= OUTPUT_OCTETS || self.inbound.is_full());
        held || self.inbound.waits_for_key() || self.is_hold_full()
    }

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
        match frame.packet_type() {
            PacketType::Publish => return self.broker_brings(frame, around),
            PacketType::Connect => return Err(ONLY_PROGRAMS),
            _ => {}
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
            Packet::UnsubAck(ack) => self.broker_unsubscribed(&ack, around),
            Packet::PingResp => Ok(()),
            Packet::Disconnect(farewell) if version == Version::V5 => {
                Err(self.broker_leaves(&farewell))
            }
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
                "its packet is larger than it may be [MQTT-3.1.2-24]",
            ));
        }
        if let Some(pings) = &mut self.upstream.pings {
            pings.heard();
        }
        qos_of(packet)?;
        let inbound = &mut self.inbound;
        match packet.packet_id {
            // Acknowledgements are given in the order of what they are for (4.6).
            Some(packet_id) if inbound.surplus.len() > 0 && !inbound.knows(packet_id) => {
                inbound.surplus.keep_oversized(*packet)
            }
            _ => self.refuse_oversized(packet, around),
        }
    }

    /// It is the turn of a packet that was too large.
    pub(super) fn refuse_oversized(
        &mut self,
        packet: &Oversized,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let (qos, dup) = (qos_of(packet)?, packet.flags & DUP != 0);
        let Some(packet_id) = packet.packet_id else {
            return Ok(());
        };
        if self.phase == Phase::Stops {
            return Ok(()); // not acknowledged: it comes again
        }
        match self.identified(qos, packet_id, dup)? {
            Identified::New => self.refuse_arrival(qos, Some(packet_id), dup, around),
            Identified::Known => {}
        }
        Ok(())
    }

    /// The broker's DISCONNECT. A program of 5 is told why, but not to go elsewhere.
    fn broker_leaves(&mut self, farewell: &Reasoned<'_>) -> Ending {
        if self.program_version() == Version::V5 {
            let mut properties = PropertiesBuf::new();
            for property in farewell.properties.iter() {
                match property {
                    // The second is for clients alone (MQTT-3.14.2-2).
                    Property::ServerReference(_) | Property::SessionExpiryInterval(_) => {}
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
            if goodbye.write(Version::V5, &mut self.local_output).is_err() {
                let bare = Packet::Disconnect(Reasoned {
                    code: 0x89,
                    properties: Properties::EMPTY,
                });
                bare.write(Version::V5, &mut self.local_output).ok();
            }
        }
        Ending {
            code: "broker-disconnected",
            what: format!("the broker closes: reason 0x{:02x}", farewell.code).into(),
            program: None,
            broker: None,
            passes: false,
        }
    }

    /// Enhanced authentication goes by turns, and the program begins (5, 4.12).
    fn broker_authenticates(&mut self, frame: &Frame) -> Result<(), Ending> {
        let is_its_turn = std::mem::take(&mut self.upstream.is_to_authenticate);
        if !is_its_turn || self.phase == Phase::Renews {
            return Err(Ending::broker_protocol(
                "it authenticates nobody who asked for it [MQTT-4.12.0-6]",
            ));
        }
        packet::read(frame, Version::V5)
            .map_err(|malformed| Ending::broker_malformed(&malformed))?;
        pass_auth(frame, &mut self.local_output);
        Ok(())
    }
}

fn qos_of(packet: &Oversized) -> Result<Qos, Ending> {
    Qos::try_from((packet.flags >> 1) & 3)
        .map_err(|_| Ending::broker_protocol("a PUBLISH of QoS 3 [MQTT-3.3.1-4]"))
}

const DUP: u8 = 8;
const ONLY_PROGRAMS: Ending =
    Ending::broker_protocol("the broker sent a packet that only programs send");
