//! Topic names and topic filters (MQTT 5.0 section 4.7), compared octet for octet.

use crate::id::DeviceId;
use crate::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Why octets are no topic name or filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTopic {
    /// `{device}` stands for a whole level; braces have no other use in a filter.
    #[error("braces in a filter: only {{device}} as a whole level")]
    Braces,
    /// A topic has at least one octet.
    #[error("empty")]
    Empty,
    /// MQTT 5.0 section 1.5.4 forbids U+0000.
    #[error("contains U+0000")]
    Null,
    /// Below the agents' own level.
    #[error("edgeseal/ belongs to the agents")]
    Reserved,
    /// More octets than [`limits::TOPIC_OCTETS`].
    #[error("longer than {} octets", limits::TOPIC_OCTETS)]
    TooLong,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// `+` or `#` in a topic name, or not as a whole level (`#`: the last) in a filter.
    #[error("wildcard where none may stand")]
    Wildcard,
}

/// A topic name as published: one level or more, no wildcard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Topic<'a>(&'a str);

impl<'a> Topic<'a> {
    /// Judges octets as a topic name.
    ///
    /// # Errors
    /// [`InvalidTopic`], naming what is wrong.
    pub fn parse(octets: &'a [u8]) -> Result<Self, InvalidTopic> {
        let text = plain_text(octets)?;
        if text.bytes().any(|b| matches!(b, b'+' | b'#')) {
            return Err(InvalidTopic::Wildcard);
        }
        Ok(Self(text))
    }

    /// The topic name as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether the topic is the agents' own (`edgeseal` or below): no grant and no caller's list
    /// matches it.
    pub fn is_reserved(self) -> bool {
        self.0
            .strip_prefix(RESERVED)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A topic filter of a grant or of a caller's list; `{device}` stands for one whole level.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TopicFilter(Box<str>);

impl TopicFilter {
    /// Judges text as a topic filter.
    ///
    /// # Errors
    /// [`InvalidTopic`]: also for a filter below `edgeseal/`, which could never match.
    pub fn parse(text: &str) -> Result<Self, InvalidTopic> {
        let text = plain_text(text.as_bytes())?;
        let mut levels = text.split('/').peekable();
        if levels.peek() == Some(&RESERVED) {
            return Err(InvalidTopic::Reserved);
        }
        while let Some(level) = levels.next() {
            let last = levels.peek().is_none();
            match level {
                "+" | DEVICE => {}
                "#" if last => {}
                _ if level.contains(['+', '#']) => return Err(InvalidTopic::Wildcard),
                _ if level.contains(['{', '}']) => return Err(InvalidTopic::Braces),
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// The filter as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic`, published by `device`, matches this filter. `{device}` is compared
    /// literally with the device's id; without a device it matches nothing. A filter that begins
    /// with a wildcard does not match a topic that begins with `$` (MQTT 5.0 section 4.7.2).
    pub fn matches(&self, topic: Topic<'_>, device: Option<&DeviceId>) -> bool {
        if topic.is_reserved() || (topic.0.starts_with('$') && self.0.starts_with(['+', '#'])) {
            return false;
        }
        let mut present = levels(topic.0);
        for wanted in levels(&self.0) {
            if wanted == b"#" {
                return true; // "a/#" matches "a" as well: its levels ended, and "#" is next
            }
            let Some(level) = present.next() else {
                return false;
            };
            let same = match wanted {
                b"+" => true,
                _ if wanted == DEVICE.as_bytes() => {
                    device.is_some_and(|id| id.as_str().as_bytes() == level)
                }
                _ => wanted == level,
            };
            if !same {
                return false;
            }
        }
        present.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TopicFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TopicFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn levels(topic: &str) -> impl Iterator<Item = &[u8]> {
    topic.as_bytes().split(|octet| *octet == b'/')
}

fn plain_text(octets: &[u8]) -> Result<&str, InvalidTopic> {
    if octets.is_empty() {
        return Err(InvalidTopic::Empty);
    }
    if octets.len() > limits::TOPIC_OCTETS {
        return Err(InvalidTopic::TooLong);
    }
    if octets.contains(&0) {
        return Err(InvalidTopic::Null);
    }
    std::str::from_utf8(octets).map_err(|_| InvalidTopic::Utf8)
}

const RESERVED: &str = "edgeseal";
const DEVICE: &str = "{device}";

#[cfg(test)]
mod tests {
    use super::{InvalidTopic, Topic, TopicFilter};
    use crate::id::DeviceId;

    fn matches(filter: &str, topic: &str) -> bool {
        let device = DeviceId::parse("pump-1").unwrap();
        let topic = Topic::parse(topic.as_bytes()).unwrap();
        TopicFilter::parse(filter)
            .unwrap()
            .matches(topic, Some(&device))
    }

    #[test]
    fn filters_match_as_the_specification_says() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("a/+", "a/b"),
            ("a/+", "a/"),
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("#", "a/b"),
            ("+/+", "/a"),
            ("/+", "/a"),
            ("site/{device}/temp", "site/pump-1/temp"),
            ("$SYS/#", "$SYS/x"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("a/b", "a/b/c"),
            ("a/b", "a/B"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("+", "/a"),
            ("site/{device}/temp", "site/pump-2/temp"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
            ("#", "edgeseal/farm/manifest"),
            ("+/farm/manifest", "edgeseal/farm/manifest"),
            ("#", "edgeseal"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
        let filter = TopicFilter::parse("a/{device}").unwrap();
        assert!(!filter.matches(Topic::parse(b"a/{device}").unwrap(), None));
        let device = DeviceId::parse("pump-1").unwrap();
        assert!(!filter.matches(Topic::parse(b"a/{device}").unwrap(), Some(&device)));
    }

    #[test]
    fn bad_names_and_filters_are_refused_by_reason() {
        let long = "a".repeat(1025);
        for (octets, why) in [
            (&b""[..], InvalidTopic::Empty),
            (b"a/+", InvalidTopic::Wildcard),
            (b"a#", InvalidTopic::Wildcard),
            (b"a\0", InvalidTopic::Null),
            (b"a\xff", InvalidTopic::Utf8),
            (long.as_bytes(), InvalidTopic::TooLong),
        ] {
            assert_eq!(Topic::parse(octets), Err(why));
        }
        for (text, why) in [
            ("", InvalidTopic::Empty),
            ("a/#/b", InvalidTopic::Wildcard),
            ("a+", InvalidTopic::Wildcard),
            ("a/{device}x", InvalidTopic::Braces),
            ("{Device}", InvalidTopic::Braces),
            ("edgeseal/#", InvalidTopic::Reserved),
            ("edgeseal", InvalidTopic::Reserved),
        ] {
            assert_eq!(TopicFilter::parse(text), Err(why), "{text}");
        }
    }
}
