//! Topic names and topic filters (section 4.7 of both versions, shared subscriptions in 5.0 section 4.8.2).

use super::Version;
use super::malformed::{Clause, Malformed};

/// A topic name has at least one octet and no wildcard; `wildcard` is the clause that says the latter of this field.
pub(super) fn expect_name(
    name: &str,
    wildcard: &Clause,
    version: Version,
) -> Result<(), Malformed> {
    if name.is_empty() {
        return Err(EMPTY.broken(version));
    }
    if name.contains(WILDCARDS) {
        return Err(wildcard.broken(version));
    }
    Ok(())
}

/// Wildcards stand alone in their level, `#` in the last one. In MQTT 5 `$share/` is followed by a name and a filter.
pub(super) fn expect_filter(filter: &str, version: Version) -> Result<(), Malformed> {
    let filter = match filter.strip_prefix(SHARE) {
        Some(shared) if version == Version::V5 => {
            let (name, filter) = shared
                .split_once('/')
                .ok_or_else(|| SHARE_WITHOUT_FILTER.broken(version))?;
            if name.is_empty() {
                return Err(SHARE_WITHOUT_NAME.broken(version));
            }
            if name.contains(WILDCARDS) || filter.is_empty() {
                return Err(SHARE_WITHOUT_FILTER.broken(version));
            }
            filter
        }
        _ => filter,
    };
    if filter.is_empty() {
        return Err(EMPTY.broken(version));
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        if level.contains('#') && !(last && level == "#") {
            return Err(MULTI_LEVEL.broken(version));
        }
        if level.contains('+') && level != "+" {
            return Err(SINGLE_LEVEL.broken(version));
        }
    }
    Ok(())
}

/// Whether `filter` is a shared subscription of MQTT 5.
pub(super) fn is_shared(filter: &str) -> bool {
    filter.starts_with(SHARE)
}

const SHARE: &str = "$share/";

const WILDCARDS: [char; 2] = ['+', '#'];

const EMPTY: Clause = Clause::malformed(
    "MQTT-4.7.3-1",
    "MQTT-4.7.3-1",
    "an empty topic name or filter",
);

const MULTI_LEVEL: Clause = Clause::malformed(
    "MQTT-4.7.1-2",
    "MQTT-4.7.1-1",
    "# is not alone in the last level of a filter",
);

const SINGLE_LEVEL: Clause = Clause::malformed(
    "MQTT-4.7.1-3",
    "MQTT-4.7.1-2",
    "+ is not alone in its level of a filter",
);

const SHARE_WITHOUT_NAME: Clause =
    Clause::malformed("", "MQTT-4.8.2-1", "$share without a share name");

const SHARE_WITHOUT_FILTER: Clause = Clause::malformed(
    "",
    "MQTT-4.8.2-2",
    "$share is not followed by a share name without wildcards and a filter",
);
