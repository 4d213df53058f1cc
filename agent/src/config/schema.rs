//! The table of keys: name, rule, and how the value is written back. `config check`, `config show`,
//! drop-ins and the environment all go through it, so none of them can know a key that the others
//! do not.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::{Config, LogFormat, LogLevel, SocketGroup, Unsynchronized};

/// One key of a section.
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    pub(super) show: fn(&Config) -> String,
}

/// What a value must be, and where it goes.
pub(super) enum Rule {
    Choice {
        allowed: &'static [&'static str],
        set: fn(&mut Config, &str),
    },
    Count {
        range: RangeInclusive<u64>,
        set: fn(&mut Config, u64),
    },
    Flag {
        set: fn(&mut Config, bool),
    },
    /// Permission bits as octal text.
    Mode {
        set: fn(&mut Config, u32),
    },
    /// Name of a group.
    Name {
        set: fn(&mut Config, &str),
    },
    /// Absolute path.
    Path {
        set: fn(&mut Config, PathBuf),
    },
}

impl Key {
    pub(super) fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// The key of this name in this section.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
}

/// Another section that has a key of this name.
pub(super) fn section_of(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .find(|key| key.name == name)
        .map(|key| key.section)
}

/// Names of the keys of one section, those of its entries included.
pub(super) fn names_in(section: &str) -> impl Iterator<Item = &'static str> {
    let entries: &[&str] = match section {
        "api" => &["caller"],
        "gateway" => &["upstream", "listener"],
        _ => &[],
    };
    let section = section.to_owned();
    KEYS.iter()
        .filter(move |key| key.section == section)
        .map(|key| key.name)
        .chain(entries.iter().copied())
}

/// Every section, in the order of the documentation.
pub(super) const SECTIONS: &[&str] = &[
    "agent", "api", "clock", "trust", "token", "peers", "replay", "enroll", "log", "gateway",
];

/// The one array of tables that is in no section.
pub(super) const RULES: &str = "rule";

/// Every key but those of entries, in the order of the documentation.
pub(super) static KEYS: &[Key] = &[
    Key {
        section: "agent",
        name: "state_directory",
        rule: Rule::Path {
            set: |config, path| config.agent.state_directory = path,
        },
        show: |config| quoted_path(&config.agent.state_directory),
    },
    Key {
        section: "agent",
        name: "runtime_directory",
        rule: Rule::Path {
            set: |config, path| config.agent.runtime_directory = path,
        },
        show: |config| quoted_path(&config.agent.runtime_directory),
    },
    Key {
        section: "agent",
        name: "dangerous_volatile_state",
        rule: Rule::Flag {
            set: |config, flag| config.agent.dangerous_volatile_state = flag,
        },
        show: |config| config.agent.dangerous_volatile_state.to_string(),
    },
    Key {
        section: "api",
        name: "socket",
        rule: Rule::Path {
            set: |config, path| config.api.socket = Some(path),
        },
        show: |config| quoted_path(&config.api_socket()),
    },
    Key {
        section: "api",
        name: "socket_mode",
        rule: Rule::Mode {
            set: |config, mode| config.api.socket_mode = mode,
        },
        show: |config| mode_text(config.api.socket_mode),
    },
    Key {
        section: "api",
        name: "socket_group",
        rule: Rule::Name {
            set: |config, name| {
                config.api.socket_group = Some(SocketGroup {
                    name: name.to_owned(),
                    gid: None,
                })
            },
        },
        show: |config| {
            config
                .api
                .socket_group
                .as_ref()
                .map_or_else(|| "(none)".to_owned(), |group| format!("{:?}", group.name))
        },
    },
    Key {
        section: "api",
        name: "max_connections",
        rule: Rule::Count {
            range: 1..=1024,
            set: |config, count| config.api.max_connections = small(count),
        },
        show: |config| config.api.max_connections.to_string(),
    },
    Key {
        section: "api",
        name: "max_body_bytes",
        rule: Rule::Count {
            range: 4096..=16_777_216,
            set: |config, count| config.api.max_body_bytes = small(count),
        },
        show: |config| config.api.max_body_bytes.to_string(),
    },
    Key {
        section: "api",
        name: "max_header_bytes",
        rule: Rule::Count {
            range: 8192..=65_536,
            set: |config, count| config.api.max_header_bytes = small(count),
        },
        show: |config| config.api.max_header_bytes.to_string(),
    },
    Key {
        section: "api",
        name: "request_timeout_seconds",
        rule: Rule::Count {
            range: 1..=300,
            set: |config, count| config.api.request_timeout_seconds = small(count),
        },
        show: |config| config.api.request_timeout_seconds.to_string(),
    },
    Key {
        section: "clock",
        name: "leeway_seconds",
        rule: Rule::Count {
            range: 0..=60,
            set: |config, count| config.clock.leeway_seconds = count,
        },
        show: |config| config.clock.leeway_seconds.to_string(),
    },
    Key {
        section: "clock",
        name: "unsynchronized",
        rule: Rule::Choice {
            allowed: &["allow", "refuse"],
            set: |config, word| choose(&UNSYNCHRONIZED, word, &mut config.clock.unsynchronized),
        },
        show: |config| chosen(&UNSYNCHRONIZED, config.clock.unsynchronized),
    },
    Key {
        section: "trust",
        name: "grace_seconds",
        rule: Rule::Count {
            range: 0..=31_536_000,
            set: |config, count| config.trust.grace_seconds = count,
        },
        show: |config| config.trust.grace_seconds.to_string(),
    },
    Key {
        section: "trust",
        name: "link",
        rule: Rule::Flag {
            set: |config, flag| config.trust.link = flag,
        },
        show: |config| config.trust.link.to_string(),
    },
    Key {
        section: "trust",
        name: "upstream",
        rule: Rule::Name {
            set: |config, name| config.trust.upstream = Some(name.to_owned()),
        },
        show: |config| {
            let upstream = config.trust_upstream();
            upstream.map_or_else(|| "(none)".to_owned(), |one| format!("{:?}", one.name))
        },
    },
    Key {
        section: "trust",
        name: "status_seconds",
        rule: Rule::Count {
            range: 60..=86_400,
            set: |config, count| config.trust.status_seconds = small(count),
        },
        show: |config| config.trust.status_seconds.to_string(),
    },
    Key {
        section: "token",
        name: "lifetime_seconds",
        rule: Rule::Count {
            range: 1..=300,
            set: |config, count| config.token.lifetime_seconds = count,
        },
        show: |config| config.token.lifetime_seconds.to_string(),
    },
    Key {
        section: "peers",
        name: "cached_keys",
        rule: Rule::Count {
            range: 16..=65_536,
            set: |config, count| config.peers.cached_keys = small(count),
        },
        show: |config| config.peers.cached_keys.to_string(),
    },
    Key {
        section: "replay",
        name: "max_windows",
        rule: Rule::Count {
            range: 64..=262_144,
            set: |config, count| config.replay.max_windows = small(count),
        },
        show: |config| config.replay.max_windows.to_string(),
    },
    Key {
        section: "replay",
        name: "max_consumers",
        rule: Rule::Count {
            range: 1..=4096,
            set: |config, count| config.replay.max_consumers = small(count),
        },
        show: |config| config.replay.max_consumers.to_string(),
    },
    Key {
        section: "enroll",
        name: "join_file",
        rule: Rule::Path {
            set: |config, path| config.enroll.join_file = path,
        },
        show: |config| quoted_path(&config.enroll.join_file),
    },
    Key {
        section: "enroll",
        name: "card_directory",
        rule: Rule::Path {
            set: |config, path| config.enroll.card_directory = path,
        },
        show: |config| quoted_path(&config.enroll.card_directory),
    },
    Key {
        section: "enroll",
        name: "rotate_after_days",
        rule: Rule::Count {
            range: 0..=3650,
            set: |config, count| config.enroll.rotate_after_days = count,
        },
        show: |config| config.enroll.rotate_after_days.to_string(),
    },
    Key {
        section: "enroll",
        name: "rotate_delay_seconds",
        rule: Rule::Count {
            range: 0..=604_800,
            set: |config, count| config.enroll.rotate_delay_seconds = count,
        },
        show: |config| config.enroll.rotate_delay_seconds.to_string(),
    },
    Key {
        section: "log",
        name: "format",
        rule: Rule::Choice {
            allowed: &["auto", "journald", "text"],
            set: |config, word| choose(&LOG_FORMATS, word, &mut config.log.format),
        },
        show: |config| chosen(&LOG_FORMATS, config.log.format),
    },
    Key {
        section: "log",
        name: "level",
        rule: Rule::Choice {
            allowed: &["error", "warn", "info", "debug", "trace"],
            set: |config, word| choose(&LOG_LEVELS, word, &mut config.log.level),
        },
        show: |config| chosen(&LOG_LEVELS, config.log.level),
    },
    Key {
        section: "gateway",
        name: "max_buffered_bytes",
        rule: Rule::Count {
            range: 1_048_576..=1_073_741_824,
            set: |config, count| config.gateway.max_buffered_bytes = small(count),
        },
        show: |config| config.gateway.max_buffered_bytes.to_string(),
    },
    Key {
        section: "gateway",
        name: "max_message_bytes",
        rule: Rule::Count {
            range: 1024..=268_435_455,
            set: |config, count| config.gateway.max_message_bytes = small(count),
        },
        show: |config| config.gateway.max_message_bytes.to_string(),
    },
];

const UNSYNCHRONIZED: [(&str, Unsynchronized); 2] = [
    ("allow", Unsynchronized::Allow),
    ("refuse", Unsynchronized::Refuse),
];

const LOG_FORMATS: [(&str, LogFormat); 3] = [
    ("auto", LogFormat::Auto),
    ("journald", LogFormat::Journald),
    ("text", LogFormat::Text),
];

const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

fn choose<T: Copy>(words: &[(&str, T)], word: &str, target: &mut T) {
    if let Some((_, value)) = words.iter().find(|(known, _)| *known == word) {
        *target = *value;
    }
}

fn chosen<T: PartialEq>(words: &[(&str, T)], value: T) -> String {
    words
        .iter()
        .find(|(_, known)| *known == value)
        .map_or_else(String::new, |(word, _)| format!("\"{word}\""))
}

/// Permission bits as one writes them.
pub(super) fn mode_text(mode: u32) -> String {
    format!("\"{mode:04o}\"")
}

fn quoted_path(path: &std::path::Path) -> String {
    format!("{path:?}")
}

/// Every range of a 32-bit key ends below 2^32.
fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_set_and_shown() {
        for key in KEYS {
            let Rule::Choice { allowed, set } = &key.rule else {
                continue;
            };
            for word in *allowed {
                let mut config = Config::default();
                set(&mut config, word);
                assert_eq!(
                    (key.show)(&config),
                    format!("\"{word}\""),
                    "{}",
                    key.dotted()
                );
            }
        }
    }

    #[test]
    fn every_limit_is_set_and_shown() {
        for key in KEYS {
            let Rule::Count { range, set } = &key.rule else {
                continue;
            };
            for count in [*range.start(), *range.end()] {
                let mut config = Config::default();
                set(&mut config, count);
                assert_eq!((key.show)(&config), count.to_string(), "{}", key.dotted());
            }
            let default: u64 = (key.show)(&Config::default()).parse().unwrap();
            assert!(range.contains(&default), "{}", key.dotted());
        }
    }

    #[test]
    fn sections_and_keys_agree() {
        for key in KEYS {
            assert!(SECTIONS.contains(&key.section), "{}", key.dotted());
            assert_eq!(
                KEYS.iter()
                    .filter(|other| other.dotted() == key.dotted())
                    .count(),
                1,
                "{}",
                key.dotted()
            );
        }
        for section in SECTIONS {
            assert!(names_in(section).count() > 0, "{section}");
        }
    }
}
