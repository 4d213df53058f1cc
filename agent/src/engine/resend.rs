//! Which messages got which id in this epoch, so that a message that is signed anew keeps its id
//! and no other message ever gets it.

use edgeseal_trust::id::Audience;
use edgeseal_trust::token::{Kind, PayloadHash, Properties};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// The newest ids of one stream. Counters are consecutive, so only the messages are kept.
#[derive(Debug, Default)]
pub(super) struct Issued {
    messages: VecDeque<MessageHash>,
    newest: u64,
}

/// What makes a message the same one. Not its times: it is signed later, and may by then have been
/// captured earlier.
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    pub(super) topic: &'a str,
    pub(super) payload: PayloadHash,
    pub(super) audience: &'a Audience,
    pub(super) properties: Properties<'a>,
    pub(super) vouched: bool,
}

/// All of a [`Message`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MessageHash([u8; 32]);

impl Message<'_> {
    pub(super) fn hash(&self) -> MessageHash {
        let mut hash = Sha256::new();
        let (kind, name) = self.audience.parts();
        for text in [self.kind.typ(), self.topic, kind, name] {
            hash.update(text); // which contains no U+0000
            hash.update([0]);
        }
        hash.update(self.payload.octets());
        hash.update([u8::from(self.vouched)]);
        if self.properties != Properties::default() {
            let hashes = self.properties.hashes();
            for property in [
                hashes.response_topic,
                hashes.correlation_data,
                hashes.content_type,
                hashes.user,
            ] {
                hash.update([u8::from(property.is_some())]);
                hash.update(property.unwrap_or_default());
            }
        }
        MessageHash(hash.finalize().into())
    }
}

impl MessageHash {
    /// Of no message: for an id that is never given again.
    pub(super) const NONE: Self = Self([0; 32]);
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

    use super::{Issued, Message, MessageHash, REMEMBERED};
    use edgeseal_trust::id::Audience;
    use edgeseal_trust::token::{Kind, PayloadHash, Properties};

    fn hash_of(change: impl FnOnce(&mut Message<'static>)) -> MessageHash {
        hash_for("domain:farm", change)
    }

    fn hash_for(audience: &str, change: impl FnOnce(&mut Message<'static>)) -> MessageHash {
        let mut message = Message {
            kind: Kind::Message,
            topic: "a",
            payload: PayloadHash::of(b"x"),
            audience: Box::leak(Box::new(Audience::parse(audience).unwrap())),
            properties: Properties::default(),
            vouched: false,
        };
        change(&mut message);
        message.hash()
    }

    fn message(number: u64) -> MessageHash {
        hash_of(|message| message.payload = PayloadHash::of(&number.to_be_bytes()))
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
    fn a_message_is_all_that_it_says() {
        let mut all = vec![
            hash_of(|_| {}),
            hash_of(|message| message.kind = Kind::Retained),
            hash_of(|message| message.topic = "b"),
            hash_of(|message| message.topic = "ax"),
            hash_of(|message| message.payload = PayloadHash::EMPTY),
            hash_for("device:farm", |_| {}),
            hash_of(|message| message.vouched = true),
            hash_of(|message| message.properties.response_topic = Some("r")),
            hash_of(|message| message.properties.content_type = Some("r")),
            hash_of(|message| message.properties.correlation_data = Some(b"r")),
            hash_of(|message| message.properties.user = &[("r", "")]),
            hash_of(|message| message.properties.user = &[("r", "1")]),
            MessageHash::NONE,
        ];
        let count = all.len();
        all.sort_by_key(|hash| hash.0);
        all.dedup();
        assert_eq!(all.len(), count);
        let own = hash_of(|message| message.properties.user = &[("edgeseal", "token")]);
        let other = hash_of(|message| message.properties.user = &[("edgeseal", "other")]);
        assert_eq!(
            own, other,
            "the agents' own properties are not the application's"
        );
    }
}
