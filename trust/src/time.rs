//! Points in time as whole seconds, and arithmetic on them that cannot overflow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted (RFC 7519 section 2, `NumericDate`).
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The given number of seconds after the epoch.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// This moment, `seconds` later; the end of time at the most.
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// This moment, `seconds` earlier; 1970 at the least.
    pub const fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `earlier` to this moment; 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::UnixTime;

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let epoch = UnixTime::from_seconds(0);
        let end = UnixTime::from_seconds(u64::MAX);
        assert_eq!(epoch.minus(10), epoch);
        assert_eq!(end.plus(10), end);
        assert_eq!(epoch.since(end), 0);
        assert_eq!(end.since(epoch), u64::MAX);
    }
}
