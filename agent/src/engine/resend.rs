//! Which messages got which id in this epoch, so that a message that is signed anew keeps its id
//! and no other message ever gets it.

use edgeseal_trust::token::{Kind, PayloadHash};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// The newest ids of one stream. Counters are consecutive, so only the messages are kept.
#[derive(Debug, Default)]
pub(super) struct Issued {
    messages: VecDeque<MessageHash>,
    newest: u64,
}

/// Kind, topic and payload of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MessageHash([u8; 32]);

impl MessageHash {
    pub(super) fn of(kind: Kind, topic: &str, payload: PayloadHash) -> Self {
        let mut hash = Sha256::new();
        hash.update(kind.typ());
        hash.update([0]);
        hash.update(topic); // which contains no U+0000
        hash.update([0]);
        hash.update(payload.octets());
        Self(hash.finalize().into())
    }
}

impl Issued {
    /// The counter of the next message: 1 at first; nothing at the end of numbers.
    pub(super) fn next(&self) -> Option<u64> {
        self.newest.checked_add(1)
    }

    /// The next counter has been given to this message.
    pub(super) fn give(&mut self, message: MessageHash) {
        self.newest = self.newest.saturating_add(1);
        if self.messages.len() == REMEMBERED {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }

    /// Whether this counter was given to this message.
    pub(super) fn was_given(&self, counter: u64, message: MessageHash) -> bool {
        let back = self.newest.checked_sub(counter);
        let index = back
            .and_then(|back| usize::try_from(back).ok())
            .and_then(|back| self.messages.len().checked_sub(back.checked_add(1)?));
        index.and_then(|index| self.messages.get(index)) == Some(&message)
    }
}

/// Messages of a stream that can be signed anew: 64 KiB.
const REMEMBERED: usize = 2048;

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

    use super::{Issued, MessageHash, REMEMBERED};
    use edgeseal_trust::token::{Kind, PayloadHash};

    fn hash_of(kind: Kind, topic: &str, payload: &[u8]) -> MessageHash {
        MessageHash::of(kind, topic, PayloadHash::of(payload))
    }

    fn message(number: u64) -> MessageHash {
        hash_of(Kind::Message, "a", &number.to_be_bytes())
    }

    #[test]
    fn the_newest_are_remembered_and_no_more() {
        let mut issued = Issued::default();
        assert!(!issued.was_given(0, message(0)));
        assert!(!issued.was_given(1, message(1)));
        let last = REMEMBERED as u64 + 10;
        for number in 1..=last {
            assert_eq!(issued.next(), Some(number));
            issued.give(message(number));
        }
        assert_eq!(issued.messages.len(), REMEMBERED);
        for number in [11, 12, last] {
            assert!(issued.was_given(number, message(number)), "{number}");
            assert!(!issued.was_given(number, message(number + 1)), "{number}");
        }
        for number in [0, 1, 10, last + 1, u64::MAX] {
            assert!(!issued.was_given(number, message(number)), "{number}");
        }
    }

    #[test]
    fn a_message_is_its_kind_topic_and_payload() {
        let one = hash_of(Kind::Message, "a", b"x");
        for other in [
            hash_of(Kind::Retained, "a", b"x"),
            hash_of(Kind::Message, "b", b"x"),
            hash_of(Kind::Message, "a", b"y"),
            hash_of(Kind::Message, "ax", b""),
        ] {
            assert_ne!(one, other);
        }
    }
}
