//! What time brings: deadlines, pings, planned renewal and stop.

use super::connect::RENEWAL_EXPIRY_SECONDS;
use super::ending::Ending;
use super::timers::PingStep;
use super::{Phase, Session, Surroundings};
use crate::gateway::packet::{Packet, PropertiesBuf, Property, Reasoned, Version};
use std::time::Duration;

/// Whose clocks stood still since the event before, because this gateway did not read.
#[derive(Clone, Copy, Default)]
pub(super) struct StoodStill {
    local: bool,
    upstream: bool,
}

impl Session {
    /// Whatever is due.
    pub(super) fn look_at_the_clock(
        &mut self,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let now = around.now;
        self.keep_deadlines(now)?;
        if self.inbound.hold.due().is_some_and(|due| now >= due) {
            self.judge_held(around)?;
        }
        if matches!(self.phase, Phase::Runs | Phase::Settles | Phase::Stops) {
            self.keep_alive_upstream(now)?;
        }
        match self.phase {
            Phase::Runs if self.upstream.renew_at.is_some_and(|at| now >= at) => {
                self.upstream.renew_at = None;
                self.enter(Phase::Settles, now);
                return self.renew_if_settled(around);
            }
            Phase::Settles if now >= self.phase_since.saturating_add(SETTLING) => {
                // Not now: the program keeps something open.
                self.upstream.renew_at = Some(now.saturating_add(RENEW_AGAIN));
                self.enter(Phase::Runs, now);
            }
            Phase::Settles => return self.renew_if_settled(around),
            Phase::Stops if self.is_settled() && self.inbound.outstanding() == 0 => {
                return Err(Ending::STOPPED);
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything that [`Session::look_at_the_clock`] could find due.
    pub(super) fn deadlines(&self) -> [Option<Duration>; 6] {
        let phase = self
            .phase_limit()
            .map(|(limit, _)| self.phase_since.saturating_add(limit));
        let works = matches!(self.phase, Phase::Runs | Phase::Settles | Phase::Stops);
        let pings = self.upstream.pings.as_ref();
        [
            phase,
            self.inbound.hold.due(),
            // What is left of the surplus waits for the others' turns alone.
            self.hands_on().then_some(Duration::ZERO),
            self.program
                .as_ref()
                .filter(|_| self.hears_program())
                .and_then(|program| program.silence.ends()),
            pings.filter(|_| works).and_then(|pings| pings.due()),
            [
                self.upstream
                    .wedge
                    .ends()
                    .filter(|_| !self.is_upstream_paused()),
                self.upstream.renew_at,
            ]
            .into_iter()
            .flatten()
            .filter(|_| self.phase == Phase::Runs)
            .min(),
        ]
    }

    /// The agent stops: nothing new is taken, what is outstanding gets a moment.
    pub(super) fn stop(&mut self, now: Duration) -> Result<(), Ending> {
        self.inbound.hold.end();
        match self.phase {
            Phase::Runs | Phase::Settles => {
                self.enter(Phase::Stops, now);
                Ok(())
            }
            Phase::Stops => Ok(()),
            _ => Err(Ending::STOPPED),
        }
    }

    /// How long the present phase may last, and what its end means.
    fn phase_limit(&self) -> Option<(Duration, Ending)> {
        let connecting = Duration::from_secs(u64::from(self.plan.upstream.connect_timeout_seconds));
        match self.phase {
            Phase::AwaitsConnect | Phase::ChecksPassword => Some((FIRST_PACKET, CONNECT_LATE)),
            Phase::Connects | Phase::AwaitsConnAck => {
                Some((connecting, Ending::UPSTREAM_UNAVAILABLE))
            }
            Phase::Renews => Some((connecting, Ending::UPSTREAM_CLOSED)),
            Phase::Stops => Some((STOPPING, Ending::STOPPED)),
            // Its end is no end of the session.
            Phase::Settles => Some((SETTLING, Ending::STOPPED)),
            Phase::Runs | Phase::Closed => None,
        }
    }

    fn keep_deadlines(&self, now: Duration) -> Result<(), Ending> {
        if let (Some((limit, ending)), false) = (self.phase_limit(), self.phase == Phase::Settles)
            && now >= self.phase_since.saturating_add(limit)
        {
            return Err(ending);
        }
        if self.phase != Phase::Runs {
            return Ok(());
        }
        let silence = self
            .program
            .as_ref()
            .filter(|_| self.hears_program())
            .and_then(|program| program.silence.ends());
        if silence.is_some_and(|ends| now >= ends) {
            return Err(KEEP_ALIVE);
        }
        let wedged = self.upstream.wedge.ends().is_some_and(|ends| now >= ends);
        if wedged && !self.is_upstream_paused() {
            return Err(WEDGED);
        }
        Ok(())
    }

    /// Whether silence of the program is its own: only while it is read.
    fn hears_program(&self) -> bool {
        self.phase == Phase::Runs && self.reads_local()
    }

    /// Clocks stand still while this gateway itself does not read: they go on from here.
    pub(super) fn start_clocks(&mut self, around: &mut Surroundings<'_>) {
        if self.stood_still.local
            && let Some(program) = &mut self.program
        {
            program.silence.heard(around.now);
        }
        if self.stood_still.upstream {
            if let Some(pings) = &mut self.upstream.pings {
                pings.heard();
            }
            self.watch_wedge(true, around);
        }
    }

    /// Which clocks stand still until the next event.
    pub(super) fn stop_clocks(&mut self) {
        self.stood_still = StoodStill {
            local: !self.hears_program(),
            upstream: self.is_upstream_paused(),
        };
    }

    fn keep_alive_upstream(&mut self, now: Duration) -> Result<(), Ending> {
        let Some(pings) = &mut self.upstream.pings else {
            return Ok(());
        };
        match pings.step(now) {
            PingStep::Wait => {}
            PingStep::Send => self.upstream_output.extend_from_slice(PINGREQ),
            PingStep::Dead => return Err(UPSTREAM_SILENT),
        }
        Ok(())
    }

    /// Nothing of the program is on its way, and nothing of the broker's is being looked at.
    fn is_settled(&self) -> bool {
        self.outbound.outstanding() == 0
            && self.outbound.parked() == 0
            && !self.inbound.waits_for_key()
            && !self.inbound.hold.is_on()
            && self.subscriptions.is_settled()
    }

    fn renew_if_settled(&mut self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        if !self.is_settled() {
            return Ok(());
        }
        if self.upstream.version == Version::V311 {
            return Err(RENEWAL_BY_PROGRAM);
        }
        let mut properties = PropertiesBuf::new();
        let expiry = self
            .program
            .as_ref()
            .map_or(0, |program| program.expiry_seconds);
        if expiry < RENEWAL_EXPIRY_SECONDS {
            // The session outlives the moment between two connections.
            properties
                .push(Property::SessionExpiryInterval(RENEWAL_EXPIRY_SECONDS))
                .ok();
        }
        let goodbye = Packet::Disconnect(Reasoned {
            code: 0,
            properties: properties.as_properties(),
        });
        goodbye.write(Version::V5, &mut self.upstream_output).ok();
        self.upstream_anew(Phase::Renews, around);
        Ok(())
    }

    /// No connection to the broker could be made.
    pub(super) const fn upstream_unavailable(&self) -> Result<(), Ending> {
        match self.phase {
            Phase::Connects | Phase::Renews => Err(Ending::UPSTREAM_UNAVAILABLE),
            _ => Ok(()),
        }
    }

    /// The broker's connection has ended, by us where that was planned.
    pub(super) fn upstream_closed(&mut self) -> Result<(), Ending> {
        if self.upstream.is_open {
            Err(Ending::UPSTREAM_CLOSED)
        } else {
            Ok(())
        }
    }
}

/// 3.12: no more than its header.
pub(super) const PINGREQ: &[u8] = &[0xC0, 0];
const FIRST_PACKET: Duration = Duration::from_secs(10);
const SETTLING: Duration = Duration::from_secs(10);
const RENEW_AGAIN: Duration = Duration::from_secs(20);
const STOPPING: Duration = Duration::from_secs(2);
const RENEWAL_BY_PROGRAM: Ending = Ending::new(
    "renewal",
    "its login or will ends, and MQTT 3.1.1 knows no renewal: it connects again",
    Some(0x89),
    None,
);
const CONNECT_LATE: Ending = Ending::new("connect-late", "no CONNECT within 10 s", None, None);
const KEEP_ALIVE: Ending = Ending::new(
    "keep-alive",
    "the program was silent for one and a half of its keep-alives",
    Some(0x8D),
    None,
);
const UPSTREAM_SILENT: Ending = Ending::new(
    "upstream-silent",
    "the broker does not answer pings",
    Some(0x89),
    None,
);
const WEDGED: Ending = Ending::new(
    "upstream-wedged",
    "the broker has acknowledged nothing for 3 minutes although something is outstanding",
    Some(0x89),
    None,
);
