//! What an accepted token changes in the memory.

use super::epochs::Seen;
use super::memory::{Key, PlacedWindow, ReplayMemory};
use super::order::Statement;
use super::record::WILLS_PER_RECORD;
use super::slots::Owner;
use super::window::Window;
use super::{Accepted, Sighting};
use crate::time::UnixTime;
use crate::token::Rejection;

/// What is to be remembered once a token is accepted.
pub(super) struct Decision {
    pub(super) accepted: Accepted,
    /// The consumer's window as it will be.
    pub(super) window: Option<Window>,
    /// When the window or the will need not be remembered any more.
    pub(super) expires_at: UnixTime,
    /// It becomes the newest statement of its sender and topic.
    pub(super) statement: bool,
    /// A will that this consumer accepts for the first time.
    pub(super) will: bool,
}

impl ReplayMemory {
    pub(super) fn remember(&mut self, sighting: &Sighting<'_>, consumer: u64, decision: Decision) {
        let (kid, now) = (sighting.kid, sighting.now.time);
        let expires_at = decision.expires_at;
        let slots = &mut self.slots;
        let key = self.keys.entry(kid).or_insert_with(|| Key {
            slot: slots.take(Owner::Key(kid)),
            ..Key::default()
        });
        if sighting.id.epoch > key.epoch {
            key.epoch = sighting.id.epoch;
            slots.change(key.slot);
        }
        if let Some(notice) = key.epochs.accepted(&seen(sighting)) {
            self.notices.add(notice);
        }
        key.last_accepted = key.last_accepted.max(now);
        key.expires_at = key.expires_at.max(expires_at);
        if let Some(consumer) = self.consumers.numbered_mut(consumer) {
            consumer.touch(now, expires_at);
        }
        if let Some(mut window) = decision.window {
            window.last_accepted = window.last_accepted.max(now);
            window.expires_at = window.expires_at.max(expires_at);
            key.newest.merge(&window.newest());
            let placed = self.windows.entry((consumer, kid)).or_insert_with(|| {
                let slot = slots.take(Owner::Window(consumer, kid));
                Box::new(PlacedWindow { slot, window })
            });
            placed.window = window;
            slots.change(placed.slot);
        }
        if decision.statement {
            self.order.remember(&statement(sighting, consumer));
        }
        if decision.will {
            self.order.remember_will(&statement(sighting, consumer));
            self.remember_will(sighting, consumer);
        }
    }

    pub(super) fn notice_old_epoch(&mut self, sighting: &Sighting<'_>, rejection: &Rejection) {
        if let Rejection::OldEpoch { .. } = rejection
            && let Some(key) = self.keys.get_mut(&sighting.kid)
            && let Some(notice) = key.epochs.refused(&seen(sighting))
        {
            self.notices.add(notice);
        }
    }

    fn remember_will(&mut self, sighting: &Sighting<'_>, consumer: u64) {
        let kid = sighting.kid;
        let wills = self.wills.entry((consumer, kid)).or_default();
        wills.add(sighting.id, sighting.expires_at);
        while wills.slots.len() < wills.spent.len().div_ceil(WILLS_PER_RECORD) {
            let part = wills.slots.len();
            wills
                .slots
                .push(self.slots.take(Owner::Wills(consumer, kid, part)));
        }
        wills.slots.iter().for_each(|slot| self.slots.change(*slot));
    }
}

fn seen<'a>(sighting: &Sighting<'a>) -> Seen<'a> {
    Seen {
        kid: sighting.kid,
        device: sighting.device,
        id: sighting.id,
        issued_at: sighting.issued_at,
        leeway_seconds: sighting.leeway_seconds,
        now: sighting.now.time,
    }
}

/// The sighting as a statement of its consumer.
pub(super) fn statement<'a>(sighting: &Sighting<'a>, consumer: u64) -> Statement<'a> {
    Statement {
        consumer,
        device: sighting.device,
        topic: sighting.topic,
        kid: sighting.kid,
        id: sighting.id,
        issued_at: sighting.issued_at,
    }
}
