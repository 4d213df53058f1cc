//! Messages by a key that the registry does not have: a device that was enrolled a second ago may be quicker than the
//! manifest that names it. Such a message is held, not acknowledged, while newer trust data is asked for; what the broker
//! sends behind it waits in its order. Then it is judged.

use super::ending::Ending;
use super::{Phase, Session, Surroundings};
use crate::gateway::packet::{Frame, Publish};
use crate::trust_link::Pace;
use edgeseal_trust::key::KeyId;
use std::collections::VecDeque;
use std::time::Duration;

/// Whether the first message that waits does so for newer trust data.
pub(super) struct Hold {
    is_on: bool,
    /// So long; other trust data that does not help ends it no sooner.
    until: Duration,
    /// How often there may be one: strangers delay nobody more often.
    pace: Pace,
    /// The keys for which there was one of late, and until when there is none again: one stranger who sends on and on takes
    /// the turn of nobody else.
    tried: VecDeque<(KeyId, Duration)>,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            is_on: false,
            until: Duration::ZERO,
            pace: Pace::new(EVERY, AT_ONCE),
            tried: VecDeque::new(),
        }
    }
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

    /// Whether a message by this key may be held now.
    fn begin(&mut self, kid: KeyId, now: Duration) -> bool {
        self.is_on = now < self.until || self.begin_anew(kid, now);
        self.is_on
    }

    fn begin_anew(&mut self, kid: KeyId, now: Duration) -> bool {
        self.tried.retain(|(_, until)| now < *until);
        let was_tried = self.tried.iter().any(|(tried, _)| *tried == kid);
        // What has waited behind the one before is judged and does not wait again.
        let is_behind = self.until > Duration::ZERO && now < self.until.saturating_add(GAP);
        if was_tried || is_behind || !self.pace.take(now) {
            return false;
        }
        if self.tried.len() >= TRIED {
            self.tried.pop_front();
        }
        self.tried.push_back((kid, now.saturating_add(ONCE_IN)));
        self.until = now.saturating_add(PATIENCE);
        true
    }
}

impl Session {
    /// Holds a message whose key nobody knows. A retained one is refused at once: it comes again with the trust data that
    /// knows its key, and the statements of devices that have left would delay every program that subscribes.
    pub(super) fn is_held(
        &mut self,
        publish: &Publish<'_>,
        frame: &Frame,
        kid: KeyId,
        now: Duration,
    ) -> Result<bool, Ending> {
        let inbound = &mut self.inbound;
        if publish.retain || !matches!(self.phase, Phase::Runs | Phase::Settles) {
            return Ok(false);
        }
        if inbound.hold.is_on() {
            return inbound.surplus.keep(frame).map(|()| true); // QoS 0, which waits for nobody else
        }
        let begun = inbound.hold.begin(kid, now);
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
/// Time enough to judge what has waited.
const GAP: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(60);
const AT_ONCE: u32 = 3;
/// A key that stays unknown is not waited for again so soon.
const ONCE_IN: Duration = Duration::from_secs(600);
const TRIED: usize = 16;
const MESSAGES: usize = 64;
const OCTETS: usize = 256 * 1024;
