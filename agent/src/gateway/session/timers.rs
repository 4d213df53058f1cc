//! When something is due: keep-alives of both hops, the wedge clock, deadlines.

use std::time::Duration;

/// The keep-alive of the hop to the program: who is silent for one and a half times as long as it
/// said is gone (3.1.2.10).
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    allowed: Option<Duration>,
    heard: Duration,
}

impl Silence {
    pub(super) fn new(keep_alive_seconds: u16, now: Duration) -> Self {
        let seconds = u64::from(keep_alive_seconds);
        let allowed = Duration::from_millis(seconds.saturating_mul(1500));
        Self {
            allowed: (seconds > 0).then_some(allowed),
            heard: now,
        }
    }

    pub(super) fn heard(&mut self, now: Duration) {
        self.heard = now;
    }

    pub(super) fn ends(&self) -> Option<Duration> {
        self.allowed
            .map(|allowed| self.heard.saturating_add(allowed))
    }
}

/// The keep-alive of the hop to upstream, of which this gateway is the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pings {
    every: Option<Duration>,
    sent: Duration,
    /// When the oldest unanswered PINGREQ went out.
    unanswered: Option<Duration>,
}

/// What the keep-alive to upstream wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PingStep {
    /// Nothing.
    Wait,
    /// A PINGREQ.
    Send,
    /// Upstream does not answer.
    Dead,
}

impl Pings {
    pub(super) fn new(keep_alive_seconds: u16, now: Duration) -> Self {
        Self {
            every: (keep_alive_seconds > 0)
                .then(|| Duration::from_secs(u64::from(keep_alive_seconds))),
            sent: now,
            unanswered: None,
        }
    }

    pub(super) fn sent(&mut self, now: Duration) {
        self.sent = now;
    }

    /// Any packet shows that upstream lives.
    pub(super) fn heard(&mut self) {
        self.unanswered = None;
    }

    /// What is to be done now; counts a PINGREQ as sent.
    pub(super) fn step(&mut self, now: Duration) -> PingStep {
        let Some(every) = self.every else {
            return PingStep::Wait;
        };
        if self
            .unanswered
            .is_some_and(|since| now >= since.saturating_add(every))
        {
            return PingStep::Dead;
        }
        // Earlier than promised: the packet takes its time.
        if self.unanswered.is_none() && now >= self.sent.saturating_add(early(every)) {
            self.unanswered = Some(now);
            self.sent = now;
            return PingStep::Send;
        }
        PingStep::Wait
    }

    pub(super) fn due(&self) -> Option<Duration> {
        let every = self.every?;
        Some(match self.unanswered {
            Some(since) => since.saturating_add(every),
            None => self.sent.saturating_add(early(every)),
        })
    }
}

/// Nothing acknowledged for long although something is outstanding: the connection is wedged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wedge {
    since: Option<Duration>,
}

impl Wedge {
    /// Something is outstanding or not; `progressed` where an acknowledgement has come.
    pub(super) fn watch(&mut self, outstanding: bool, progressed: bool, now: Duration) {
        self.since = match (outstanding, self.since) {
            (false, _) => None,
            (true, Some(since)) if !progressed => Some(since),
            (true, _) => Some(now),
        };
    }

    pub(super) fn ends(&self) -> Option<Duration> {
        self.since.map(|since| since.saturating_add(WEDGED))
    }
}

const fn early(every: Duration) -> Duration {
    // Three quarters: at least a second before the broker may close.
    Duration::from_millis((every.as_secs()).saturating_mul(750))
}

/// Three keep-alives of the longest kind.
const WEDGED: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_program_is_gone_after_one_and_a_half_keep_alives() {
        let mut silence = Silence::new(10, s(100));
        assert_eq!(silence.ends(), Some(s(115)));
        silence.heard(s(108));
        assert_eq!(silence.ends(), Some(s(123)));
        assert_eq!(Silence::new(0, s(100)).ends(), None);
    }

    #[test]
    fn upstream_is_pinged_in_time_and_must_answer() {
        let mut pings = Pings::new(60, s(0));
        assert_eq!(pings.due(), Some(s(45)));
        assert_eq!(pings.step(s(44)), PingStep::Wait);
        assert_eq!(pings.step(s(45)), PingStep::Send);
        assert_eq!(pings.step(s(45)), PingStep::Wait);
        assert_eq!(pings.due(), Some(s(105)));
        assert_eq!(pings.step(s(105)), PingStep::Dead);
        pings.heard();
        assert_eq!(pings.step(s(105)), PingStep::Send);
        pings.heard();
        pings.sent(s(140));
        assert_eq!(pings.step(s(184)), PingStep::Wait);
        assert_eq!(pings.step(s(185)), PingStep::Send);
        assert_eq!(Pings::new(0, s(0)).due(), None);
    }

    #[test]
    fn no_progress_is_a_wedge_only_while_something_is_outstanding() {
        let mut wedge = Wedge::default();
        wedge.watch(false, false, s(0));
        assert_eq!(wedge.ends(), None);
        wedge.watch(true, false, s(10));
        wedge.watch(true, false, s(100));
        assert_eq!(wedge.ends(), Some(s(190)));
        wedge.watch(true, true, s(100));
        assert_eq!(wedge.ends(), Some(s(280)));
        wedge.watch(false, true, s(110));
        assert_eq!(wedge.ends(), None);
    }
}
