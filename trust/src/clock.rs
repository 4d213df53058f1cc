//! What a clock reading is worth (many devices have no battery clock).

use crate::time::UnixTime;

/// State of this device's clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClockState {
    /// Earlier than the floor: it is wrong. Nothing is signed or accepted.
    BehindFloor,
    /// The kernel says that it follows a time source.
    Synchronized,
    /// Not behind the floor, but nobody vouches for it.
    Unsynchronized,
}

impl ClockState {
    /// The state as a word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BehindFloor => "behind-floor",
            Self::Synchronized => "synchronized",
            Self::Unsynchronized => "unsynchronized",
        }
    }
}

/// What an edge read: the wall clock and the kernel's flag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockReading {
    /// The wall clock; 1970 where it shows less.
    pub time: UnixTime,
    /// The kernel's synchronisation flag.
    pub synchronized: bool,
}

/// What bounds the clock from below.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Floor {
    /// When this program was released.
    pub release: UnixTime,
    /// `iat` of the manifest in force, not of the newest ever seen: a later manifest with an
    /// earlier `iat` lowers it.
    pub manifest: Option<UnixTime>,
    /// The time this device noted last, hourly at most. It binds an unsynchronized clock only.
    pub noted: Option<UnixTime>,
}

/// Now, with what it is worth: the one form in which time reaches a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// The wall clock.
    pub time: UnixTime,
    /// What it is worth.
    pub clock: ClockState,
    /// A token that expired before this is expired whatever the clock says.
    pub floor: UnixTime,
}

impl Floor {
    /// Judges a reading. One lie about time never bricks a device: a synchronized clock below the
    /// noted time is believed (see [`Floor::contradicted_by`]).
    pub fn judge(&self, reading: ClockReading) -> Now {
        let hard = self.release.max(self.manifest.unwrap_or_default());
        let floor = match self.noted {
            Some(noted) if !reading.synchronized => hard.max(noted),
            _ => hard,
        };
        let clock = if reading.time < floor {
            ClockState::BehindFloor
        } else if reading.synchronized {
            ClockState::Synchronized
        } else {
            ClockState::Unsynchronized
        };
        Now {
            time: reading.time,
            clock,
            floor: hard,
        }
    }

    /// Whether a synchronized clock shows less than the noted time: that time was a lie, is to be
    /// rewritten, and the fact reported.
    pub fn contradicted_by(&self, reading: ClockReading) -> bool {
        reading.synchronized && self.noted.is_some_and(|noted| reading.time < noted)
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockReading, ClockState, Floor};
    use crate::time::UnixTime;

    const fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn every_state_is_reached_where_the_design_says() {
        let floor = Floor {
            release: at(1000),
            manifest: Some(at(2000)),
            noted: Some(at(3000)),
        };
        let judge = |time, synchronized| {
            let reading = ClockReading {
                time: at(time),
                synchronized,
            };
            floor.judge(reading).clock
        };
        for (time, synchronized, state) in [
            (0, false, ClockState::BehindFloor),
            (0, true, ClockState::BehindFloor),
            (1999, true, ClockState::BehindFloor),
            (2000, true, ClockState::Synchronized),
            (2000, false, ClockState::BehindFloor),
            (2999, false, ClockState::BehindFloor),
            (3000, false, ClockState::Unsynchronized),
            (u64::MAX, false, ClockState::Unsynchronized),
        ] {
            assert_eq!(judge(time, synchronized), state, "{time} {synchronized}");
        }
        let contradicted = |time, synchronized| {
            floor.contradicted_by(ClockReading {
                time: at(time),
                synchronized,
            })
        };
        assert!(contradicted(2500, true));
        assert!(!contradicted(2500, false));
        assert!(!contradicted(3000, true));
    }

    #[test]
    fn a_manifest_with_an_earlier_issue_time_lowers_the_floor() {
        let reading = ClockReading {
            time: at(1500),
            synchronized: true,
        };
        let mut floor = Floor {
            release: at(1000),
            manifest: Some(at(4_000_000_000)),
            noted: None,
        };
        assert_eq!(floor.judge(reading).clock, ClockState::BehindFloor);
        floor.manifest = Some(at(1400));
        assert_eq!(floor.judge(reading).clock, ClockState::Synchronized);
    }
}
