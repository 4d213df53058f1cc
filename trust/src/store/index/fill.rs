//! Bringing the index to a manifest: by the difference of single shards, or whole.

use super::Rows;
use super::disk::{Disk, DiskError};
use super::memory::Memory;
use crate::key::KeyId;
use crate::store::StoreError;
use crate::store::document_files::ShardFiles;
use std::cmp::Ordering;

/// What bringing the index to a manifest can fail with.
pub(super) enum Fault {
    /// The database cannot be read or written.
    Disk(DiskError),
    /// A shard cannot be read.
    Shards(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Shards(error)
    }
}

impl From<DiskError> for Fault {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// The mark of an index that is complete: the manifest in force, and how many keys there are.
pub(super) fn marker(manifest: &[u8; 32], keys: u64) -> Vec<u8> {
    [&[VERSION], manifest.as_slice(), &keys.to_be_bytes()].concat()
}

/// The number of keys in a marker of that manifest.
pub(super) fn read_marker(marker: &[u8], manifest: &[u8; 32]) -> Option<u64> {
    let rest = marker.strip_prefix(&[VERSION])?.strip_prefix(manifest)?;
    rest.try_into().ok().map(u64::from_be_bytes)
}

/// Changes the index from the manifest before to this one; gives the number of keys.
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
    let Some(manifest) = manifest else {
        return Ok((disk, 0));
    };
    let keys = synchronize(&disk, shards)?;
    disk.commit(&marker(manifest, keys))?;
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
        let removed = absent(&before, &after);
        keys = keys.saturating_sub(count(removed.len()));
        for kid in removed {
            disk.change((kid, None))?;
        }
    }
    for shard in changed {
        let (before, after) = (shards.rows_before(*shard)?, shards.rows(*shard)?);
        keys = keys.saturating_add(count(absent(&after, &before).len()));
        for (kid, record) in after.0 {
            if before.0.get(&kid) != Some(&record) {
                disk.change((kid, Some(record)))?;
            }
        }
    }
    Ok(keys)
}

/// Makes the index what the shards say, whatever it was: all rows in their order beside those of the
/// database, each page of which is then read and written once.
fn synchronize(disk: &Disk, shards: &ShardFiles) -> Result<u64, Fault> {
    let mut wanted: Vec<(KeyId, Box<[u8]>)> = Vec::new();
    for shard in 0..shards.count() {
        let rows = shards.rows(shard)?.0.into_iter();
        wanted.extend(rows.map(|(kid, record)| (kid, record.into_boxed_slice())));
    }
    wanted.sort_unstable_by_key(|(kid, _)| *kid);
    let keys = count(wanted.len());
    let mut wanted = wanted.into_iter().peekable();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = disk.page(after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.to_vec());
        for (key, found) in &page {
            let place = |kid: &KeyId| kid.octets().as_slice().cmp(key);
            while let Some(new) = wanted.next_if(|(kid, _)| place(kid) == Ordering::Less) {
                disk.change((new.0, Some(new.1.into_vec())))?;
            }
            match wanted.next_if(|(kid, _)| place(kid) == Ordering::Equal) {
                Some((_, record)) if *record == **found => {}
                Some((kid, record)) => disk.change((kid, Some(record.into_vec())))?,
                None => disk.change((stored_kid(key)?, None))?,
            }
        }
    }
    for (kid, record) in wanted {
        disk.change((kid, Some(record.into_vec())))?;
    }
    Ok(keys)
}

fn stored_kid(key: &[u8]) -> Result<KeyId, DiskError> {
    let octets = key.try_into().map(KeyId::from_octets);
    octets.map_err(|_| DiskError::Sled("a key is no kid".to_owned()))
}

/// The keys of `here` that are not `there`.
fn absent(here: &Rows, there: &Rows) -> Vec<KeyId> {
    let kids = here.0.keys().filter(|kid| !there.0.contains_key(kid));
    kids.copied().collect()
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

const PAGE: usize = 1024;
const VERSION: u8 = 1;
