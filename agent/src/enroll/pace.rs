//! When something that may have been lost is done again. Pure: time and chance are arguments.

use std::time::Duration;

/// A moment on a clock that nobody can set, and a random number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// Time since the start of the process.
    pub since_start: Duration,
    /// Any random number: a fleet must not come in step.
    pub chance: u32,
}

/// Ever longer pauses between repetitions: some 10 s at first, an hour at most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pace {
    due: Duration,
    done: u32,
}

impl Pace {
    /// Due at once.
    pub(super) const fn at_once(now: Moment) -> Self {
        Self {
            due: now.since_start,
            done: 0,
        }
    }

    /// Whether it is time, and if so, when the next time is.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        if now.since_start < self.due {
            return false;
        }
        let pause = FIRST.saturating_mul(1 << self.done.min(DOUBLINGS));
        let half = pause.min(LONGEST).checked_div(2).unwrap_or_default();
        let jitter = half.mul_f64(f64::from(now.chance) / f64::from(u32::MAX));
        self.due = now.since_start.saturating_add(half).saturating_add(jitter);
        self.done = self.done.saturating_add(1);
        true
    }

    /// When it is due.
    pub(super) const fn due(&self) -> Duration {
        self.due
    }
}

/// When the state directory is looked at, one look at a time.
#[derive(Debug)]
pub(super) struct Look {
    looking: bool,
    next: Duration,
}

impl Look {
    /// Due at once.
    pub(super) const fn new() -> Self {
        Self {
            looking: false,
            next: Duration::ZERO,
        }
    }

    /// Whether it is time; then a look has begun.
    pub(super) fn take(&mut self, now: Moment) -> bool {
        let due = self.due().is_some_and(|due| now.since_start >= due);
        self.looking |= due;
        due
    }

    /// A look came to its end.
    pub(super) const fn ended(&mut self, now: Moment) {
        self.looking = false;
        self.next = now.since_start.saturating_add(LOOK_EVERY);
    }

    /// When it is due; nothing during a look.
    pub(super) const fn due(&self) -> Option<Duration> {
        match self.looking {
            true => None,
            false => Some(self.next),
        }
    }

    /// Whether a look came to its end yet.
    pub(super) const fn was_once(&self) -> bool {
        !self.next.is_zero()
    }
}

/// How often it is looked for what a person may have brought: a card may be changed while the device
/// runs, and a verb begins a rotation.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3600);
const DOUBLINGS: u32 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_no_further() {
        let mut now = Moment {
            since_start: Duration::ZERO,
            chance: u32::MAX,
        };
        let mut pace = Pace::at_once(now);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert!(pace.take(now));
            assert!(!pace.take(now), "not twice");
            pauses.push((pace.due() - now.since_start).as_secs());
            now.since_start = pace.due();
        }
        assert_eq!(pauses[..4], [10, 20, 40, 80]);
        assert_eq!(pauses[10..], [3600, 3600]);
        now.chance = 0;
        assert!(pace.take(now));
        assert_eq!((pace.due() - now.since_start).as_secs(), 1800);
    }
}
