//! Retained messages: the last one of each topic, kept for later subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::message::Stored;
use super::topics;

/// Retained messages by topic, at most [`MAX_RETAINED`].
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: BTreeMap<String, Arc<Stored>>,
}

impl Retained {
    /// Whether a message on `topic` could be kept.
    pub(super) fn has_room_for(&self, topic: &str) -> bool {
        self.messages.len() < MAX_RETAINED || self.messages.contains_key(topic)
    }

    /// Keeps a message in place of the one before, if there is room.
    pub(super) fn keep(&mut self, stored: &Arc<Stored>) {
        let topic = &stored.message().topic;
        if self.has_room_for(topic) {
            self.messages.insert(topic.clone(), Arc::clone(stored));
        }
    }

    /// Deletes the message of a topic: what an empty payload with RETAIN asks for (MQTT 5, 3.3.1.3).
    pub(super) fn delete(&mut self, topic: &str) {
        self.messages.remove(topic);
    }

    /// The messages that a new subscription to `filter` gets, by topic.
    pub(super) fn matching<'a>(
        &'a self,
        filter: &'a str,
        now: Instant,
    ) -> impl Iterator<Item = &'a Arc<Stored>> {
        self.messages
            .iter()
            .filter(move |(topic, stored)| {
                topics::matches(filter, topic) && !stored.is_expired(now)
            })
            .map(|(_, stored)| stored)
    }

    /// Forgets what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        self.messages.retain(|_, stored| !stored.is_expired(now));
    }
}

/// Topics with a retained message.
const MAX_RETAINED: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use std::time::Duration;

    use super::super::message::{Budget, Message};
    use super::*;

    fn stored(topic: &str, payload: &'static str, expiry: Option<u32>) -> Arc<Stored> {
        let mut message = Message::new(topic, payload);
        message.properties.message_expiry_interval = expiry;
        Stored::new(message, Instant::now(), &Budget::new(100_000)).unwrap()
    }

    fn payloads(retained: &Retained, filter: &str, now: Instant) -> Vec<String> {
        let text = |stored: &Arc<Stored>| {
            String::from_utf8(stored.message().payload.to_vec()).expect("test payloads are text")
        };
        retained.matching(filter, now).map(text).collect()
    }

    #[test]
    fn the_last_message_of_a_topic_is_kept_until_it_is_deleted() {
        let now = Instant::now();
        let mut retained = Retained::default();
        retained.keep(&stored("a/1", "old", None));
        retained.keep(&stored("a/1", "new", None));
        retained.keep(&stored("a/2", "other", None));
        assert_eq!(payloads(&retained, "a/+", now), ["new", "other"]);
        retained.delete("a/1");
        assert_eq!(payloads(&retained, "a/+", now), ["other"]);
        assert!(payloads(&retained, "b/#", now).is_empty());
    }

    #[test]
    fn expired_messages_are_neither_shown_nor_kept() {
        let mut retained = Retained::default();
        retained.keep(&stored("a", "short", Some(5)));
        let later = Instant::now() + Duration::from_secs(6);
        assert_eq!(payloads(&retained, "a", Instant::now()), ["short"]);
        assert!(payloads(&retained, "a", later).is_empty());
        retained.expire(later);
        assert!(retained.messages.is_empty());
    }

    #[test]
    fn the_number_of_topics_is_bounded() {
        let mut retained = Retained::default();
        for topic in 0..=MAX_RETAINED {
            retained.keep(&stored(&topic.to_string(), "x", None));
        }
        assert_eq!(retained.messages.len(), MAX_RETAINED);
        assert!(!retained.has_room_for("another"));
        assert!(retained.has_room_for("7"));
    }
}
