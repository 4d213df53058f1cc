//! When this device's status is published: soon after a change, else every few minutes. Pure.

use super::follower::Offered;
use crate::daemon::Condition;
use std::time::Duration;

/// Decides when a status is due.
pub(super) struct Reporter {
    every: Duration,
    /// What the last status was about, and when it was made.
    last: Option<(Subject, Duration)>,
    /// When a change is told.
    due: Option<Duration>,
    next_look: Duration,
}

/// What a change of which is told at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Subject {
    pub(super) condition: Condition,
    pub(super) refused: Option<(&'static str, Option<(u64, u64)>)>,
}

impl Subject {
    pub(super) fn of(condition: Condition, offered: Option<&Offered>) -> Self {
        Self {
            condition,
            refused: offered.map(|offered| (offered.code, offered.claims)),
        }
    }
}

impl Reporter {
    pub(super) const fn new(every: Duration) -> Self {
        Self {
            every,
            last: None,
            due: None,
            next_look: Duration::ZERO,
        }
    }

    /// A broker is connected, which may have forgotten everything.
    pub(super) fn connected(&mut self) {
        self.last = None;
        self.due = None;
        self.next_look = Duration::ZERO;
    }

    /// Whether a status is to be published now. `chance` is any random number: a fleet that learns of one
    /// manifest does not report in step.
    pub(super) fn is_due(&mut self, subject: &Subject, chance: u32, now: Duration) -> bool {
        self.next_look = now.saturating_add(LOOK_EVERY);
        let part = f64::from(chance) / f64::from(u32::MAX);
        let due = match (&self.last, self.due) {
            (_, Some(due)) => due,
            (None, None) => now.saturating_add(SOON.mul_f64(part)),
            (Some((last, at)), None) if last != subject => {
                let soon = now.saturating_add(SOON.mul_f64(part));
                soon.max(at.saturating_add(APART))
            }
            (Some((_, at)), None) => {
                let early = self.every.mul_f64(part / 10.0);
                at.saturating_add(self.every.saturating_sub(early))
            }
        };
        if due <= now {
            self.last = Some((subject.clone(), now));
            self.due = None;
            return true;
        }
        let is_change = self.last.as_ref().is_none_or(|(last, _)| last != subject);
        if is_change {
            self.due = Some(due);
            self.next_look = self.next_look.min(due);
        }
        false
    }

    /// When [`Reporter::is_due`] is to be asked next.
    pub(super) const fn deadline(&self) -> Duration {
        self.next_look
    }
}

/// Changes that nobody tells of are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(2);
/// However often something changes.
const APART: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use edgeseal_trust::clock::ClockState;

    fn subject(sequence: u64) -> Subject {
        let condition = Condition {
            place: Some((1, sequence)),
            clock: ClockState::Synchronized,
            device: None,
            alarms: 0,
        };
        Subject::of(condition, None)
    }

    /// Moments of the statuses within an hour, if the sequence is as said at each second.
    fn reports(sequence_at: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut reporter = Reporter::new(Duration::from_secs(300));
        let mut reported = Vec::new();
        for second in 0..3600 {
            let now = Duration::from_secs(second);
            let subject = subject(sequence_at(second));
            if reporter.is_due(&subject, u32::MAX, now) {
                reported.push(second);
            }
        }
        reported
    }

    #[test]
    fn a_change_is_told_within_seconds_and_else_every_few_minutes() {
        let reported = reports(|second| u64::from(second >= 1000));
        assert_eq!(reported[..4], [2, 272, 542, 812]);
        assert_eq!(reported[4], 1002);
        assert_eq!(reported.len(), 14);
    }

    #[test]
    fn changes_without_end_are_told_at_a_bounded_rate() {
        let reported = reports(|second| second);
        let apart = reported.windows(2).all(|pair| pair[1] - pair[0] >= 5);
        assert!(
            apart && (400..=720).contains(&reported.len()),
            "{}",
            reported.len()
        );
    }
}
