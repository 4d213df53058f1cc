//! The memory of one receiver: decides by what was accepted before, and remembers.

use super::consumer::{Consumer, Consumers, Newcomer};
use super::epochs::{EpochNotice, Epochs, Notices};
use super::order::{Order, Place};
use super::recent::{self, Recent};
use super::record::{SEEDS_PER_RECORD, WILLS_PER_RECORD};
use super::remember::{Decision, statement};
use super::slots::{Owner, Slots};
use super::wills::Wills;
use super::window::{Newest, Window};
use super::{Accepted, ConsumerId, Delivery, Sighting};
use crate::id::DeviceId;
use crate::key::KeyId;
use crate::limits;
use crate::time::UnixTime;
use crate::token::{Failure, Kind, Rejection, TokenId};
use std::collections::HashMap;

/// The memory of one receiver.
#[derive(Debug)]
pub struct ReplayMemory {
    pub(super) bounds: Bounds,
    pub(super) start: UnixTime,
    pub(super) past: Past,
    /// Whether what this process cannot know ends with its own start.
    pub(super) past_ends_at_start: bool,
    /// Whether a synchronized clock told the start.
    vouched: bool,
    pub(super) past_slot: u32,
    pub(super) consumers: Consumers,
    pub(super) keys: HashMap<KeyId, Key>,
    pub(super) windows: HashMap<(u64, KeyId), Box<PlacedWindow>>,
    pub(super) wills: Wills,
    pub(super) order: Order,
    pub(super) slots: Slots,
    recent: Recent,
    clones: u64,
    clone: Option<CloneAlarm>,
    pub(super) notices: Notices,
}

/// Bounds of a memory. At a bound a token is not judged; nothing is forgotten to make room, except
/// for the order of retained statements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Most consumers.
    pub consumers: usize,
    /// Most windows, one for each consumer and key; 5 keys that a new consumer begins with, and 32
    /// wills, count as one. Also the most keys. Each costs [`limits::WINDOW_OCTETS`] in the file.
    pub windows: usize,
    /// Most retained statements whose place in the order is remembered, by all consumers.
    pub statements: usize,
}

/// What a memory knows of the time before it was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Past {
    /// All that was accepted before is in it (or nothing ever was).
    Known,
    /// What was issued up to this moment, plus the leeway, may have been accepted before.
    UnknownUntil(UnixTime),
}

/// The proof that a key is in two places: two valid tokens with one id say different things.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloneAlarm {
    /// The key.
    pub kid: KeyId,
    /// Its owner.
    pub device: DeviceId,
    /// The id that was used twice.
    pub id: TokenId,
    /// Both tokens, for [`crate::clone::prove`]; nothing where the first was accepted too long ago.
    pub tokens: Option<[String; 2]>,
}

/// How full a memory is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Consumers.
    pub consumers: usize,
    /// Keys.
    pub keys: usize,
    /// What counts towards [`Bounds::windows`].
    pub windows: usize,
    /// Retained statements whose place in the order is remembered.
    pub statements: usize,
    /// Proofs of a clone since the start.
    pub clones: u64,
}

/// What is known of a key whatever the consumer.
#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) slot: u32,
    /// The newest counters that any consumer accepted: what a new consumer begins with.
    pub(super) newest: Newest,
    /// The highest epoch in which anything was accepted.
    pub(super) epoch: u64,
    pub(super) last_accepted: UnixTime,
    pub(super) expires_at: UnixTime,
    /// For notices; not written to the file.
    pub(super) epochs: Epochs,
}

#[derive(Debug)]
pub(super) struct PlacedWindow {
    pub(super) slot: u32,
    pub(super) window: Window,
}

/// Carries both outcomes through `?`; split again before anybody sees it.
enum Refusal {
    Failed(Failure),
    Rejected(Rejection),
}

impl ReplayMemory {
    /// A memory in which nothing was accepted. `past` says whether that is the whole truth;
    /// `start` is when this process began to remember: now minus the time since then on the
    /// monotonic clock.
    pub fn new(bounds: Bounds, past: Past, start: UnixTime) -> Self {
        let mut slots = Slots::default();
        Self {
            bounds,
            start,
            past,
            past_ends_at_start: past == Past::UnknownUntil(start),
            vouched: false,
            past_slot: slots.take(Owner::Past),
            consumers: Consumers::default(),
            keys: HashMap::new(),
            windows: HashMap::new(),
            wills: Wills::new(),
            order: Order::new(bounds.statements),
            slots,
            recent: Recent::default(),
            clones: 0,
            clone: None,
            notices: Notices::default(),
        }
    }

    /// Judges a token, and remembers it if it is accepted: the last check of all.
    ///
    /// # Errors
    /// [`Failure::MemoryFull`] when a bound is reached; nothing is forgotten to make room.
    pub fn judge(
        &mut self,
        sighting: &Sighting<'_>,
    ) -> Result<Result<Accepted, Rejection>, Failure> {
        let content = recent::content(sighting.topic, &sighting.payload_hash);
        if self.recent.contradicts(sighting.kid, sighting.id, &content) {
            self.clones = self.clones.saturating_add(1);
            let accepted = self.recent.text(sighting.kid, sighting.id);
            self.clone = Some(CloneAlarm {
                kid: sighting.kid,
                device: sighting.device.clone(),
                id: sighting.id,
                tokens: accepted.map(|text| [text.to_owned(), sighting.token.to_owned()]),
            });
            return Ok(Err(Rejection::CloneProven { id: sighting.id }));
        }
        let consumer = self.admit(sighting.consumer, sighting.now.time)?;
        match self.decide(sighting, self.consumers.numbered(consumer)) {
            Ok(decision) => {
                let accepted = decision.accepted;
                let (kid, id) = (sighting.kid, sighting.id);
                self.recent.remember(kid, id, content, sighting.token);
                self.remember(sighting, consumer, decision);
                Ok(Ok(accepted))
            }
            Err(Refusal::Failed(failure)) => Err(failure),
            Err(Refusal::Rejected(rejection)) => {
                self.notice_old_epoch(sighting, &rejection);
                Ok(Err(rejection))
            }
        }
    }

    /// What [`ReplayMemory::judge`] would say, with nothing remembered: to explain a verdict.
    ///
    /// # Errors
    /// As [`ReplayMemory::judge`].
    pub fn foresee(&self, sighting: &Sighting<'_>) -> Result<Result<Accepted, Rejection>, Failure> {
        let content = recent::content(sighting.topic, &sighting.payload_hash);
        if self.recent.contradicts(sighting.kid, sighting.id, &content) {
            return Ok(Err(Rejection::CloneProven { id: sighting.id }));
        }
        let consumer = self.consumers.named(sighting.consumer);
        if consumer.is_none() {
            self.expect_room_for_consumer()?;
        }
        match self.decide(sighting, consumer) {
            Ok(decision) => Ok(Ok(decision.accepted)),
            Err(Refusal::Failed(failure)) => Err(failure),
            Err(Refusal::Rejected(rejection)) => Ok(Err(rejection)),
        }
    }

    /// Makes a consumer known before its first message, so that it begins with what others had
    /// accepted by now and not later. Without this it is made known by its first message.
    ///
    /// # Errors
    /// [`Failure::MemoryFull`] at the bound of consumers or windows.
    pub fn introduce(&mut self, consumer: &ConsumerId, now: UnixTime) -> Result<(), Failure> {
        self.admit(consumer, now).map(|_| ())
    }

    /// Says anew when this process began to remember, once a synchronized clock tells. Until then
    /// the file says only that the past is unknown: whoever restores it goes by its own start.
    pub fn set_start(&mut self, start: UnixTime) {
        let stored = self.stored_past();
        self.start = start;
        self.vouched = true;
        if self.past_ends_at_start {
            self.past = Past::UnknownUntil(start);
        }
        if self.stored_past() != stored {
            self.slots.change(self.past_slot);
        }
    }

    /// What the next process may go by. A start that no synchronized clock told must not outlive
    /// this process: the next one could not move it when the clock is known better.
    pub(super) const fn stored_past(&self) -> Past {
        if self.past_ends_at_start && !self.vouched {
            return UNVOUCHED;
        }
        self.past
    }

    /// What this memory knows of the time before it was made.
    pub const fn past(&self) -> Past {
        self.past
    }

    /// The newest proof of a clone that has not been taken yet.
    pub fn take_clone_proof(&mut self) -> Option<CloneAlarm> {
        self.clone.take()
    }

    /// The notices about epochs that have not been taken yet, oldest first.
    pub fn take_notices(&mut self) -> Vec<EpochNotice> {
        self.notices.take()
    }

    /// The bounds it was made with.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether anything was ever judged for this consumer.
    pub fn is_known(&self, consumer: &ConsumerId) -> bool {
        self.consumers.named(consumer).is_some()
    }

    /// How many consumers have such a name, of those that were heard of since the start: of the others
    /// only a hash is known.
    pub fn consumers_named(&self, such: impl Fn(&str) -> bool) -> usize {
        self.consumers.names().filter(|name| such(name)).count()
    }

    /// How full the memory is.
    pub fn counts(&self) -> Counts {
        Counts {
            consumers: self.consumers.len(),
            keys: self.keys.len(),
            windows: self.slots.windows(),
            statements: self.order.len(),
            clones: self.clones,
        }
    }

    fn admit(&mut self, name: &ConsumerId, now: UnixTime) -> Result<u64, Failure> {
        let Newcomer { digest, number } = match self.consumers.resolve(name) {
            Ok(number) => return Ok(number),
            Err(newcomer) => newcomer,
        };
        self.expect_room_for_consumer()?;
        let mut seeds: Box<[_]> = self
            .keys
            .iter()
            .map(|(kid, key)| (*kid, key.newest))
            .collect();
        seeds.sort_unstable_by_key(|(kid, _)| *kid);
        // The seeds are written before the consumer: without it they mean nothing.
        let parts = 0..seeds.len().div_ceil(SEEDS_PER_RECORD);
        let seed_slots = parts
            .map(|part| self.slots.take(Owner::Seeds(number, part)))
            .collect();
        self.consumers.add(Consumer {
            number,
            digest,
            slot: self.slots.take(Owner::Consumer(number)),
            created_at: now,
            active_at: now,
            expires_at: now,
            seeds,
            seed_slots,
        });
        self.consumers.remember_name(name, number);
        Ok(number)
    }

    fn expect_room_for_consumer(&self) -> Result<(), Failure> {
        if self.consumers.len() >= self.bounds.consumers {
            return Err(Failure::MemoryFull("no room for another consumer"));
        }
        let seeds = self.keys.len().div_ceil(SEEDS_PER_RECORD);
        if self.slots.windows().saturating_add(seeds) > self.bounds.windows {
            return Err(Failure::MemoryFull(
                "no room for what a consumer begins with",
            ));
        }
        Ok(())
    }

    fn decide(
        &self,
        sighting: &Sighting<'_>,
        consumer: Option<&Consumer>,
    ) -> Result<Decision, Refusal> {
        let decision = match sighting.kind {
            Kind::Message => self.decide_message(sighting, consumer)?,
            Kind::Retained => self.decide_retained(sighting, consumer)?,
            Kind::Will => self.decide_will(sighting, consumer)?,
        };
        self.expect_room(sighting, consumer, &decision)?;
        Ok(decision)
    }

    fn decide_message(
        &self,
        sighting: &Sighting<'_>,
        consumer: Option<&Consumer>,
    ) -> Result<Decision, Rejection> {
        self.expect_after_start(sighting)?;
        let first_since_start =
            sighting.deletion && self.expect_newest(sighting, consumer)? == Place::Unknown;
        let mut window = self.window(sighting.kid, consumer);
        let gap = window.accept_message(sighting.id)?;
        Ok(Decision {
            accepted: Accepted {
                gap,
                delivery: Delivery::Live,
                first_since_start,
            },
            window: Some(window),
            expires_at: sighting.expires_at,
            statement: sighting.deletion,
            will: false,
        })
    }

    fn decide_retained(
        &self,
        sighting: &Sighting<'_>,
        consumer: Option<&Consumer>,
    ) -> Result<Decision, Rejection> {
        let place = self.expect_newest(sighting, consumer)?;
        let issued_at = sighting.issued_at;
        let young = sighting
            .max_age_seconds
            .filter(|max_age| sighting.now.time.since(issued_at) <= *max_age)
            .filter(|_| self.remembers(issued_at, sighting.leeway_seconds));
        let mut window = self.window(sighting.kid, consumer);
        let live = young.filter(|_| window.accept_live(sighting.id));
        let young_until = issued_at.plus(live.unwrap_or_default());
        Ok(Decision {
            accepted: Accepted {
                gap: None,
                delivery: live.map_or(Delivery::Retained, |_| Delivery::Live),
                first_since_start: place == Place::Unknown,
            },
            window: live.map(|_| window),
            expires_at: sighting.expires_at.min(young_until),
            statement: true,
            will: false,
        })
    }

    /// The order between a will and the statements before it is not consulted the first time: it
    /// was fixed at CONNECT, before all that its device said since.
    fn decide_will(
        &self,
        sighting: &Sighting<'_>,
        consumer: Option<&Consumer>,
    ) -> Result<Decision, Rejection> {
        let id = sighting.id;
        let key = self.keys.get(&sighting.kid);
        if key.is_some_and(|key| key.epoch > id.epoch) {
            return Err(Rejection::WillSpent(id));
        }
        let known = consumer.is_some_and(|consumer| {
            self.wills
                .get(&(consumer.number, sighting.kid))
                .is_some_and(|wills| wills.contains(id))
        });
        if known && !sighting.retain {
            return Err(Rejection::WillSpent(id));
        }
        if known
            && consumer.is_some_and(|consumer| {
                let will = statement(sighting, consumer.number);
                !self.order.will_stands(&will)
            })
        {
            return Err(Rejection::Superseded);
        }
        Ok(Decision {
            accepted: Accepted {
                gap: None,
                delivery: Delivery::Will,
                first_since_start: false,
            },
            window: None,
            expires_at: sighting.expires_at,
            statement: false,
            will: !known,
        })
    }

    fn expect_after_start(&self, sighting: &Sighting<'_>) -> Result<(), Rejection> {
        let (issued_at, leeway) = (sighting.issued_at, sighting.leeway_seconds);
        let refusal = |start: UnixTime| Rejection::BeforeStart {
            issued_at,
            until: start.plus(leeway),
        };
        if sighting.command && issued_at <= self.start.plus(leeway) {
            return Err(refusal(self.start));
        }
        match self.past {
            Past::UnknownUntil(start)
                if !self.remembers(issued_at, leeway)
                    && (sighting.command || !sighting.after_power_loss) =>
            {
                Err(refusal(start))
            }
            _ => Ok(()),
        }
    }

    /// Whether this memory would know of the acceptance of a token that was issued then.
    fn remembers(&self, issued_at: UnixTime, leeway_seconds: u64) -> bool {
        match self.past {
            Past::Known => true,
            Past::UnknownUntil(start) => issued_at > start.plus(leeway_seconds),
        }
    }

    fn expect_newest(
        &self,
        sighting: &Sighting<'_>,
        consumer: Option<&Consumer>,
    ) -> Result<Place, Rejection> {
        let Some(consumer) = consumer else {
            return Ok(Place::Unknown);
        };
        match self.order.place(&statement(sighting, consumer.number)) {
            Place::Lower => Err(Rejection::Superseded),
            place => Ok(place),
        }
    }

    /// The window of a consumer and key as it is, or as it would begin.
    fn window(&self, kid: KeyId, consumer: Option<&Consumer>) -> Window {
        let Some(consumer) = consumer else {
            let newest = self.keys.get(&kid).map(|key| &key.newest);
            return newest.map(Window::begun_at).unwrap_or_default();
        };
        match self.windows.get(&(consumer.number, kid)) {
            Some(placed) => placed.window,
            None => consumer.seed(kid).map(Window::begun_at).unwrap_or_default(),
        }
    }

    fn expect_room(
        &self,
        sighting: &Sighting<'_>,
        consumer: Option<&Consumer>,
        decision: &Decision,
    ) -> Result<(), Failure> {
        let kid = sighting.kid;
        let at = consumer.map(|consumer| (consumer.number, kid));
        if self.keys.len() >= self.bounds.windows && !self.keys.contains_key(&kid) {
            return Err(Failure::MemoryFull("no room for another key"));
        }
        let full = self.slots.windows() >= self.bounds.windows;
        let has_window = || at.is_some_and(|at| self.windows.contains_key(&at));
        if decision.window.is_some() && full && !has_window() {
            return Err(Failure::MemoryFull("no room for another window"));
        }
        if decision.will {
            let wills = at.and_then(|at| self.wills.get(&at));
            let count = wills.map_or(1, |wills| wills.len_with(sighting.id));
            let slots = wills.map_or(0, |wills| wills.slots.len());
            if count > limits::WILLS {
                return Err(Failure::MemoryFull(
                    "too many wills of one sender in one epoch",
                ));
            }
            if full && count.div_ceil(WILLS_PER_RECORD) > slots {
                return Err(Failure::MemoryFull("no room for another will"));
            }
        }
        Ok(())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Stored instead of a start that no synchronized clock told. A version that does not know it
/// refuses everything until the next boot.
pub(super) const UNVOUCHED: Past = Past::UnknownUntil(UnixTime::from_seconds(u64::MAX));
