//! The topic aliases that a program sets (MQTT 5, 3.3.2.3.4). They end here: upstream gets full names.

use std::borrow::Cow;
use std::num::NonZeroU16;

/// What stands for what, by alias from 1.
#[derive(Debug, Default)]
pub(super) struct TopicAliases {
    topics: Vec<Box<str>>,
}

impl TopicAliases {
    /// The topic of a PUBLISH, and the alias is set where both are there. Nothing for an alias that is
    /// 0, above [`TopicAliases::MAX`] or not set.
    pub(super) fn resolve<'a>(
        &mut self,
        topic: &'a str,
        alias: Option<NonZeroU16>,
    ) -> Option<Cow<'a, str>> {
        let Some(alias) = alias else {
            return (!topic.is_empty()).then_some(Cow::Borrowed(topic));
        };
        if alias.get() > Self::MAX {
            return None;
        }
        let place = usize::from(alias.get().checked_sub(1)?);
        if topic.is_empty() {
            let known = self.topics.get(place)?;
            return (!known.is_empty()).then(|| Cow::Owned(known.to_string()));
        }
        if self.topics.len() <= place {
            self.topics.resize(place.saturating_add(1), Box::default());
        }
        *self.topics.get_mut(place)? = topic.into();
        Some(Cow::Borrowed(topic))
    }

    /// Nothing stands for anything any more: who uses an alias has to set it anew.
    pub(super) fn forget(&mut self) {
        self.topics.clear();
    }

    /// The Topic Alias Maximum that programs are told.
    pub(super) const MAX: u16 = 16;
}

#[cfg(test)]
mod tests {
    use super::TopicAliases;
    use std::num::NonZeroU16;

    fn alias(number: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(number)
    }

    #[test]
    fn an_alias_stands_for_the_newest_topic_that_was_set() {
        let mut aliases = TopicAliases::default();
        assert!(aliases.resolve("", alias(1)).is_none());
        assert_eq!(aliases.resolve("a", alias(3)).as_deref(), Some("a"));
        assert_eq!(aliases.resolve("", alias(3)).as_deref(), Some("a"));
        assert!(aliases.resolve("", alias(2)).is_none());
        assert_eq!(aliases.resolve("b", alias(3)).as_deref(), Some("b"));
        assert_eq!(aliases.resolve("", alias(3)).as_deref(), Some("b"));
        assert_eq!(aliases.resolve("c", None).as_deref(), Some("c"));
        assert!(aliases.resolve("", None).is_none());
    }

    #[test]
    fn there_are_sixteen() {
        let mut aliases = TopicAliases::default();
        assert_eq!(aliases.resolve("a", alias(16)).as_deref(), Some("a"));
        assert!(aliases.resolve("a", alias(17)).is_none());
        assert!(aliases.resolve("a", alias(u16::MAX)).is_none());
    }
}
