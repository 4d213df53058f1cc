//! What a broker sends beyond the Receive Maximum that the program announced. Mosquitto 2.0.11 does so in ordinary traffic, as soon
//! as acknowledgements come close together; a program that keeps count would end the connection. To a program that subscribes to
//! thousands of retained messages it sends hundreds too many, so the bound is in octets: of all connections together.

use super::ending::Ending;
use super::{Phase, Session, Surroundings, Turn};
use crate::gateway::packet::{Frame, Oversized, Version};
use std::collections::VecDeque;

/// PUBLISH packets that the program does not get yet, in their order: it has no room, or the first of them is held.
#[derive(Default)]
pub(super) struct Surplus {
    waiting: VecDeque<Waiting>,
    octets: usize,
}

/// What waits for its turn.
enum Waiting {
    Frame(Frame),
    /// Thrown away already; it is acknowledged behind what came before it.
    Oversized(Oversized),
}

impl Surplus {
    pub(super) const fn octets(&self) -> usize {
        self.octets
    }

    /// Another connection to the broker brings them again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// It was the first, and is again.
    pub(super) fn put_back(&mut self, frame: &Frame) {
        self.octets = self.octets.saturating_add(weight(frame));
        self.waiting.push_front(Waiting::Frame(frame.detached()));
    }

    pub(super) fn keep(&mut self, frame: &Frame) -> Result<(), Ending> {
        self.push(Waiting::Frame(frame.detached()))
    }

    /// What is known of a packet that was too large.
    pub(super) fn keep_oversized(&mut self, packet: Oversized) -> Result<(), Ending> {
        self.push(Waiting::Oversized(packet))
    }

    fn push(&mut self, waiting: Waiting) -> Result<(), Ending> {
        if self.waiting.len() >= MOST {
            return Err(Ending::broker_protocol(
                "it sends far more than the Receive Maximum [MQTT-3.3.4-9]",
            ));
        }
        self.octets = self.octets.saturating_add(waiting.weight());
        self.waiting.push_back(waiting);
        Ok(())
    }

    fn take(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.octets = self.octets.saturating_sub(waiting.weight());
        Some(waiting)
    }
}

impl Session {
    /// A PUBLISH of the broker: for now, or for when the program has room and nothing before it is held.
    pub(super) fn broker_brings(
        &mut self,
        frame: Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let is_new = frame
            .packet_id()
            .is_some_and(|packet_id| !self.inbound.knows(packet_id));
        let has_no_room = self.upstream.version == Version::V5 && !self.has_room();
        if is_new && (has_no_room || self.inbound.surplus.len() > 0) {
            return self.inbound.surplus.keep(&frame);
        }
        self.broker_publishes(frame, None, around)
    }

    /// The program has room again, or nothing is held any more. As many as a turn takes: what is refused takes no
    /// room, and a broker may have sent thousands of those.
    pub(super) fn hand_on_surplus(&mut self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        let mut turn = Turn::default();
        while turn.goes_on() && self.surplus_is_due() {
            match self.inbound.surplus.take() {
                Some(Waiting::Frame(frame)) => {
                    turn.took(frame.octets().len());
                    self.broker_publishes(frame, None, around)?;
                }
                Some(Waiting::Oversized(packet)) => {
                    turn.took(0);
                    self.refuse_oversized(&packet, around)?;
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Whether something waits that nothing holds back any more.
    pub(super) fn surplus_is_due(&self) -> bool {
        self.inbound.surplus.len() > 0
            && self.has_room()
            && !self.inbound.waits_for_key()
            && !self.inbound.hold.is_on()
    }

    /// Whether the surplus goes on without another event.
    pub(super) fn hands_on(&self) -> bool {
        matches!(self.phase, Phase::Runs | Phase::Settles) && self.surplus_is_due()
    }

    fn has_room(&self) -> bool {
        self.inbound.outstanding() < usize::from(self.upstream.receive_maximum)
    }
}

impl Waiting {
    fn weight(&self) -> usize {
        match self {
            Self::Frame(frame) => weight(frame),
            Self::Oversized(_) => OVERHEAD_OCTETS,
        }
    }
}

/// A flood of small ones must weigh what it costs.
fn weight(frame: &Frame) -> usize {
    frame.octets().len().saturating_add(OVERHEAD_OCTETS)
}

/// There are no more packet identifiers.
const MOST: usize = 65_535;
/// About what a frame takes beside its octets.
const OVERHEAD_OCTETS: usize = 64;
