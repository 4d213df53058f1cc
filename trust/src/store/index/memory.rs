//! The index in memory: for as long as the disk does not take it.

use super::{Octets, Rows, Table};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

/// Both tables. They grow with the fleet, unlike the index on disk.
#[derive(Default)]
pub(super) struct Memory {
    keys: BTreeMap<Vec<u8>, Arc<[u8]>>,
    devices: BTreeMap<Vec<u8>, Arc<[u8]>>,
}

impl Memory {
    pub(super) fn add(&mut self, rows: Rows) {
        let shared = |(key, value): (Vec<u8>, Vec<u8>)| (key, Arc::from(value));
        self.keys.extend(rows.keys.into_iter().map(shared));
        self.devices.extend(rows.devices.into_iter().map(shared));
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Octets> {
        let found = self.rows(table).get(key);
        found.map(|value| Octets::Memory(Arc::clone(value)))
    }

    pub(super) fn page(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Vec<(Octets, Octets)> {
        let start = after.map_or(Unbounded, Excluded);
        let rows = self.rows(table).range::<[u8], _>((start, Unbounded));
        let rows = rows.map(|(key, value)| {
            let key = Octets::Memory(key.as_slice().into());
            (key, Octets::Memory(Arc::clone(value)))
        });
        rows.take(limit).collect()
    }

    pub(super) fn key_count(&self) -> u64 {
        u64::try_from(self.keys.len()).unwrap_or(u64::MAX)
    }

    fn rows(&self, table: Table) -> &BTreeMap<Vec<u8>, Arc<[u8]>> {
        match table {
            Table::Devices => &self.devices,
            Table::Keys => &self.keys,
        }
    }
}
