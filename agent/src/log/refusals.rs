//! A flood of refusals must not become a flood of log lines.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Decides for each refusal whether it is logged. Per code, the first few of an interval are; the
/// others are counted, and the count is logged when the interval is over.
///
/// Pure: time is an argument, by any clock that never runs back. Memory is bounded by the number of
/// codes, which are fixed words of the program.
#[derive(Debug)]
pub struct RefusalLog {
    first: u32,
    interval: Duration,
    codes: BTreeMap<&'static str, Interval>,
}

/// What to do with one refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// Write it to the log.
    Log,
    /// Say nothing: it is counted.
    Suppress,
}

/// The refusals of one code that were not logged in one interval. Shown as a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefusalSummary {
    /// The code of the refusals.
    pub code: &'static str,
    /// How many were not logged.
    pub suppressed: u64,
    /// The time in which they came.
    pub within: Duration,
}

#[derive(Debug)]
struct Interval {
    began: Duration,
    logged: u32,
    suppressed: u64,
}

impl RefusalLog {
    /// Logs the `first` refusals of each code in each `interval`.
    #[must_use]
    pub fn new(first: u32, interval: Duration) -> Self {
        Self {
            first,
            interval,
            codes: BTreeMap::new(),
        }
    }

    /// Judges one refusal. If an older interval of this code ends by it, its summary comes back too
    /// and is to be logged first.
    pub fn record(
        &mut self,
        code: &'static str,
        now: Duration,
    ) -> (Option<RefusalSummary>, Repeat) {
        let summary = self.end(code, now);
        let interval = self.codes.entry(code).or_insert(Interval {
            began: now,
            logged: 0,
            suppressed: 0,
        });
        if interval.logged < self.first {
            interval.logged = interval.logged.saturating_add(1);
            return (summary, Repeat::Log);
        }
        interval.suppressed = interval.suppressed.saturating_add(1);
        (summary, Repeat::Suppress)
    }

    /// Ends the intervals that are over, and gives the summaries to log. To be called now and then,
    /// so that the last of a flood are reported too.
    pub fn due(&mut self, now: Duration) -> Vec<RefusalSummary> {
        let codes: Vec<&'static str> = self.codes.keys().copied().collect();
        codes
            .into_iter()
            .filter_map(|code| self.end(code, now))
            .collect()
    }

    /// Forgets the interval of a code if it is over.
    fn end(&mut self, code: &'static str, now: Duration) -> Option<RefusalSummary> {
        let within = now.saturating_sub(self.codes.get(code)?.began);
        if within < self.interval {
            return None;
        }
        let ended = self.codes.remove(code)?;
        let suppressed = ended.suppressed;
        (suppressed > 0).then_some(RefusalSummary {
            code,
            suppressed,
            within,
        })
    }
}

impl fmt::Display for RefusalSummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            suppressed,
            within,
        } = self;
        write!(
            out,
            "{suppressed} more refused as {code} in the last {} s",
            within.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_first_are_logged_and_the_rest_counted() {
        let mut log = RefusalLog::new(3, TEN);
        let logged = (0..15)
            .filter(|_| log.record("replay", at(100)).1 == Repeat::Log)
            .count();
        assert_eq!(logged, 3);
        assert_eq!(log.due(at(109)), []);
        let due = log.due(at(110));
        assert_eq!(due.len(), 1);
        assert_eq!(
            due[0].to_string(),
            "12 more refused as replay in the last 10 s"
        );
        assert_eq!(log.due(at(200)), []);
    }

    #[test]
    fn a_new_interval_logs_again_after_the_summary_of_the_old() {
        let mut log = RefusalLog::new(1, TEN);
        assert_eq!(log.record("expired", at(0)), (None, Repeat::Log));
        assert_eq!(log.record("expired", at(9)), (None, Repeat::Suppress));
        let summary = RefusalSummary {
            code: "expired",
            suppressed: 1,
            within: at(25),
        };
        assert_eq!(log.record("expired", at(25)), (Some(summary), Repeat::Log));
        assert_eq!(log.record("expired", at(26)), (None, Repeat::Suppress));
    }

    #[test]
    fn codes_do_not_hide_each_other() {
        let mut log = RefusalLog::new(1, TEN);
        log.record("replay", at(0));
        log.record("replay", at(0));
        assert_eq!(log.record("bad-signature", at(0)), (None, Repeat::Log));
    }

    #[test]
    fn nothing_stays_in_memory_after_the_flood() {
        let mut log = RefusalLog::new(1, TEN);
        log.record("replay", at(0));
        log.record("unknown-kid", at(0));
        assert_eq!(log.due(at(10)), []);
        assert!(log.codes.is_empty());
    }

    #[test]
    fn a_clock_that_runs_back_neither_panics_nor_floods() {
        let mut log = RefusalLog::new(1, TEN);
        log.record("replay", at(100));
        assert_eq!(log.record("replay", at(1)), (None, Repeat::Suppress));
    }
}
