//! One application message, and the shared, counted form in which it is kept for later.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Publish, PublishProperties};

use super::topics;
use super::wire::MAX_PACKET_BYTES;

/// An application message, independent of the protocol level.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: String,
    /// The application payload, opaque.
    pub payload: Bytes,
    /// The QoS of the publication; a subscriber gets it at most at the QoS of its subscription.
    pub qos: QoS,
    /// Whether the broker keeps the message for later subscribers; with an empty payload it deletes the one kept.
    pub retain: bool,
    /// The MQTT 5 properties. Topic alias and subscription identifiers belong to single connections and are not looked at.
    pub properties: PublishProperties,
}

impl Message {
    /// A message at QoS 0, not retained, without properties.
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: PublishProperties::default(),
        }
    }

    /// Whether a client could have published this.
    pub(super) fn check(&self) -> Result<(), MessageError> {
        if !topics::is_valid_topic(&self.topic) {
            return Err(MessageError::Topic);
        }
        let properties = &self.properties;
        let response_topic = properties.response_topic.as_deref().unwrap_or_default();
        if topics::has_wildcard(response_topic) {
            return Err(MessageError::ResponseTopic);
        }
        let mut lengths = properties
            .user_properties
            .iter()
            .flat_map(|(name, value)| [name.len(), value.len()])
            .chain([response_topic.len()])
            .chain(properties.content_type.as_ref().map(String::len))
            .chain(properties.correlation_data.as_ref().map(Bytes::len));
        if lengths.any(|length| length > usize::from(u16::MAX)) {
            return Err(MessageError::Property);
        }
        if self.publish().size() > MAX_PACKET_BYTES {
            return Err(MessageError::TooLarge);
        }
        Ok(())
    }

    /// The MQTT 5 PUBLISH of this message, without packet identifier.
    pub(super) fn publish(&self) -> Publish {
        Publish {
            dup: false,
            qos: self.qos,
            retain: self.retain,
            topic: Bytes::copy_from_slice(self.topic.as_bytes()),
            // Room for the identifier is reckoned with from the start.
            pkid: u16::MAX,
            payload: self.payload.clone(),
            properties: Some(PublishProperties {
                topic_alias: None,
                subscription_identifiers: Vec::new(),
                ..self.properties.clone()
            }),
        }
    }

    /// What keeping this message costs, octets: its text and an allowance for the structures around it.
    fn footprint(&self) -> usize {
        let pair = size_of::<(String, String)>();
        let properties = &self.properties;
        let user_properties = properties.user_properties.iter();
        user_properties
            .map(|(name, value)| [pair, name.len(), value.len()])
            .map(|parts| parts.into_iter().sum())
            .chain([size_of::<Stored>(), self.topic.len(), self.payload.len()])
            .chain(properties.response_topic.as_ref().map(String::len))
            .chain(properties.content_type.as_ref().map(String::len))
            .chain(properties.correlation_data.as_ref().map(Bytes::len))
            .fold(0, usize::saturating_add)
    }
}

impl fmt::Debug for Message {
    // Payloads do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// All messages kept for later take 64 MiB, or 4,096 are retained.
    #[error("the broker has no room for another message")]
    NoRoom,
    /// A string or the correlation data is longer than 65,535 octets.
    #[error("a property is longer than 65,535 octets")]
    Property,
    /// The response topic holds a wildcard.
    #[error("the response topic holds a wildcard")]
    ResponseTopic,
    /// Its PUBLISH would be larger than 1 MiB.
    #[error("the message is larger than 1 MiB")]
    TooLarge,
    /// The topic is empty, holds a wildcard or U+0000, or is longer than 4,096 octets or 128 levels.
    #[error("the topic is empty, too long, or holds a wildcard or U+0000")]
    Topic,
}

/// A message kept for later. However many hold it, it counts once towards its [`Budget`], until the last one lets go.
#[derive(Debug)]
pub(super) struct Stored {
    message: Message,
    expires: Option<Instant>,
    footprint: usize,
    budget: Budget,
}

impl Stored {
    pub(super) fn new(
        message: Message,
        now: Instant,
        budget: &Budget,
    ) -> Result<Arc<Self>, MessageError> {
        let footprint = message.footprint();
        if !budget.take(footprint) {
            return Err(MessageError::NoRoom);
        }
        let lifetime = message.properties.message_expiry_interval;
        Ok(Arc::new(Self {
            expires: lifetime
                .and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into()))),
            message,
            footprint,
            budget: budget.clone(),
        }))
    }

    pub(super) fn message(&self) -> &Message {
        &self.message
    }

    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// The message expiry interval that is left, seconds (MQTT 5, 3.3.2.3.3), or none if the message never expires.
    pub(super) fn seconds_left(&self, now: Instant) -> Option<u32> {
        let left = self.expires?.saturating_duration_since(now);
        // Rounded up, so that a message handed on at once keeps what its publisher wrote.
        let whole = left.as_secs();
        let seconds = whole.saturating_add(u64::from(left.subsec_nanos() > 0));
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.budget.give_back(self.footprint);
    }
}

/// The memory that all stored messages may take together, octets. Clones are the same budget.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_once_until_the_last_holder_lets_go() {
        let now = Instant::now();
        let budget = Budget::new(2000);
        let first = Stored::new(Message::new("t", vec![0; 1000]), now, &budget).unwrap();
        let also = Arc::clone(&first);
        let second = || Stored::new(Message::new("t", vec![0; 1000]), now, &budget);
        assert_eq!(second().unwrap_err(), MessageError::NoRoom);
        drop(first);
        assert_eq!(second().unwrap_err(), MessageError::NoRoom);
        drop(also);
        assert!(second().is_ok());
    }

    #[test]
    fn expiry_counts_down_and_is_whole_at_once() {
        let now = Instant::now();
        let mut message = Message::new("t", "x");
        message.properties.message_expiry_interval = Some(10);
        let stored = Stored::new(message, now, &Budget::new(10_000)).unwrap();
        let after = |millis| now + Duration::from_millis(millis);
        assert_eq!(stored.seconds_left(after(1)), Some(10));
        assert_eq!(stored.seconds_left(after(3000)), Some(7));
        assert!(!stored.is_expired(after(9999)));
        assert!(stored.is_expired(after(10_000)));
    }

    #[test]
    fn what_no_client_could_publish_is_named() {
        let with = |change: fn(&mut Message)| {
            let mut message = Message::new("t", "x");
            change(&mut message);
            message.check()
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(with(|m| m.topic = "a/#".into()), Err(MessageError::Topic));
        assert_eq!(
            with(|m| m.payload = vec![0; MAX_PACKET_BYTES].into()),
            Err(MessageError::TooLarge)
        );
        assert_eq!(
            with(|m| m.properties.user_properties = vec![("n".into(), "v".repeat(65_536))]),
            Err(MessageError::Property)
        );
        assert_eq!(
            with(|m| m.properties.response_topic = Some("a/+".into())),
            Err(MessageError::ResponseTopic)
        );
    }
}
