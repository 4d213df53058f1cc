//! Which slot of the replay file holds which record, and which of them have changed.

use crate::key::KeyId;

/// What a slot holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    Consumer(u64),
    Free,
    Key(KeyId),
    /// Since when the memory is complete.
    Past,
    /// The part of that number of what a consumer began with.
    Seeds(u64, usize),
    /// The part of that number of the wills of a key.
    Wills(u64, KeyId, usize),
    Window(u64, KeyId),
}

/// The slots, each with its owner.
#[derive(Debug, Default)]
pub(super) struct Slots {
    owners: Vec<(Owner, Changed)>,
    free: Vec<u32>,
    changed: Vec<u32>,
    windows: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Changed {
    No,
    Yes,
}

impl Slots {
    /// Slots that windows, and what belongs to them, occupy.
    pub(super) fn windows(&self) -> usize {
        self.windows
    }

    /// Takes a slot, which counts as changed.
    pub(super) fn take(&mut self, owner: Owner) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.owners.push((Owner::Free, Changed::No));
            u32::try_from(self.owners.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        if owner.is_windows() {
            self.windows = self.windows.saturating_add(1);
        }
        self.set(slot, owner);
        slot
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, slot: u32) {
        if self.owner(slot).is_windows() {
            self.windows = self.windows.saturating_sub(1);
        }
        self.set(slot, Owner::Free);
        self.free.push(slot);
    }

    /// Marks a slot as changed. Slots are written in the order in which they changed first.
    pub(super) fn change(&mut self, slot: u32) {
        if let Some((_, changed)) = self.entry(slot)
            && *changed == Changed::No
        {
            *changed = Changed::Yes;
            self.changed.push(slot);
        }
    }

    /// The changed slots in the order in which they are to be written.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// The first `count` changed slots have been written.
    pub(super) fn written(&mut self, count: usize) {
        let count = count.min(self.changed.len());
        for slot in self.changed.drain(..count) {
            let index = usize::try_from(slot).unwrap_or(usize::MAX);
            if let Some((_, changed)) = self.owners.get_mut(index) {
                *changed = Changed::No;
            }
        }
    }

    /// Who owns a slot.
    pub(super) fn owner(&self, slot: u32) -> Owner {
        usize::try_from(slot)
            .ok()
            .and_then(|slot| self.owners.get(slot))
            .map_or(Owner::Free, |(owner, _)| *owner)
    }

    /// The owners of all slots, in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Owner> {
        self.owners.iter().map(|(owner, _)| *owner)
    }

    /// A slot that gets another owner is written after everything that changed before.
    fn set(&mut self, slot: u32, owner: Owner) {
        if let Some(entry) = self.entry(slot) {
            let changed = std::mem::replace(entry, (owner, Changed::Yes)).1;
            if changed == Changed::Yes {
                self.changed.retain(|other| *other != slot);
            }
            self.changed.push(slot);
        }
    }

    fn entry(&mut self, slot: u32) -> Option<&mut (Owner, Changed)> {
        self.owners.get_mut(usize::try_from(slot).ok()?)
    }
}

impl Owner {
    /// Whether it counts towards the bound of windows.
    const fn is_windows(self) -> bool {
        match self {
            Self::Seeds(..) | Self::Wills(..) | Self::Window(..) => true,
            Self::Consumer(_) | Self::Free | Self::Key(_) | Self::Past => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Owner, Slots};

    #[test]
    fn a_slot_that_is_used_again_is_written_once_and_last() {
        let mut slots = Slots::default();
        let seeds = slots.take(Owner::Seeds(1, 0));
        assert_eq!((slots.changed(), slots.windows()), (&[seeds][..], 1));
        slots.written(1);
        slots.release(seeds);
        let window = slots.take(Owner::Past);
        assert_eq!(window, seeds, "free ones go first");
        let next = slots.take(Owner::Seeds(2, 0));
        slots.release(window);
        let consumer = slots.take(Owner::Consumer(2));
        slots.change(next);
        assert_eq!(slots.changed(), [next, consumer]);
        assert_eq!(slots.windows(), 1);
        slots.written(1);
        assert_eq!(slots.changed(), [consumer]);
        slots.change(next);
        assert_eq!(slots.changed(), [consumer, next]);
    }
}
