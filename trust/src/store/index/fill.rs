//! Bringing the tables to a manifest: by the difference of single shards, or whole.

use super::disk::{Disk, DiskError};
use super::memory::Memory;
use super::{Change, Rows, Table};
use crate::store::StoreError;
use crate::store::document_files::ShardFiles;
use std::collections::{BTreeMap, HashSet};

/// What bringing tables to a manifest can fail with.
pub(super) enum Fault {
    /// A shard cannot be read.
    Shards(StoreError),
    /// The tables cannot be read or written.
    Tables(DiskError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Shards(error)
    }
}

impl From<DiskError> for Fault {
    fn from(error: DiskError) -> Self {
        Self::Tables(error)
    }
}

/// The mark of an index that is complete: the manifest in force, and how many keys there are.
pub(super) fn marker(manifest: &[u8; 32], keys: u64) -> Vec<u8> {
    [&[VERSION], manifest.as_slice(), &keys.to_be_bytes()].concat()
}

/// Changes the tables from the manifest before to this one; gives the number of keys.
pub(super) fn update(
    disk: &Disk,
    keys: u64,
    manifest: &[u8; 32],
    shards: &ShardFiles,
) -> Result<u64, Fault> {
    let keys = match shards.changed() {
        Some(changed) => change(disk, keys, shards, &changed)?,
        None => synchronize(disk, shards)?,
    };
    disk.commit(&marker(manifest, keys))?;
    Ok(keys)
}

/// Fills an index that holds nothing.
pub(super) fn rebuild(
    disk: Disk,
    manifest: Option<&[u8; 32]>,
    shards: &ShardFiles,
) -> Result<(Disk, u64), Fault> {
    let keys = match manifest {
        Some(manifest) => {
            let keys = synchronize(&disk, shards)?;
            disk.commit(&marker(manifest, keys))?;
            keys
        }
        None => 0,
    };
    Ok((disk, keys))
}

/// All rows, in memory.
pub(super) fn in_memory(shards: &ShardFiles) -> Result<Memory, StoreError> {
    let mut memory = Memory::default();
    for shard in 0..shards.count() {
        memory.add(shards.rows(shard)?);
    }
    Ok(memory)
}

/// Changes the rows of single shards. All removals come first: a key may move from one shard to
/// another.
fn change(
    disk: &Disk,
    mut keys: u64,
    shards: &ShardFiles,
    changed: &[usize],
) -> Result<u64, Fault> {
    for shard in changed {
        let (before, after) = (shards.rows_before(*shard)?, shards.rows(*shard)?);
        for table in TABLES {
            let removals = absent(before.of(table), after.of(table));
            if matches!(table, Table::Keys) {
                keys = keys.saturating_sub(count(&removals));
            }
            disk.change(table, removals)?;
        }
    }
    for shard in changed {
        let (before, after) = (shards.rows_before(*shard)?, shards.rows(*shard)?);
        for table in TABLES {
            if matches!(table, Table::Keys) {
                let added = absent(after.of(table), before.of(table));
                keys = keys.saturating_add(count(&added));
            }
            let differs = |row: &(&Vec<u8>, &Vec<u8>)| before.of(table).get(row.0) != Some(row.1);
            let rows = after.of(table).iter().filter(differs);
            let changes = rows.map(|(key, value)| (key.clone(), Some(value.clone())));
            disk.change(table, changes.collect())?;
        }
    }
    Ok(keys)
}

/// Makes the tables what the shards say, whatever they were.
fn synchronize(disk: &Disk, shards: &ShardFiles) -> Result<u64, Fault> {
    let mut wanted = [HashSet::new(), HashSet::new()];
    for shard in 0..shards.count() {
        let Rows { keys, devices } = shards.rows(shard)?;
        for ((table, rows), wanted) in [(Table::Keys, keys), (Table::Devices, devices)]
            .into_iter()
            .zip(&mut wanted)
        {
            let mut changes: Vec<Change> = Vec::new();
            for (key, value) in rows {
                wanted.insert(key.clone());
                let found = disk.get(table, &key)?;
                if found.as_ref().map(AsRef::as_ref) != Some(value.as_slice()) {
                    changes.push((key, Some(value)));
                }
            }
            disk.change(table, changes)?;
        }
    }
    for (table, wanted) in [Table::Keys, Table::Devices].into_iter().zip(&wanted) {
        remove_others(disk, table, wanted)?;
    }
    let [kids, _] = &wanted;
    Ok(u64::try_from(kids.len()).unwrap_or(u64::MAX))
}

fn remove_others(disk: &Disk, table: Table, wanted: &HashSet<Vec<u8>>) -> Result<(), Fault> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = disk.page(table, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = Some(last.as_ref().to_vec());
        let unwanted = page
            .iter()
            .filter(|(key, _)| !wanted.contains(key.as_ref()));
        let removals = unwanted.map(|(key, _)| (key.as_ref().to_vec(), None));
        disk.change(table, removals.collect())?;
    }
}

/// Removals of the rows whose keys are in one set and not in the other.
fn absent(here: &BTreeMap<Vec<u8>, Vec<u8>>, there: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<Change> {
    let keys = here.keys().filter(|key| !there.contains_key(*key));
    keys.map(|key| (key.clone(), None)).collect()
}

fn count(changes: &[Change]) -> u64 {
    u64::try_from(changes.len()).unwrap_or(u64::MAX)
}

const TABLES: [Table; 2] = [Table::Keys, Table::Devices];
const PAGE: usize = 1024;
const VERSION: u8 = 1;
