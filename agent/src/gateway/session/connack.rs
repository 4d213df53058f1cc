//! From the broker's CONNACK to the program's.

use super::aliases::TopicAliases;
use super::connect::BROKER_IS_V311;
use super::ending::Ending;
use super::timers::Pings;
use super::translate;
use super::upstream::Limits;
use super::{Action, Note, Phase, Session, Surroundings};
use crate::config::UpstreamVersion;
use crate::gateway::message::{self, Copies};
use crate::gateway::metrics::add;
use crate::gateway::packet::{self, ConnAck, Frame, Packet, PropertiesBuf, Property, Version};
use std::borrow::Cow;
use std::num::NonZeroU32;

impl Session {
    /// The broker's first packet.
    pub(super) fn broker_answers(
        &mut self,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let renews = self.phase == Phase::Renews;
        let by_default = self.plan.upstream.version == UpstreamVersion::Auto && !renews;
        // A broker that knows 3.1.1 alone refuses in its own language.
        if self.upstream.version == Version::V5 && by_default && frame.octets() == LEVEL_REFUSED {
            return self.fall_back(around);
        }
        let packet = packet::read(frame, self.upstream.version);
        let Packet::ConnAck(connack) =
            packet.map_err(|malformed| Ending::broker_malformed(&malformed))?
        else {
            return Err(Ending::broker_protocol("its first packet is no CONNACK"));
        };
        let reason = match self.upstream.version {
            Version::V5 => connack.code,
            Version::V311 => translate::connack_reason(connack.code),
        };
        if reason == UNSUPPORTED_VERSION && self.upstream.version == Version::V5 && by_default {
            return self.fall_back(around);
        }
        if renews && reason != 0 {
            return Err(RENEWAL_FAILED);
        }
        if reason != 0 {
            return Err(self.broker_refused(reason, &connack));
        }
        self.upstream.is_to_authenticate = false;
        let before = self.upstream.limits;
        let limits = Limits::of(&connack);
        if let Some(seconds) = connack.properties.server_keep_alive() {
            // More often does no harm, and shows whether the broker lives where it does not ask.
            let ours = self.plan.upstream.keep_alive_seconds;
            let seconds = if seconds == 0 {
                ours
            } else {
                seconds.min(ours)
            };
            self.upstream.pings = Some(Pings::new(seconds, around.now));
        }
        if renews {
            if !connack.session_present || !limits.cover(&before) {
                return Err(RENEWAL_FAILED);
            }
            self.inbound.begin_anew();
            self.enter(Phase::Runs, around.now);
            return Ok(());
        }
        let assigned = connack.properties.assigned_client_identifier();
        self.upstream.assigned = assigned.map(Box::from);
        self.upstream.limits = limits;
        self.outbound.set_quota(limits.receive_maximum);
        if let (Some(program), false) = (&self.program, connack.session_present) {
            around.flows.forget_arrived(&program.consumer);
        }
        self.let_in(&connack, around)
    }

    fn let_in(
        &mut self,
        connack: &ConnAck<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let version = program.version;
        let wanted_none =
            packet::read_connect(&program.connect).is_ok_and(|connect| connect.clean_start);
        if connack.session_present && wanted_none {
            return Err(Ending::broker_protocol(
                "it speaks of a session where none was wanted [MQTT-3.2.2-2]",
            ));
        }
        if connack.session_present {
            self.introduce(around)?;
        }
        let properties = match version {
            Version::V5 => self.connack_properties(connack),
            Version::V311 => PropertiesBuf::new(),
        };
        let answer = Packet::ConnAck(ConnAck {
            session_present: connack.session_present,
            code: 0,
            properties: properties.as_properties(),
        });
        answer
            .write(version, &mut self.local_output)
            .map_err(|_| Ending::broker_protocol("its CONNACK is too large"))?;
        add(&mut around.counts_of(&self.plan).connected);
        self.enter(Phase::Runs, around.now);
        Ok(())
    }

    fn connack_properties(&self, connack: &ConnAck<'_>) -> PropertiesBuf {
        let mut properties = PropertiesBuf::new();
        let session_ends = self
            .program
            .as_ref()
            .is_some_and(|program| program.expiry_seconds == 0);
        for property in connack.properties.iter() {
            match property {
                // The keep-alive is for one hop; a redirect would lead round the gateway.
                Property::ServerKeepAlive(_)
                | Property::ServerReference(_)
                | Property::MaximumPacketSize(_)
                | Property::TopicAliasMaximum(_) => {}
                // Asked for by us, for the renewal.
                Property::SessionExpiryInterval(_) if session_ends => {}
                Property::UserProperty(name, _) if message::is_ours(name) => {}
                other => {
                    properties.push(other).ok();
                }
            }
        }
        if let (Some(key), Some(program)) = (&self.client, &self.program)
            && program.client_id.is_empty()
        {
            // Ours to say: the broker did not see that it had none (MQTT-3.1.3-7).
            properties
                .push(Property::AssignedClientIdentifier(&key.client_id))
                .ok();
        }
        properties
            .push(Property::TopicAliasMaximum(TopicAliases::MAX))
            .ok();
        if let Some(octets) = NonZeroU32::new(self.program_packet_octets()) {
            properties.push(Property::MaximumPacketSize(octets)).ok();
        }
        properties
    }

    /// What a program may send: what the broker takes, less what a signature adds.
    pub(super) fn program_packet_octets(&self) -> u32 {
        let broker = self.upstream.limits.max_packet_octets;
        // Of a broker that takes little, a program gets half.
        let overhead = super::plan::OVERHEAD_OCTETS.min(broker / 2);
        let room = broker.saturating_sub(overhead).max(1);
        room.min(self.plan.local_packet_octets())
    }

    /// A program of 5 hears all that the broker says, but not to go elsewhere.
    fn broker_refused(&mut self, reason: u8, connack: &ConnAck<'_>) -> Ending {
        let version = self.program_version();
        let reason = translate::without_redirect(reason, SERVER_UNAVAILABLE);
        let mut properties = PropertiesBuf::new();
        for property in connack.properties.iter() {
            match property {
                Property::ServerReference(_) => {}
                Property::UserProperty(name, _) if message::is_ours(name) => {}
                other => {
                    properties.push(other).ok();
                }
            }
        }
        let answer = Packet::ConnAck(ConnAck {
            session_present: false,
            code: match version {
                Version::V5 => reason,
                Version::V311 => translate::connack_code(reason),
            },
            properties: properties.as_properties(),
        });
        answer.write(version, &mut self.local_output).ok(); // no longer than it was
        Ending {
            code: "broker-refused",
            what: Cow::Owned(format!(
                "the broker refuses the connection: reason 0x{reason:02x}"
            )),
            program: None,
            broker: None,
            passes: false,
        }
    }

    /// The broker knows no MQTT 5: the same again in 3.1.1, and every session after this one.
    fn fall_back(&mut self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        if !*around.upstream_is_v311 {
            *around.upstream_is_v311 = true;
            self.note(Note::UpstreamIsV311);
        }
        self.upstream.version = Version::V311;
        let program = self.program.as_ref().map(|program| program.version);
        if program == Some(Version::V5) {
            return Err(BROKER_IS_V311);
        }
        self.upstream_anew(Phase::Connects, around);
        Ok(())
    }

    /// Closes the broker's connection and opens another.
    pub(super) fn upstream_anew(&mut self, phase: Phase, around: &mut Surroundings<'_>) {
        self.upstream.is_open = false;
        self.upstream.pings = None;
        self.inbound.copies = Copies::default();
        self.actions.push_back(Action::CloseUpstream);
        self.actions.push_back(Action::ConnectUpstream);
        self.enter(phase, around.now);
    }
}

/// CONNACK of 3.1.1 with return code 1: unacceptable protocol version.
const LEVEL_REFUSED: &[u8] = &[0x20, 2, 0, 1];
const UNSUPPORTED_VERSION: u8 = 0x84;
const SERVER_UNAVAILABLE: u8 = 0x88;
const RENEWAL_FAILED: Ending = Ending::new(
    "renewal-failed",
    "the broker did not keep the session over a planned renewal",
    Some(0x89),
    None,
);
