//! Wills that a consumer has accepted: each is live once.

use crate::key::KeyId;
use crate::limits;
use crate::time::UnixTime;
use crate::token::{Stream, TokenId};
use std::collections::HashMap;

/// The wills of all consumers and keys.
pub(super) type Wills = HashMap<(u64, KeyId), SpentWills>;

/// The wills of one key, of its newest epoch only, that one consumer has accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct SpentWills {
    pub(super) epoch: u64,
    /// When the last of them expires.
    pub(super) expires_at: UnixTime,
    pub(super) spent: Vec<(Stream, u64)>,
    /// The slots of its records.
    pub(super) slots: Vec<u32>,
}

impl SpentWills {
    /// Whether this will was accepted.
    pub(super) fn contains(&self, id: TokenId) -> bool {
        self.epoch == id.epoch && self.spent.contains(&(id.stream, id.counter))
    }

    /// How many wills are remembered once this one is: those of older epochs are dropped.
    pub(super) fn len_with(&self, id: TokenId) -> usize {
        match self.epoch == id.epoch {
            true => self.spent.len().saturating_add(1),
            false => 1,
        }
    }

    /// Remembers a will.
    pub(super) fn add(&mut self, id: TokenId, expires_at: UnixTime) {
        if self.epoch != id.epoch {
            self.epoch = id.epoch;
            self.spent.clear();
        }
        self.spent.push((id.stream, id.counter));
        self.expires_at = self.expires_at.max(expires_at);
    }
}

const _: () = assert!(limits::WILLS.is_multiple_of(super::record::WILLS_PER_RECORD));
