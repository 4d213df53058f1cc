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
    /// It passes by itself. A program that waits for CONNACK gets none, as from a broker that is down:
    /// some never come again once they were refused (Node's `mqtt`, `mosquitto_sub` of version 5).
    pub(super) passes: bool,
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
    )
    .passing();
    /// The broker closed.
    pub(super) const UPSTREAM_CLOSED: Self = Self::new(
        "upstream-closed",
        "the broker closed the connection",
        Some(0x89),
        None,
    )
    .passing();
    /// This agent stops.
    pub(super) const STOPPED: Self = Self::new("stopped", "", Some(0x8B), None).passing();

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
            passes: false,
        }
    }

    const fn passing(mut self) -> Self {
        self.passes = true;
        self
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
            passes: false,
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
            passes: true,
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
        .passing()
    }

    /// This device is in no state to sign or judge.
    pub(super) fn failure(code: &'static str, what: String) -> Self {
        Self {
            code,
            what: Cow::Owned(what),
            program: Some(SERVER_BUSY),
            broker: None,
            passes: true,
        }
    }
}

impl Session {
    /// Tells both sides and closes both connections.
    pub(super) fn end(&mut self, ending: &Ending, around: &mut Surroundings<'_>) {
        if let Some(reason) = ending.program
            && (self.is_let_in() || !ending.passes)
        {
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
        if let Some(program) = &mut self.program
            && let Some(number) = program.unnamed.take()
        {
            around.clients.leave_unnamed(&program.identity, number);
        }
        let counts = around.counts_of(&self.plan);
        let counts = match self.is_let_in() {
            true => &mut counts.closed,
            false => &mut counts.refused,
        };
        add_code(counts, ending.code);
        self.note(Note::Closed {
            code: ending.code,
            what: ending.what.clone().into_owned(),
        });
        self.actions.push_back(Action::CloseUpstream);
        self.actions.push_back(Action::CloseLocal);
        self.upstream.is_open = false;
        self.enter(Phase::Closed, around.now);
    }

    /// The program has its CONNACK.
    const fn is_let_in(&self) -> bool {
        !matches!(
            self.phase,
            Phase::AwaitsConnect | Phase::ChecksPassword | Phase::Connects | Phase::AwaitsConnAck
        )
    }

    fn tell_program(&mut self, reason: u8) {
        let Some(program) = &self.program else {
            return; // nobody knows in which language
        };
        let version = program.version;
        let properties = Properties::EMPTY;
        let packet = match (version, self.is_let_in()) {
            (Version::V5, true) => Packet::Disconnect(Reasoned {
                code: disconnect_reason(reason),
                properties,
            }),
            (Version::V311, true) => return, // it has no word for it
            (version, false) => Packet::ConnAck(ConnAck {
                session_present: false,
                code: match version {
                    Version::V5 => connack_reason(reason),
                    Version::V311 => super::translate::connack_code(connack_reason(reason)),
                },
                properties,
            }),
        };
        packet.write(version, &mut self.local_output).ok(); // cannot be too large
    }
}

/// What DISCONNECT says with these, CONNACK says with that (5, 3.2.2.2).
const fn connack_reason(reason: u8) -> u8 {
    match reason {
        0x89 | 0x8B | 0x8D | 0x8E => 0x88,
        0x93 | 0x94 => 0x82,
        other => other,
    }
}

/// What CONNACK says with these, DISCONNECT says with that (5, 3.14.2.1).
const fn disconnect_reason(reason: u8) -> u8 {
    match reason {
        0x84..=0x86 | 0x88 | 0x8A | 0x8C => 0x89,
        other => other,
    }
}

pub(super) const PROTOCOL_ERROR: u8 = 0x82;
/// 0x89: nothing is wrong with the program, it may come back.
pub(super) const SERVER_BUSY: u8 = 0x89;
