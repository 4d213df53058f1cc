//! The memory as records, and back.

use super::consumer::Consumer;
use super::memory::{Bounds, Key, Past, PlacedWindow, ReplayMemory, UNVOUCHED};
use super::record::{Content, Record, SEEDS_PER_RECORD, WILLS_PER_RECORD};
use super::slots::Owner;
use super::wills::SpentWills;
use super::window::{Newest, Window};
use crate::key::KeyId;
use crate::time::UnixTime;
use std::collections::HashMap;

/// What became of records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Restoration {
    /// Records that count again.
    pub restored: usize,
    /// Records that are damaged, occur twice or are beyond a bound. With any of these the memory
    /// does not know its past.
    pub refused: usize,
}

impl ReplayMemory {
    /// A memory made of records, in any order. If one of them is unusable, or the record of the
    /// past is absent or no synchronized clock told it, the others count as far as they go, and the
    /// past is unknown until `start`: so nothing that was accepted is accepted again.
    pub fn restore(
        bounds: Bounds,
        start: UnixTime,
        records: impl IntoIterator<Item = Record>,
    ) -> (Self, Restoration) {
        let mut restorer = Restorer {
            memory: Self::new(bounds, Past::Known, start),
            past: None,
            seeds: HashMap::new(),
            restoration: Restoration::default(),
        };
        for record in records {
            let usable = match Content::decode(&record) {
                Ok(Content::Free) => continue,
                Ok(content) => restorer.take(content),
                Err(_) => false,
            };
            let Restoration { restored, refused } = &mut restorer.restoration;
            let count = if usable { restored } else { refused };
            *count = count.saturating_add(1);
        }
        restorer.finish()
    }

    /// Treats the past as unknown until the start of this process: what was stored is not
    /// complete.
    pub fn distrust(&mut self) {
        self.past = Past::UnknownUntil(self.start);
        self.past_ends_at_start = true;
        self.slots.change(self.past_slot);
    }

    /// Hands every changed record to `write`, with the number of its slot, in the order in which
    /// they must be stored. A verdict may be used only when its changes are stored.
    ///
    /// # Errors
    /// That of `write`. The record and all after it are handed out again next time.
    pub fn write_changes<E>(
        &mut self,
        mut write: impl FnMut(u32, &Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut written = 0_usize;
        let mut outcome = Ok(());
        for slot in self.slots.changed() {
            let record = self.content(self.slots.owner(*slot)).encode();
            outcome = write(*slot, &record);
            if outcome.is_err() {
                break;
            }
            written = written.saturating_add(1);
        }
        self.slots.written(written);
        outcome
    }

    /// The records of all slots, in order.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.slots.iter().map(|owner| self.content(owner).encode())
    }

    /// What [`ReplayMemory::records`] gave has been stored as a whole.
    pub fn all_written(&mut self) {
        self.slots.written(usize::MAX);
    }

    fn content(&self, owner: Owner) -> Content {
        match owner {
            Owner::Free => Some(Content::Free),
            Owner::Past => Some(Content::Past {
                since: match self.stored_past() {
                    Past::Known => None,
                    Past::UnknownUntil(start) => Some(start),
                },
            }),
            Owner::Consumer(number) => self.consumer_content(number),
            Owner::Key(kid) => self.keys.get(&kid).map(|key| Content::Key {
                kid,
                newest: key.newest,
                epoch: key.epoch,
                last_accepted: key.last_accepted,
                expires_at: key.expires_at,
            }),
            Owner::Seeds(number, part) => self.seeds_content(number, part),
            Owner::Wills(number, kid, part) => self.wills_content(number, kid, part),
            Owner::Window(number, kid) => {
                let window = self.windows.get(&(number, kid));
                window.map(|placed| Content::Window {
                    consumer: number,
                    kid,
                    window: placed.window,
                })
            }
        }
        .unwrap_or(Content::Free)
    }

    fn consumer_content(&self, number: u64) -> Option<Content> {
        let consumer = self.consumers.numbered(number)?;
        Some(Content::Consumer {
            number,
            digest: consumer.digest,
            created_at: consumer.created_at,
        })
    }

    fn seeds_content(&self, number: u64, part: usize) -> Option<Content> {
        let consumer = self.consumers.numbered(number)?;
        let seeds = consumer.seeds.chunks(SEEDS_PER_RECORD).nth(part)?;
        Some(Content::Seeds {
            consumer: number,
            seeds: seeds.to_vec(),
        })
    }

    fn wills_content(&self, number: u64, kid: KeyId, part: usize) -> Option<Content> {
        let wills = self.wills.get(&(number, kid))?;
        let spent = wills.spent.chunks(WILLS_PER_RECORD).nth(part)?;
        Some(Content::Wills {
            consumer: number,
            kid,
            epoch: wills.epoch,
            expires_at: wills.expires_at,
            spent: spent.to_vec(),
        })
    }
}

struct Restorer {
    memory: ReplayMemory,
    past: Option<Past>,
    seeds: HashMap<u64, Vec<(KeyId, Newest)>>,
    restoration: Restoration,
}

impl Restorer {
    /// Takes a content; answers whether it could be used.
    fn take(&mut self, content: Content) -> bool {
        match content {
            Content::Free => true,
            Content::Past { since } => {
                let past = since.map_or(Past::Known, Past::UnknownUntil);
                self.past.replace(past).is_none()
            }
            Content::Consumer {
                number,
                digest,
                created_at,
            } => self.take_consumer(number, digest, created_at),
            Content::Key {
                kid,
                newest,
                epoch,
                last_accepted,
                expires_at,
            } => {
                let known = self.key(kid);
                known
                    .map(|key| key.merge(&newest, epoch, last_accepted, expires_at))
                    .is_some()
            }
            Content::Seeds { consumer, seeds } => {
                self.seeds.entry(consumer).or_default().extend(seeds);
                true
            }
            Content::Wills {
                consumer,
                kid,
                epoch,
                expires_at,
                spent,
            } => self.take_wills(consumer, kid, epoch, expires_at, spent),
            Content::Window {
                consumer,
                kid,
                window,
            } => self.take_window(consumer, kid, window),
        }
    }

    fn take_consumer(&mut self, number: u64, digest: [u8; 32], created_at: UnixTime) -> bool {
        let memory = &mut self.memory;
        if memory.consumers.len() >= memory.bounds.consumers {
            return false;
        }
        let slot = memory.slots.take(Owner::Consumer(number));
        let added = memory.consumers.add(Consumer {
            number,
            digest,
            slot,
            created_at,
            active_at: created_at,
            expires_at: created_at,
            seeds: Box::default(),
            seed_slots: Vec::new(),
        });
        if !added {
            memory.slots.release(slot);
        }
        added
    }

    fn take_window(&mut self, consumer: u64, kid: KeyId, window: Window) -> bool {
        let memory = &mut self.memory;
        if memory.windows.contains_key(&(consumer, kid)) || !self.has_room() {
            return false;
        }
        let newest = window.newest();
        let Some(key) = self.key(kid) else {
            return false;
        };
        key.merge(
            &newest,
            newest.epoch(),
            window.last_accepted,
            window.expires_at,
        );
        let slot = self.memory.slots.take(Owner::Window(consumer, kid));
        let placed = Box::new(PlacedWindow { slot, window });
        self.memory.windows.insert((consumer, kid), placed);
        true
    }

    fn take_wills(
        &mut self,
        consumer: u64,
        kid: KeyId,
        epoch: u64,
        expires_at: UnixTime,
        spent: Vec<(crate::token::Stream, u64)>,
    ) -> bool {
        if !self.has_room() {
            return false;
        }
        let Some(key) = self.key(kid) else {
            return false;
        };
        key.merge(&Newest::default(), epoch, UnixTime::default(), expires_at);
        let memory = &mut self.memory;
        let wills = memory.wills.entry((consumer, kid)).or_default();
        if epoch < wills.epoch {
            return true; // a second record of an epoch that is over
        }
        if epoch > wills.epoch {
            wills.spent.clear();
        }
        wills.epoch = epoch;
        wills.expires_at = wills.expires_at.max(expires_at);
        wills.spent.extend(spent);
        place_wills(wills, |part| {
            memory.slots.take(Owner::Wills(consumer, kid, part))
        });
        true
    }

    fn has_room(&self) -> bool {
        self.memory.slots.windows() < self.memory.bounds.windows
    }

    fn key(&mut self, kid: KeyId) -> Option<&mut Key> {
        let memory = &mut self.memory;
        if !memory.keys.contains_key(&kid) && memory.keys.len() >= memory.bounds.windows {
            return None;
        }
        let slots = &mut memory.slots;
        Some(memory.keys.entry(kid).or_insert_with(|| Key {
            slot: slots.take(Owner::Key(kid)),
            ..Key::default()
        }))
    }

    fn finish(mut self) -> (ReplayMemory, Restoration) {
        self.place_seeds();
        self.drop_orphans();
        let Self {
            mut memory,
            past,
            restoration,
            ..
        } = self;
        let uses: Vec<_> = memory
            .windows
            .iter()
            .map(|((number, _), placed)| {
                let Window {
                    last_accepted,
                    expires_at,
                    ..
                } = placed.window;
                (*number, last_accepted, expires_at)
            })
            .chain(
                memory
                    .wills
                    .iter()
                    .map(|((number, _), wills)| (*number, UnixTime::default(), wills.expires_at)),
            )
            .collect();
        for (number, at, expires_at) in uses {
            if let Some(consumer) = memory.consumers.numbered_mut(number) {
                consumer.touch(at, expires_at);
            }
        }
        match past {
            Some(past) if past != UNVOUCHED && restoration.refused == 0 => memory.past = past,
            _ => memory.distrust(),
        }
        (memory, restoration)
    }

    fn place_seeds(&mut self) {
        let memory = &mut self.memory;
        for (number, mut seeds) in self.seeds.drain() {
            let Some(consumer) = memory.consumers.numbered_mut(number) else {
                continue; // stored before their consumer, which never was
            };
            let parts = seeds.len().div_ceil(SEEDS_PER_RECORD);
            if memory.slots.windows().saturating_add(parts) > memory.bounds.windows {
                self.restoration.refused = self.restoration.refused.saturating_add(parts);
                continue;
            }
            seeds.sort_unstable_by_key(|(kid, _)| *kid);
            consumer.seeds = seeds.into();
            consumer.seed_slots = (0..parts)
                .map(|part| memory.slots.take(Owner::Seeds(number, part)))
                .collect();
        }
    }

    fn drop_orphans(&mut self) {
        let ReplayMemory {
            consumers,
            windows,
            wills,
            slots,
            ..
        } = &mut self.memory;
        windows.retain(|(number, _), placed| {
            let known = consumers.numbered(*number).is_some();
            if !known {
                slots.release(placed.slot);
            }
            known
        });
        wills.retain(|(number, _), wills| {
            let known = consumers.numbered(*number).is_some();
            if !known {
                wills.slots.iter().for_each(|slot| slots.release(*slot));
            }
            known
        });
    }
}

/// Takes the slots that the wills need.
fn place_wills(wills: &mut SpentWills, mut take: impl FnMut(usize) -> u32) {
    while wills.slots.len() < wills.spent.len().div_ceil(WILLS_PER_RECORD) {
        wills.slots.push(take(wills.slots.len()));
    }
}

impl Key {
    fn merge(
        &mut self,
        newest: &Newest,
        epoch: u64,
        last_accepted: UnixTime,
        expires_at: UnixTime,
    ) {
        self.newest.merge(newest);
        self.epoch = self.epoch.max(epoch);
        self.last_accepted = self.last_accepted.max(last_accepted);
        self.expires_at = self.expires_at.max(expires_at);
    }
}
