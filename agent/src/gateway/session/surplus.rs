//! What a broker sends beyond the Receive Maximum that the program announced. Mosquitto 2.0.11 does so in ordinary traffic, as soon
//! as acknowledgements come close together; a program that keeps count would end the connection. To a program that subscribes to
//! thousands of retained messages it sends hundreds too many, so the bound is in octets: of all connections together.

use super::ending::Ending;
use super::{Phase, Session, Surroundings, Turn};
use crate::gateway::packet::{Frame, Version};
use std::collections::VecDeque;

/// PUBLISH packets that the program does not get yet, in their order: it has no room, or the first of them is held.
#[derive(Default)]
pub(super) struct Surplus {
    frames: VecDeque<Frame>,
    octets: usize,
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
        self.frames.len()
    }

    /// It was the first, and is again.
    pub(super) fn put_back(&mut self, frame: &Frame) {
        self.octets = self.octets.saturating_add(weight(frame));
        self.frames.push_front(frame.detached());
    }

    pub(super) fn keep(&mut self, frame: &Frame) -> Result<(), Ending> {
        if self.frames.len() >= MOST {
            return Err(Ending::broker_protocol(
                "it sends far more than the Receive Maximum [MQTT-3.3.4-9]",
            ));
        }
        self.octets = self.octets.saturating_add(weight(frame));
        self.frames.push_back(frame.detached());
        Ok(())
    }

    fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.octets = self.octets.saturating_sub(weight(&frame));
        Some(frame)
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
            let Some(frame) = self.inbound.surplus.take() else {
                break;
            };
            turn.took(frame.octets().len());
            self.broker_publishes(frame, None, around)?;
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

/// A flood of small ones must weigh what it costs.
fn weight(frame: &Frame) -> usize {
    frame.octets().len().saturating_add(OVERHEAD_OCTETS)
}

/// There are no more packet identifiers.
const MOST: usize = 65_535;
/// About what a frame takes beside its octets.
const OVERHEAD_OCTETS: usize = 64;
