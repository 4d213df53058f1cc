//! The topic aliases that a program sets (MQTT 5, 3.3.2.3.4). They end here: upstream gets full names.

/// What stands for what, by alias from 1.
#[derive(Debug, Default)]
pub(super) struct TopicAliases {
    topics: Vec<Box<str>>,
}

impl TopicAliases {
    /// The topic of a PUBLISH, and the alias is set where both are there. Nothing for an alias that is
    /// 0, above [`TopicAliases::MAX`] or not set.
    pub(super) fn resolve<'a>(
        &'a mut self,
        topic: &'a str,
        alias: Option<u16>,
    ) -> Option<&'a str> {
        let Some(alias) = alias else {
            return (!topic.is_empty()).then_some(topic);
        };
        if alias > Self::MAX {
            return None;
        }
        let place = usize::from(alias.checked_sub(1)?);
        if topic.is_empty() {
            let known = self.topics.get(place)?;
            return (!known.is_empty()).then_some(known);
        }
        if self.topics.len() <= place {
            self.topics.resize(place.saturating_add(1), Box::default());
        }
        *self.topics.get_mut(place)? = topic.into();
        Some(topic)
    }

    /// The Topic Alias Maximum that programs are told.
    pub(super) const MAX: u16 = 16;
}

#[cfg(test)]
mod tests {
    use super::TopicAliases;

    #[test]
    fn an_alias_stands_for_the_newest_topic_that_was_set() {
        let mut aliases = TopicAliases::default();
        assert_eq!(aliases.resolve("", Some(1)), None);
        assert_eq!(aliases.resolve("a", Some(3)), Some("a"));
        assert_eq!(aliases.resolve("", Some(3)), Some("a"));
        assert_eq!(aliases.resolve("", Some(2)), None);
        assert_eq!(aliases.resolve("b", Some(3)), Some("b"));
        assert_eq!(aliases.resolve("", Some(3)), Some("b"));
        assert_eq!(aliases.resolve("c", None), Some("c"));
        assert_eq!(aliases.resolve("", None), None);
    }

    #[test]
    fn there_are_sixteen() {
        let mut aliases = TopicAliases::default();
        assert_eq!(aliases.resolve("a", Some(0)), None);
        assert_eq!(aliases.resolve("a", Some(16)), Some("a"));
        assert_eq!(aliases.resolve("a", Some(17)), None);
        assert_eq!(aliases.resolve("a", Some(u16::MAX)), None);
    }
}
