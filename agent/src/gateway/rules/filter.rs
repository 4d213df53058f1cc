//! Topic filters compared with each other (MQTT 5.0 section 4.7): does one match all that another can
//! match, and is there a topic that both match?
//!
//! Topics below `edgeseal/` do not count: they are the agents' own, no list matches them, and the
//! gateway delivers none of them.

/// A filter as a program subscribes with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subscription<'a> {
    /// The group of a shared subscription (MQTT 5.0 section 4.8.2).
    pub group: Option<&'a str>,
    /// What it matches, without `$share/group/`.
    pub filter: &'a str,
}

/// Why a text is no filter to subscribe with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSubscription {
    /// A filter has at least one octet.
    #[error("empty")]
    Empty,
    /// MQTT 5.0 section 4.8.2: `$share/`, a name without `/`, `+` and `#`, `/`, and a filter.
    #[error("a shared subscription is $share/GROUP/FILTER")]
    Group,
    /// MQTT 5.0 section 1.5.4 forbids U+0000.
    #[error("contains U+0000")]
    Null,
    /// `+` or `#` not as a whole level, or `#` not as the last.
    #[error("wildcard where none may stand")]
    Wildcard,
}

impl<'a> Subscription<'a> {
    /// Judges a filter as a SUBSCRIBE or UNSUBSCRIBE packet carries it. Braces mean nothing in it.
    ///
    /// # Errors
    /// [`InvalidSubscription`], naming what is wrong.
    pub fn parse(text: &'a str) -> Result<Self, InvalidSubscription> {
        let (group, filter) = match text.strip_prefix(SHARE) {
            None => (None, text),
            Some(rest) => {
                let (group, filter) = rest.split_once('/').ok_or(InvalidSubscription::Group)?;
                if group.is_empty() || filter.is_empty() || group.contains(['+', '#']) {
                    return Err(InvalidSubscription::Group);
                }
                (Some(group), filter)
            }
        };
        if filter.is_empty() {
            return Err(InvalidSubscription::Empty);
        }
        if text.contains('\0') {
            return Err(InvalidSubscription::Null);
        }
        let mut levels = filter.split('/').peekable();
        while let Some(level) = levels.next() {
            let whole = level == "+" || (level == "#" && levels.peek().is_none());
            if !whole && level.contains(['+', '#']) {
                return Err(InvalidSubscription::Wildcard);
            }
        }
        Ok(Self { group, filter })
    }

    /// Whether it can match nothing but topics of the agents.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.filter.split('/').next() == Some(RESERVED)
    }
}

/// Whether `wide` matches every topic that `narrow` can match. Both are valid filters without
/// `$share/group/`.
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    if !reaches_first_level(wide, narrow) {
        return false;
    }
    let mut narrow = spelled_out(narrow).split('/');
    for wanted in spelled_out(wide).split('/') {
        if wanted == "#" {
            return true; // what lies before was the same, and "a/#" matches "a" as well
        }
        let same = match narrow.next() {
            None | Some("#") => false,
            Some(level) => wanted == "+" || wanted == level,
        };
        if !same {
            return false;
        }
    }
    narrow.next().is_none()
}

/// Whether there is a topic that both match. Both are valid filters without `$share/group/`.
#[must_use]
pub fn overlaps(one: &str, other: &str) -> bool {
    if !reaches_first_level(one, other) || !reaches_first_level(other, one) {
        return false;
    }
    let (mut one, mut other) = (spelled_out(one).split('/'), spelled_out(other).split('/'));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some("#"), _) | (_, Some("#")) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(level), Some(another)) if level == another => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

/// The filter with the level that every topic has below the beginning of these: no topic is empty.
fn spelled_out(filter: &str) -> &str {
    match filter {
        "#" => "+/#",
        "/#" => "/+/#",
        other => other,
    }
}

/// A wildcard at the first level does not match topics that begin with `$` (MQTT 5.0 section
/// 4.7.2).
fn reaches_first_level(wide: &str, narrow: &str) -> bool {
    !(wide.starts_with(['+', '#']) && narrow.starts_with('$'))
}

const SHARE: &str = "$share/";
const RESERVED: &str = "edgeseal";
