//! The order of acknowledgements in one direction: our own wait behind older ones that are not ours to
//! give (MQTT-4.6.0-2, -3).

use bytes::{Bytes, BytesMut};
use std::collections::{BTreeSet, VecDeque};

/// What was received with QoS 1, or with QoS 2, and awaits its PUBACK or PUBREC.
#[derive(Debug, Default)]
pub(super) struct AckQueue {
    waiting: VecDeque<Waiting>,
    /// What waits, to be found at once.
    packet_ids: BTreeSet<u16>,
}

#[derive(Debug)]
struct Waiting {
    packet_id: u16,
    /// Our own acknowledgement; nothing where somebody else has to give it.
    own: Option<Bytes>,
}

impl AckQueue {
    /// It was passed on: the other side acknowledges it.
    pub(super) fn passed_on(&mut self, packet_id: u16) {
        self.packet_ids.insert(packet_id);
        self.waiting.push_back(Waiting {
            packet_id,
            own: None,
        });
    }

    /// It was refused: `acknowledgement` is ours, and goes to `out` when its turn comes.
    pub(super) fn refused(&mut self, packet_id: u16, acknowledgement: Bytes, out: &mut BytesMut) {
        self.packet_ids.insert(packet_id);
        self.waiting.push_back(Waiting {
            packet_id,
            own: Some(acknowledgement),
        });
        self.flush(out);
    }

    /// The other side acknowledged it, by these octets. False where it had nothing to acknowledge.
    pub(super) fn acknowledged(
        &mut self,
        packet_id: u16,
        octets: &[u8],
        out: &mut BytesMut,
    ) -> bool {
        let place = self
            .waiting
            .iter()
            .position(|waiting| waiting.packet_id == packet_id && waiting.own.is_none());
        let Some(place) = place else { return false };
        self.waiting.remove(place);
        self.packet_ids.remove(&packet_id);
        out.extend_from_slice(octets);
        self.flush(out);
        true
    }

    /// Whether this identifier is in use.
    pub(super) fn holds(&self, packet_id: u16) -> bool {
        self.packet_ids.contains(&packet_id)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn flush(&mut self, out: &mut BytesMut) {
        while let Some(first) = self.waiting.front()
            && let Some(own) = &first.own
        {
            out.extend_from_slice(own);
            self.packet_ids.remove(&first.packet_id);
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AckQueue;
    use bytes::{Bytes, BytesMut};

    #[test]
    fn our_own_waits_behind_what_is_older() {
        let (mut queue, mut out) = (AckQueue::default(), BytesMut::new());
        queue.passed_on(1);
        queue.refused(2, Bytes::from_static(b"two "), &mut out);
        queue.passed_on(3);
        queue.refused(4, Bytes::from_static(b"four "), &mut out);
        assert!(out.is_empty());
        assert!(queue.acknowledged(1, b"one ", &mut out));
        assert_eq!(&out[..], b"one two ");
        assert!(queue.acknowledged(3, b"three ", &mut out));
        assert_eq!(&out[..], b"one two three four ");
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn nobody_acknowledges_what_is_ours_or_unknown_or_done() {
        let (mut queue, mut out) = (AckQueue::default(), BytesMut::new());
        queue.passed_on(1);
        queue.refused(2, Bytes::from_static(b"two"), &mut out);
        assert!(!queue.acknowledged(2, b"not ours to give", &mut out));
        assert!(!queue.acknowledged(7, b"unknown", &mut out));
        assert!(out.is_empty());
        assert!(queue.acknowledged(1, b"", &mut out));
        assert!(!queue.acknowledged(1, b"again", &mut out));
        assert_eq!(&out[..], b"two");
    }
}
