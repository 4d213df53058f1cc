//! From the program to the broker: what is in flight, and what has to wait for the broker's Receive
//! Maximum.

use super::acks::AckQueue;
use super::ending::Ending;
use super::{Note, Session, Surroundings, translate};
use crate::gateway::metrics::add_code;
use crate::gateway::packet::{Ack, Frame, PacketType, Properties, Version};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

/// What the program has sent and the broker has not done with.
#[derive(Default)]
pub(super) struct Outbound {
    /// QoS 1: a PUBACK is due to the program.
    pub(super) level1: AckQueue,
    /// QoS 2: a PUBREC is due to the program.
    pub(super) level2: AckQueue,
    /// QoS 2: the broker has sent PUBREC, and the program owes PUBREL.
    received: BTreeSet<u16>,
    /// QoS 2: PUBREL has been sent, and the broker owes PUBCOMP.
    released: BTreeSet<u16>,
    /// QoS 2, refused towards a program of 3.1.1: its PUBREL is ours to answer.
    refused: BTreeSet<u16>,
    /// What the broker takes at once (its Receive Maximum), and what of that is in use.
    quota: u16,
    in_flight: BTreeSet<u16>,
    parked: VecDeque<(u16, Bytes)>,
    parked_octets: usize,
}

/// Where a message went.
pub(super) enum Placed {
    /// Nowhere: too many wait.
    NoRoom,
    /// Behind others that wait.
    Parked,
    /// To the broker.
    Sent,
}

impl Outbound {
    pub(super) fn set_quota(&mut self, quota: u16) {
        self.quota = quota;
    }

    pub(super) fn outstanding(&self) -> usize {
        self.level1
            .len()
            .saturating_add(self.level2.len())
            .saturating_add(self.received.len())
            .saturating_add(self.released.len())
    }

    pub(super) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(super) const fn parked_octets(&self) -> usize {
        self.parked_octets
    }

    /// Whether the program may send more now: while little is parked, and beyond that only where a
    /// PUBREL of its own has to come before anything moves.
    pub(super) fn takes_more(&self) -> bool {
        let few = self.parked.len() < PARKED_MESSAGES && self.parked_octets < PARKED_OCTETS;
        few || self.only_program_moves()
    }

    /// Whether the program awaits PUBACK or PUBREC for this identifier.
    pub(super) fn awaits_ack(&self, packet_id: u16) -> bool {
        self.level1.holds(packet_id) || self.level2.holds(packet_id)
    }

    /// Whether the broker has this message of QoS 2 already.
    pub(super) fn is_received(&self, packet_id: u16) -> bool {
        self.received.contains(&packet_id) || self.released.contains(&packet_id)
    }

    /// Whether this identifier is in use by a message of the program.
    pub(super) fn uses(&self, packet_id: u16) -> bool {
        self.awaits_ack(packet_id)
            || self.is_received(packet_id)
            || self.refused.contains(&packet_id)
    }

    /// The broker owes an acknowledgement.
    pub(super) fn awaits_broker(&self) -> bool {
        !self.released.is_empty() || !self.only_program_moves()
    }

    /// All that is in flight waits for PUBREL.
    fn only_program_moves(&self) -> bool {
        self.in_flight
            .iter()
            .all(|packet_id| self.received.contains(packet_id))
    }

    /// PUBREL of a message that nobody has is ours to answer.
    pub(super) fn await_release(&mut self, packet_id: u16) {
        self.refused.insert(packet_id);
    }

    /// It goes on after all: its PUBREL is for the broker.
    pub(super) fn is_sent_on(&mut self, packet_id: u16) {
        self.refused.remove(&packet_id);
    }

    /// What was written to `out` behind `before` may stay there, or is parked: the broker does not take
    /// it yet.
    pub(super) fn send(&mut self, packet_id: u16, before: usize, out: &mut BytesMut) -> Placed {
        let known = self.in_flight.contains(&packet_id);
        let room = self.in_flight.len() < usize::from(self.quota);
        if known || (room && self.parked.is_empty()) {
            self.in_flight.insert(packet_id);
            return Placed::Sent;
        }
        let octets = Bytes::copy_from_slice(out.get(before..).unwrap_or_default());
        out.truncate(before);
        if self.parked.iter().any(|(parked, _)| *parked == packet_id) {
            return Placed::Parked; // repeated before it was sent once
        }
        let total = self.parked_octets.saturating_add(octets.len());
        let too_much = total > PARKED_OCTETS_AT_ALL && !self.parked.is_empty();
        if self.parked.len() >= PARKED_MESSAGES_AT_ALL || too_much {
            return Placed::NoRoom;
        }
        self.parked_octets = total;
        self.parked.push_back((packet_id, octets));
        Placed::Parked
    }

    /// The broker has done with this one: the next may go.
    fn done(&mut self, packet_id: u16, out: &mut BytesMut) {
        self.in_flight.remove(&packet_id);
        while self.in_flight.len() < usize::from(self.quota) {
            let Some((packet_id, octets)) = self.parked.pop_front() else {
                return;
            };
            self.parked_octets = self.parked_octets.saturating_sub(octets.len());
            self.in_flight.insert(packet_id);
            out.extend_from_slice(&octets);
        }
    }
}

impl Session {
    /// PUBREL of the program.
    pub(super) fn program_releases(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let version = self.program_version();
        if self.outbound.refused.remove(&ack.packet_id) {
            let complete = acknowledgement(PacketType::PubComp, ack.packet_id, 0, version);
            self.local_output.extend_from_slice(&complete);
            return Ok(());
        }
        // Of a session before this connection, too: the broker knows.
        self.outbound.received.remove(&ack.packet_id);
        self.outbound.released.insert(ack.packet_id);
        let to = self.upstream.version;
        let out = &mut self.upstream_output;
        pass(ack, PacketType::PubRel, frame, version, to, out);
        self.sent_upstream(around);
        self.watch_wedge(false, around);
        Ok(())
    }

    /// PUBACK and PUBREC of the broker.
    pub(super) fn broker_acknowledges(
        &mut self,
        packet_type: PacketType,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let (from, version) = (self.upstream.version, program.version);
        let packet_id = ack.packet_id;
        let octets = passed(ack, packet_type, frame, from, version);
        let queue = match packet_type {
            PacketType::PubAck => &mut self.outbound.level1,
            _ => &mut self.outbound.level2,
        };
        if !queue.acknowledged(packet_id, &octets, &mut self.local_output) {
            return Ok(()); // for nothing that was sent here
        }
        let over = packet_type == PacketType::PubAck || ack.code >= 0x80;
        if over {
            around.flows.acknowledged(&program.consumer, packet_id);
            self.outbound.done(packet_id, &mut self.upstream_output);
        } else {
            self.outbound.received.insert(packet_id);
        }
        if ack.code >= 0x80 && version == Version::V311 {
            self.refused_by_broker(packet_type, ack, around);
        }
        self.watch_wedge(true, around);
        Ok(())
    }

    /// A program of 3.1.1 takes every acknowledgement for a yes.
    fn refused_by_broker(
        &mut self,
        packet_type: PacketType,
        ack: &Ack<'_>,
        around: &mut Surroundings<'_>,
    ) {
        if packet_type == PacketType::PubRec {
            self.outbound.await_release(ack.packet_id);
        }
        let counts = around.counts_of(&self.plan).rule(NO_RULE);
        add_code(&mut counts.refused, REFUSED_BY_BROKER);
        self.note(Note::NotSent {
            code: REFUSED_BY_BROKER,
            topic: String::new(),
            what: format!(
                "the broker refuses a message: reason 0x{:02x}, packet identifier {}",
                ack.code, ack.packet_id
            ),
        });
    }

    /// PUBCOMP of the broker.
    pub(super) fn broker_completes(
        &mut self,
        ack: &Ack<'_>,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        if !self.outbound.released.remove(&ack.packet_id) {
            return Ok(()); // for nothing that was released here
        }
        around.flows.acknowledged(&program.consumer, ack.packet_id);
        let (from, to) = (self.upstream.version, program.version);
        let out = &mut self.local_output;
        pass(ack, PacketType::PubComp, frame, from, to, out);
        self.outbound.done(ack.packet_id, &mut self.upstream_output);
        self.watch_wedge(true, around);
        Ok(())
    }

    /// Something goes to the broker: no ping is needed for a while.
    pub(super) fn sent_upstream(&mut self, around: &Surroundings<'_>) {
        if let Some(pings) = &mut self.upstream.pings {
            pings.sent(around.now);
        }
    }

    pub(super) fn watch_wedge(&mut self, progressed: bool, around: &Surroundings<'_>) {
        let outstanding = self.outbound.awaits_broker() || !self.subscriptions.is_settled();
        self.upstream
            .wedge
            .watch(outstanding, progressed, around.now);
    }
}

/// An acknowledgement of our own.
pub(super) fn acknowledgement(
    packet_type: PacketType,
    packet_id: u16,
    code: u8,
    version: Version,
) -> Bytes {
    let mut out = BytesMut::with_capacity(8);
    let properties = Properties::EMPTY;
    let ack = Ack {
        packet_id,
        code,
        properties,
    };
    write_ack(packet_type, &ack, version, &mut out);
    out.freeze()
}

/// Hands an acknowledgement on: as it is between equals, but for what is ours to say, else in the
/// other's language.
pub(super) fn pass(
    ack: &Ack<'_>,
    packet_type: PacketType,
    frame: &Frame,
    from: Version,
    to: Version,
    out: &mut BytesMut,
) {
    out.extend_from_slice(&passed(ack, packet_type, frame, from, to));
}

/// What [`pass`] hands on.
pub(super) fn passed<'f>(
    ack: &Ack<'_>,
    packet_type: PacketType,
    frame: &'f Frame,
    from: Version,
    to: Version,
) -> Cow<'f, [u8]> {
    if from == to && !translate::has_ours(&ack.properties) {
        return Cow::Borrowed(frame.octets());
    }
    let mut out = BytesMut::new();
    let properties = translate::without_ours(&ack.properties);
    let properties = properties.as_properties();
    write_ack(packet_type, &Ack { properties, ..*ack }, to, &mut out);
    Cow::Owned(out.into())
}

fn write_ack(packet_type: PacketType, ack: &Ack<'_>, version: Version, out: &mut BytesMut) {
    translate::ack_packet(packet_type, ack)
        .write(version, out)
        .ok(); // cannot be too large: it is no longer than it was
}

/// Parked messages and their octets before nothing more is read, and at all.
const PARKED_MESSAGES: usize = 64;
const PARKED_OCTETS: usize = 256 * 1024;
const PARKED_MESSAGES_AT_ALL: usize = 1024;
const PARKED_OCTETS_AT_ALL: usize = 2 * 1024 * 1024;
/// What is counted where no rule was asked.
pub(super) const NO_RULE: &str = "none";
const REFUSED_BY_BROKER: &str = "refused-by-broker";
