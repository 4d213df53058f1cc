//! What came of the program while it should wait: kept in its order, within bounds.

use super::ending::Ending;
use super::{Phase, Session, Surroundings};
use crate::gateway::packet::{Frame, PacketType};
use std::collections::VecDeque;

/// Packets of the program that are worked on later.
#[derive(Default)]
pub(super) struct Held {
    frames: VecDeque<Frame>,
    octets: usize,
}

impl Held {
    pub(super) fn push(&mut self, frame: &Frame) {
        self.octets = self.octets.saturating_add(frame.octets().len());
        self.frames.push_back(frame.detached());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn takes_more(&self) -> bool {
        self.frames.len() < HELD_FRAMES && self.octets < HELD_OCTETS
    }

    pub(super) const fn octets(&self) -> usize {
        self.octets
    }

    /// The program has said good-bye behind what is held.
    fn ends_with_farewell(&self) -> bool {
        self.frames
            .back()
            .is_some_and(|frame| frame.packet_type() == PacketType::Disconnect)
    }

    fn first(&self) -> Option<&Frame> {
        self.frames.front()
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.octets = self.octets.saturating_sub(frame.octets().len());
        Some(frame)
    }
}

impl Session {
    /// Whether a packet that asks for something has to wait: nothing new is begun while the broker's
    /// connection is about to be closed, and the identifier of a SUBSCRIBE of our own is not the
    /// program's for a moment.
    pub(super) fn has_to_wait(&self, packet_id: Option<u16>) -> bool {
        matches!(self.phase, Phase::Settles | Phase::Stops)
            || !self.held.is_empty()
            || self.clashes_with_own(packet_id)
    }

    /// Works on what waited, as far as it may go now.
    pub(super) fn take_held(&mut self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        if self.held.ends_with_farewell() && matches!(self.phase, Phase::Settles | Phase::Stops) {
            // It is leaving: there is nothing to renew or to wait for.
            self.enter(Phase::Runs, around.now);
        }
        while self.phase == Phase::Runs && self.outbound.takes_more() {
            let id = match self.held.first() {
                Some(first) => first.packet_id(),
                None => break,
            };
            if self.clashes_with_own(id) {
                break;
            }
            if let Some(frame) = self.held.pop() {
                self.program_asks(&frame, around)?;
            }
        }
        Ok(())
    }
}

const HELD_FRAMES: usize = 64;
const HELD_OCTETS: usize = 64 * 1024;
