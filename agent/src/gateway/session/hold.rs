//! Messages by a key that the registry does not have: a device that was enrolled a second ago may be quicker than the
//! manifest that names it. Such a message is held, not acknowledged, while newer trust data is asked for; what the broker
//! sends behind it waits in its order. Then it is judged.

use super::ending::Ending;
use super::{Phase, Session, Surroundings};
use crate::gateway::packet::{Frame, Publish};
use std::time::Duration;

/// Whether the first message that waits does so for newer trust data.
#[derive(Default)]
pub(super) struct Hold {
    is_on: bool,
    /// So long; other trust data that does not help ends it no sooner.
    until: Duration,
    /// From then on there may be another one: strangers delay nobody more often.
    free_at: Duration,
}

impl Hold {
    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// What is held is judged, or comes again over another connection.
    pub(super) const fn end(&mut self) {
        self.is_on = false;
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.is_on.then_some(self.until)
    }

    /// Whether a message may be held now.
    fn begin(&mut self, now: Duration) -> bool {
        if now >= self.free_at {
            self.until = now.saturating_add(PATIENCE);
            self.free_at = now.saturating_add(EVERY);
        }
        self.is_on = now < self.until;
        self.is_on
    }
}

impl Session {
    /// Holds a message whose key nobody knows. A retained one is refused at once: it comes again with the trust data that
    /// knows its key, and the statements of devices that have left would delay every program that subscribes.
    pub(super) fn is_held(
        &mut self,
        publish: &Publish<'_>,
        frame: &Frame,
        now: Duration,
    ) -> Result<bool, Ending> {
        let inbound = &mut self.inbound;
        if publish.retain || !matches!(self.phase, Phase::Runs | Phase::Settles) {
            return Ok(false);
        }
        if inbound.hold.is_on() {
            return inbound.surplus.keep(frame).map(|()| true); // QoS 0, which waits for nobody else
        }
        let begun = inbound.hold.begin(now);
        if begun {
            inbound.surplus.put_back(frame);
        }
        Ok(begun)
    }

    /// Nothing more is read behind so much that waits for newer trust data.
    pub(super) fn is_hold_full(&self) -> bool {
        let surplus = &self.inbound.surplus;
        self.inbound.hold.is_on() && (surplus.len() >= MESSAGES || surplus.octets() >= OCTETS)
    }

    /// Other trust data is in force, or it was waited long enough: what is held is judged.
    pub(super) fn judge_held(&mut self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        if !self.inbound.hold.is_on() {
            return Ok(());
        }
        self.inbound.hold.end();
        self.hand_on_surplus(around)
    }
}

const PATIENCE: Duration = Duration::from_secs(3);
const EVERY: Duration = Duration::from_secs(60);
const MESSAGES: usize = 64;
const OCTETS: usize = 256 * 1024;
