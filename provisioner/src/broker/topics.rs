//! Topic names and filters: MQTT 5 and 3.1.1, section 4.7.

/// Whether `topic` can be published to: 1 to [`MAX_TOPIC_BYTES`] octets, at most [`MAX_LEVELS`] levels, no wildcard, no U+0000.
pub(super) fn is_valid_topic(topic: &str) -> bool {
    is_within_limits(topic) && !has_wildcard(topic)
}

/// Whether `filter` can be subscribed to: a wildcard fills its level, `#` only at the end.
pub(super) fn is_valid_filter(filter: &str) -> bool {
    let before_last = filter.rsplit_once('/').map_or("", |(before, _)| before);
    is_within_limits(filter)
        && !before_last.contains('#')
        && filter
            .split('/')
            .all(|level| level.len() == 1 || !has_wildcard(level))
}

pub(super) fn has_wildcard(text: &str) -> bool {
    text.contains(['+', '#'])
}

/// Whether a valid `filter` selects a valid `topic`. Octet for octet: no case folding, no Unicode normalization.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    // 4.7.2: a filter that begins with a wildcard does not select $SYS and its like.
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        // "sport/#" selects "sport" too, so it is looked at before the topic's next level.
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

fn is_within_limits(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TOPIC_BYTES
        && !text.contains('\0')
        && text.split('/').nth(MAX_LEVELS).is_none()
}

/// Length of a topic or filter, octets.
pub(super) const MAX_TOPIC_BYTES: usize = 4096;
/// Levels of a topic or filter. With the length it bounds the work of one comparison.
const MAX_LEVELS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_select_as_section_4_7_says() {
        for (filter, topic, expected) in [
            ("sport/tennis", "sport/tennis", true),
            ("sport/tennis", "sport/Tennis", false),
            ("sport/tennis", "sport/tennis/", false),
            ("/finance", "/finance", true),
            ("finance", "/finance", false),
            ("+/finance", "/finance", true),
            ("+", "/finance", false),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("sport/+/player1", "sport/tennis/player1", true),
            ("sport/+/player1", "sport/a/b/player1", false),
            ("sport/#", "sport", true),
            ("sport/#", "sport/tennis/player1", true),
            ("sport/#", "sports", false),
            ("#", "sport/tennis", true),
            ("#", "/", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("$SYS/+", "$SYS/uptime", true),
            ("+/$x", "a/$x", true),
            ("a/b", "a", false),
            ("grüße/+", "grüße/ä", true),
        ] {
            assert!(
                is_valid_filter(filter) && is_valid_topic(topic),
                "{filter} {topic}"
            );
            assert_eq!(
                matches(filter, topic),
                expected,
                "{filter} selects {topic}?"
            );
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        for topic in ["", "a/+", "#", "a#", "nul\0"] {
            assert!(!is_valid_topic(topic), "{topic:?}");
        }
        for filter in [
            "", "a/#/b", "#/b", "a#", "a/b#", "a+", "+a/b", "a/++", "##", "nul\0",
        ] {
            assert!(!is_valid_filter(filter), "{filter:?}");
        }
        assert!(is_valid_filter("+"));
        assert!(is_valid_filter("a/+/#"));
    }

    #[test]
    fn length_and_depth_are_bounded() {
        assert!(is_valid_topic(&"x".repeat(MAX_TOPIC_BYTES)));
        assert!(!is_valid_topic(&"x".repeat(MAX_TOPIC_BYTES + 1)));
        assert!(is_valid_filter(&vec!["+"; MAX_LEVELS].join("/")));
        assert!(!is_valid_filter(&vec!["+"; MAX_LEVELS + 1].join("/")));
    }
}
