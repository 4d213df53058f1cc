//! The index in memory: for as long as the disk does not take it.

use super::{Octets, Rows};
use crate::key::KeyId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All rows. They grow with the fleet, unlike the index on disk.
#[derive(Default)]
pub(super) struct Memory(BTreeMap<KeyId, Arc<[u8]>>);

impl Memory {
    pub(super) fn add(&mut self, rows: Rows) {
        let shared = |(kid, record): (KeyId, Vec<u8>)| (kid, Arc::from(record));
        self.0.extend(rows.0.into_iter().map(shared));
    }

    pub(super) fn get(&self, kid: KeyId) -> Option<Octets> {
        let found = self.0.get(&kid);
        found.map(|record| Octets::Memory(Arc::clone(record)))
    }

    pub(super) fn key_count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}
