//! One local connection and its upstream as a state machine: octets of both sides, events and `now`
//! in; octets for both sides and actions out.
//!
//! ```text
//!  program --> local octets --> framer --> permissions, rules, signature --> upstream output --> broker
//!  program <-- local output <-- verdict, annotations <-- framer <-- upstream octets <-- broker
//! ```
//! Packet identifiers pass through unchanged, and so do packets that nothing has to be done to. No
//! message is kept but what waits for a key, for newer trust data or for the broker's Receive Maximum: the
//! program and the broker are the queues.

mod acks;
mod aliases;
mod connack;
mod connect;
mod ending;
mod held;
mod hold;
mod inbound;
mod local;
mod outbound;
mod plan;
mod program;
mod publish;
mod remote;
mod renewal;
mod subscriptions;
mod surplus;
mod timers;
mod translate;
mod upstream;

#[cfg(test)]
mod tests;

pub use plan::{ListenerPlan, LocalPeer};

use super::clients::{ClientKey, Clients, ConnectionId, LocalIdentity};
use super::flows::Flows;
use super::message::Notary;
use super::metrics::{GatewayCounts, ListenerCounts};
use super::packet::{Framed, Framer, Version};
use super::rules::Rules;
use crate::engine::{KeyTicket, LoadedKey};
use bytes::BytesMut;
use ending::Ending;
use held::Held;
use inbound::Inbound;
use outbound::Outbound;
use program::Program;
use renewal::StoodStill;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use subscriptions::Subscriptions;
use upstream::Upstream;
use zeroize::Zeroizing;

/// What all sessions share, and the time since the start.
pub struct Surroundings<'a> {
    /// Signs and judges.
    pub notary: &'a mut dyn Notary,
    /// The rules in force.
    pub rules: &'a Arc<Rules>,
    /// What is in flight.
    pub flows: &'a mut Flows,
    /// Which client identifier belongs to whom.
    pub clients: &'a mut Clients,
    /// What is counted.
    pub counts: &'a mut GatewayCounts,
    /// This upstream is known to speak MQTT 3.1.1 alone.
    pub upstream_is_v311: &'a mut bool,
    /// By a clock that never runs back.
    pub now: Duration,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The broker closed, or was not heard of any more.
    UpstreamClosed,
    /// The connection to the broker is there, TLS included.
    UpstreamConnected,
    /// These octets came from the broker; what is left is to be given again.
    UpstreamOctets(&'a mut BytesMut),
    /// The broker cannot be reached.
    UpstreamUnavailable,
    /// What came of [`Action::LoadKey`].
    KeyLoaded(LoadedKey),
    /// The program closed.
    LocalClosed,
    /// These octets came from the program; what is left is to be given again.
    LocalOctets(&'a mut BytesMut),
    /// What came of [`Action::CheckPassword`].
    PasswordChecked(bool),
    /// This agent stops.
    Stop,
    /// Another connection uses this one's client identifier now.
    TakenOver,
    /// What [`Session::deadline`] asked for is due.
    Timer,
    /// Other trust data is in force.
    TrustChanged,
}

/// What the edge is to do. Output that is already there goes out before a connection is closed.
#[derive(Debug)]
pub enum Action {
    /// Check a password of the listener's users, off the executor:
    /// [`ListenerConfig::authenticate`](crate::config::ListenerConfig::authenticate).
    CheckPassword {
        /// The local user.
        user: Box<str>,
        /// What was sent.
        password: Zeroizing<Vec<u8>>,
    },
    /// Close the program's connection; nothing follows.
    CloseLocal,
    /// Close the broker's connection. What came of it and was not taken is thrown away.
    CloseUpstream,
    /// Connect to the broker (anew).
    ConnectUpstream,
    /// Load this key.
    LoadKey(KeyTicket),
    /// Something for the log.
    Note(Note),
    /// This older connection loses its client identifier.
    TakeOver(ConnectionId),
    /// The turn is used up: let the others work, then give what is left again.
    Yield,
}

/// Something for the log. Texts of peers are to be escaped there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// The session ended, by this code.
    Closed {
        /// The stable short code.
        code: &'static str,
        /// For people.
        what: String,
    },
    /// A message of the program was not sent on.
    NotSent {
        /// The stable short code.
        code: &'static str,
        /// The topic.
        topic: String,
        /// For people.
        what: String,
    },
    /// A message was not handed to the program.
    Rejected {
        /// The stable short code.
        code: &'static str,
        /// The topic.
        topic: String,
        /// Who sent it, if that is sure.
        sender: Option<String>,
    },
    /// A filter was not subscribed.
    FilterRefused {
        /// The stable short code.
        code: &'static str,
        /// The filter.
        filter: String,
    },
    /// Upstream speaks MQTT 3.1.1 alone: envelopes from now on.
    UpstreamIsV311,
}

/// One local connection and its upstream.
pub struct Session {
    plan: Arc<ListenerPlan>,
    peer: LocalPeer,
    id: ConnectionId,
    phase: Phase,
    phase_since: Duration,
    program: Option<Program>,
    client: Option<ClientKey>,
    upstream: Upstream,
    local_framer: Framer,
    upstream_framer: Framer,
    local_output: BytesMut,
    upstream_output: BytesMut,
    actions: VecDeque<Action>,
    outbound: Outbound,
    inbound: Inbound,
    subscriptions: Subscriptions,
    held: Held,
    stood_still: StoodStill,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// The program has to send CONNECT.
    AwaitsConnect,
    /// Its password is being checked.
    ChecksPassword,
    /// The broker is being connected to.
    Connects,
    /// The broker has to answer CONNECT.
    AwaitsConnAck,
    /// Messages flow.
    Runs,
    /// A planned renewal waits until nothing is outstanding.
    Settles,
    /// A planned renewal has closed and opens the broker's connection again.
    Renews,
    /// The agent stops; outstanding acknowledgements are waited for.
    Stops,
    /// Over.
    Closed,
}

/// What `edgeseal-agent status` shows of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionStatus {
    /// How far it has come.
    pub phase: Phase,
    /// As the program says; nothing before its CONNECT.
    pub client_id: Option<Arc<str>>,
    /// Who the program is.
    pub identity: Option<LocalIdentity>,
    /// What the program speaks.
    pub program: Option<Version>,
    /// What is spoken to the broker.
    pub upstream: Version,
    /// Messages of the program that the broker has not acknowledged.
    pub outgoing: usize,
    /// Messages of the program that wait for the broker's Receive Maximum.
    pub parked: usize,
    /// Messages that the program has not acknowledged.
    pub incoming: usize,
}

impl Session {
    /// A connection has been accepted.
    #[must_use]
    pub fn new(plan: Arc<ListenerPlan>, peer: LocalPeer, id: ConnectionId, now: Duration) -> Self {
        let local_limit = plan.local_packet_octets();
        let upstream_limit = plan.upstream_packet_octets();
        Self {
            plan,
            peer,
            id,
            phase: Phase::AwaitsConnect,
            phase_since: now,
            program: None,
            client: None,
            upstream: Upstream::default(),
            local_framer: Framer::new(local_limit),
            upstream_framer: Framer::new(upstream_limit),
            local_output: BytesMut::new(),
            upstream_output: BytesMut::new(),
            actions: VecDeque::new(),
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            subscriptions: Subscriptions::default(),
            held: Held::default(),
            stood_still: StoodStill::default(),
        }
    }

    /// Takes an event in.
    pub fn handle(&mut self, event: Event<'_>, around: &mut Surroundings<'_>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.start_clocks(around);
        let outcome = self
            .take_in(event, around)
            .and_then(|()| self.look_at_the_clock(around))
            .and_then(|()| self.take_held(around));
        match outcome {
            Ok(()) => {
                self.repeat_subscriptions(around);
                self.stop_clocks();
            }
            Err(ending) => self.end(&ending, around),
        }
    }

    /// What the edge is to do, oldest first.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What goes to the program.
    pub fn local_output(&mut self) -> &mut BytesMut {
        &mut self.local_output
    }

    /// What goes to the broker.
    pub fn upstream_output(&mut self) -> &mut BytesMut {
        &mut self.upstream_output
    }

    /// When [`Event::Timer`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadlines().into_iter().flatten().min()
    }

    /// Octets that are held in memory for this session.
    #[must_use]
    pub fn buffered_octets(&self) -> usize {
        self.local_output
            .len()
            .saturating_add(self.upstream_output.len())
            .saturating_add(self.outbound.parked_octets())
            .saturating_add(self.held.octets())
            .saturating_add(self.inbound.waiting_octets())
    }

    /// What is shown of it.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        let program = self.program.as_ref();
        SessionStatus {
            phase: self.phase,
            client_id: program.map(|program| Arc::clone(&program.client_id)),
            identity: program.map(|program| program.identity.clone()),
            program: program.map(|program| program.version),
            upstream: self.upstream.version,
            outgoing: self.outbound.outstanding(),
            parked: self.outbound.parked(),
            incoming: self.inbound.outstanding(),
        }
    }

    fn take_in(&mut self, event: Event<'_>, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        match event {
            Event::UpstreamClosed => self.upstream_closed(),
            Event::UpstreamConnected => self.upstream_connected(around),
            Event::UpstreamOctets(octets) => self.take_upstream(octets, around),
            Event::UpstreamUnavailable => self.upstream_unavailable(),
            Event::KeyLoaded(loaded) => self.key_loaded(&loaded, around),
            Event::LocalClosed => Err(Ending::LOCAL_CLOSED),
            Event::LocalOctets(octets) => self.take_local(octets, around),
            Event::PasswordChecked(right) => self.password_checked(right, around),
            Event::Stop => self.stop(around.now),
            Event::TakenOver => Err(Ending::TAKEN_OVER),
            Event::Timer if self.hands_on() => self.hand_on_surplus(around),
            Event::Timer => Ok(()),
            Event::TrustChanged => {
                self.trust_changed();
                self.judge_held(around)
            }
        }
    }

    fn take_local(
        &mut self,
        octets: &mut BytesMut,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let mut turn = Turn::default();
        while turn.goes_on() {
            if !self.reads_local() {
                return Ok(());
            }
            let framed = self.local_framer.next(octets);
            match framed.map_err(|malformed| Ending::program_malformed(&malformed))? {
                None => return Ok(()),
                Some(Framed::Packet(frame)) => {
                    turn.took(frame.octets().len());
                    self.local_packet(&frame, around)?;
                }
                Some(Framed::Oversized(packet)) => {
                    turn.took(0); // its octets were thrown away as they came
                    self.local_oversized(&packet, around)?;
                }
            }
        }
        self.actions.push_back(Action::Yield);
        Ok(())
    }

    fn take_upstream(
        &mut self,
        octets: &mut BytesMut,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let mut turn = Turn::default();
        while turn.goes_on() {
            if !self.reads_upstream() {
                return Ok(());
            }
            let framed = self.upstream_framer.next(octets);
            match framed.map_err(|malformed| Ending::broker_malformed(&malformed))? {
                None => return Ok(()),
                Some(Framed::Packet(frame)) => {
                    turn.took(frame.octets().len());
                    self.upstream_packet(frame, around)?;
                }
                Some(Framed::Oversized(packet)) => {
                    turn.took(0); // its octets were thrown away as they came
                    self.upstream_oversized(&packet, around)?;
                }
            }
        }
        self.actions.push_back(Action::Yield);
        Ok(())
    }

    fn enter(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.phase_since = now;
    }

    fn note(&mut self, note: Note) {
        self.actions.push_back(Action::Note(note));
    }
}

impl Surroundings<'_> {
    fn counts_of(&mut self, plan: &ListenerPlan) -> &mut ListenerCounts {
        self.counts.listener(&plan.listener.name)
    }
}

/// What one side has had of a turn, so that a flood starves nobody.
#[derive(Default)]
struct Turn {
    packets: usize,
    octets: usize,
}

impl Turn {
    const fn goes_on(&self) -> bool {
        self.packets < PACKETS_PER_TURN && self.octets < OCTETS_PER_TURN
    }

    const fn took(&mut self, octets: usize) {
        self.packets = self.packets.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
    }
}

/// Packets of one side that a turn takes.
const PACKETS_PER_TURN: usize = 16;
/// Octets of them, in place of a time that no test could hold: SHA-256 over so many takes the
/// slowest Pi some 5 ms.
const OCTETS_PER_TURN: usize = 64 * 1024;
/// Output that is waiting before nothing more is read that would add to it.
const OUTPUT_OCTETS: usize = 64 * 1024;
/// What waits for a program that does not read before QoS 0 to it is dropped and nothing of it is read.
const UNREAD_OCTETS: usize = 16 * OUTPUT_OCTETS;
