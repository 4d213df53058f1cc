//! How a session ends, and what each side is told.

use super::{Action, Note, Phase, Session, Surroundings};
use crate::gateway::metrics::add_code;
use crate::gateway::packet::{ConnAck, Malformed, Packet, Properties, Reasoned, Version};
use std::borrow::Cow;

/// Why a session ends.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// The stable short code, counted.
    pub(super) code: &'static str,
    /// For the log; nothing where an end is nothing special.
    pub(super) what: Cow<'static, str>,
    /// What a program of MQTT 5 is told, in CONNACK or DISCONNECT; nothing where it knows or is gone.
    pub(super) program: Option<u8>,
    /// What a broker of MQTT 5 is told; nothing, so that it publishes the will, where the program
    /// did not say good-bye.
    pub(super) broker: Option<u8>,
}

impl Ending {
    /// The program closed without DISCONNECT, or after it.
    pub(super) const LOCAL_CLOSED: Self = Self::new("local-closed", "", None, None);
    /// Another connection uses the client identifier.
    pub(super) const TAKEN_OVER: Self = Self::new(
        "taken-over",
        "another connection uses its client identifier",
        Some(0x8E),
        None,
    );
    /// The broker cannot be reached.
    pub(super) const UPSTREAM_UNAVAILABLE: Self = Self::new(
        "upstream-unavailable",
        "the broker cannot be reached",
        Some(0x88),
        None,
    );
    /// The broker closed.
    pub(super) const UPSTREAM_CLOSED: Self = Self::new(
        "upstream-closed",
        "the broker closed the connection",
        Some(0x89),
        None,
    );
    /// This agent stops.
    pub(super) const STOPPED: Self = Self::new("stopped", "", Some(0x8B), None);

    pub(super) const fn new(
        code: &'static str,
        what: &'static str,
        program: Option<u8>,
        broker: Option<u8>,
    ) -> Self {
        Self {
            code,
            what: Cow::Borrowed(what),
            program,
            broker,
        }
    }

    /// The program broke the protocol. Its will is published: it did not say good-bye.
    pub(super) fn program_malformed(malformed: &Malformed) -> Self {
        Self {
            code: "program-protocol",
            what: Cow::Owned(format!(
                "the program broke the protocol: {} [{}]",
                malformed.what, malformed.statement
            )),
            program: Some(malformed.reason),
            broker: None,
        }
    }

    /// The program sent what it may not send now.
    pub(super) const fn program_protocol(what: &'static str) -> Self {
        Self::new("program-protocol", what, Some(PROTOCOL_ERROR), None)
    }

    /// The broker broke the protocol.
    pub(super) fn broker_malformed(malformed: &Malformed) -> Self {
        Self {
            code: "broker-protocol",
            what: Cow::Owned(format!(
                "the broker broke the protocol: {} [{}]",
                malformed.what, malformed.statement
            )),
            program: Some(SERVER_BUSY),
            broker: Some(malformed.reason),
        }
    }

    /// The broker sent what it may not send now.
    pub(super) const fn broker_protocol(what: &'static str) -> Self {
        Self::new(
            "broker-protocol",
            what,
            Some(SERVER_BUSY),
            Some(PROTOCOL_ERROR),
        )
    }

    /// This device is in no state to sign or judge.
    pub(super) fn failure(code: &'static str, what: String) -> Self {
        Self {
            code,
            what: Cow::Owned(what),
            program: Some(SERVER_BUSY),
            broker: None,
        }
    }
}

impl Session {
    /// Tells both sides and closes both connections.
    pub(super) fn end(&mut self, ending: &Ending, around: &mut Surroundings<'_>) {
        if let Some(reason) = ending.program {
            self.tell_program(reason);
        }
        if let Some(reason) = ending.broker
            && self.upstream.version == Version::V5
            && self.upstream.is_open
        {
            let properties = Properties::EMPTY;
            let goodbye = Packet::Disconnect(Reasoned {
                code: reason,
                properties,
            });
            // Cannot be too large: it has two octets.
            goodbye.write(Version::V5, &mut self.upstream_output).ok();
        }
        if let Some(client) = self.client.take() {
            around.clients.leave(&client, self.id, around.now);
        }
        add_code(&mut around.counts_of(&self.plan).closed, ending.code);
        self.note(Note::Closed {
            code: ending.code,
            what: ending.what.clone().into_owned(),
        });
        self.actions.push_back(Action::CloseUpstream);
        self.actions.push_back(Action::CloseLocal);
        self.upstream.is_open = false;
        self.enter(Phase::Closed, around.now);
    }

    fn tell_program(&mut self, reason: u8) {
        let version = self.program.as_ref().map(|program| program.version);
        let refused = matches!(
            self.phase,
            Phase::AwaitsConnect | Phase::ChecksPassword | Phase::Connects | Phase::AwaitsConnAck
        );
        let properties = Properties::EMPTY;
        let packet = match (version, refused) {
            (None, _) => return, // nobody knows in which language
            (Some(Version::V5), false) => Packet::Disconnect(Reasoned {
                code: reason,
                properties,
            }),
            (Some(Version::V311), false) => return, // it has no word for it
            (Some(version), true) => Packet::ConnAck(ConnAck {
                session_present: false,
                code: match version {
                    Version::V5 => connack_reason(reason),
                    Version::V311 => super::translate::connack_code(connack_reason(reason)),
                },
                properties,
            }),
        };
        let version = version.unwrap_or(Version::V5);
        packet.write(version, &mut self.local_output).ok();
    }
}

/// What DISCONNECT says with these, CONNACK says with that.
const fn connack_reason(reason: u8) -> u8 {
    match reason {
        0x89 | 0x8B | 0x8E => 0x88,
        other => other,
    }
}

pub(super) const PROTOCOL_ERROR: u8 = 0x82;
/// 0x89: nothing is wrong with the program, it may come back.
pub(super) const SERVER_BUSY: u8 = 0x89;
