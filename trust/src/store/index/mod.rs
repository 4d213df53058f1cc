//! The index of keys: what a verification looks up. Never the only copy: it can be
//! rebuilt from the shards at any time, and is whenever it does not fit the manifest.

mod disk;
mod fill;
mod memory;

use super::document_files::ShardFiles;
use super::{IndexReport, StoreError, atomic_file, record};
use crate::key::KeyId;
use crate::registry::PeerKey;
use disk::{Disk, DiskError};
use fill::Fault;
use memory::Memory;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The index of one state directory.
pub(super) struct Index {
    dir: PathBuf,
    /// Written only to put other tables in their place; sled has its own locks for rows.
    tables: RwLock<Tables>,
    key_count: AtomicU64,
}

enum Tables {
    Disk(Disk),
    Memory(Memory),
}

/// The rows that one shard is good for: records by `kid`.
#[derive(Debug, Default)]
pub(super) struct Rows(BTreeMap<KeyId, Vec<u8>>);

/// Octets of a row, wherever they lie.
enum Octets {
    Disk(sled::IVec),
    Memory(Arc<[u8]>),
}

/// A row's new record, or its removal.
type Change = (KeyId, Option<Vec<u8>>);

impl Index {
    /// Opens the index in `dir` for the manifest whose shards are given, or for none; rebuilds it if
    /// it does not fit.
    ///
    /// # Errors
    /// When another process has it open, and when the shards cannot be read.
    pub(super) fn open(
        dir: &Path,
        manifest: Option<&[u8; 32]>,
        shards: &ShardFiles,
    ) -> Result<(Self, IndexReport), StoreError> {
        let existed = dir.exists();
        let (disk, what) = match Disk::open(dir) {
            Err(DiskError::InUse) => {
                let path = dir.to_owned();
                return Err(StoreError::InUse { path });
            }
            Err(DiskError::Sled(what)) => (None, what),
            Ok(disk) => match fit(&disk, manifest) {
                Ok(keys) => {
                    let index = Self::of(dir, Tables::Disk(disk), keys);
                    return Ok((index, IndexReport::Used { keys }));
                }
                Err(what) if existed => (None, what),
                Err(_) => (Some(disk), "there was none".to_owned()),
            },
        };
        let disk = disk.map_or_else(|| renew(dir), Ok);
        let built = disk.and_then(|disk| fill::rebuild(disk, manifest, shards));
        let (tables, keys, report) = match built {
            Ok((disk, keys)) => (
                Tables::Disk(disk),
                keys,
                IndexReport::Rebuilt { what, keys },
            ),
            Err(Fault::Shards(error)) => return Err(error),
            Err(Fault::Disk(error)) => {
                let memory = fill::in_memory(shards)?;
                let keys = memory.key_count();
                let what = format!("{what}; rebuilding it: {error}");
                (Tables::Memory(memory), keys, IndexReport::InMemory { what })
            }
        };
        Ok((Self::of(dir, tables, keys), report))
    }

    /// The key `kid`, with its device.
    pub(super) fn key(&self, kid: KeyId) -> Result<Option<PeerKey>, StoreError> {
        let row = self.read(|tables| match tables {
            Tables::Disk(disk) => disk.get(kid),
            Tables::Memory(memory) => Ok(memory.get(kid)),
        });
        let row = row.map_err(|error| self.damaged(&error))?;
        let key = row.map(|row| record::decode(kid, row.as_ref()));
        key.transpose().map_err(|error| self.damaged(&error))
    }

    /// Number of keys.
    pub(super) fn key_count(&self) -> u64 {
        self.key_count.load(Ordering::Relaxed)
    }

    /// Brings the index to the manifest whose shards are given. One changed shard touches only its
    /// rows. A disk that fails is no error: the index goes on in memory, and the report says so.
    ///
    /// # Errors
    /// When the shards cannot be read.
    pub(super) fn update(
        &self,
        manifest: &[u8; 32],
        shards: &ShardFiles,
    ) -> Result<IndexReport, StoreError> {
        let updated = self.read(|tables| match tables {
            Tables::Disk(disk) => fill::update(disk, self.key_count(), manifest, shards),
            Tables::Memory(_) => Err(Fault::Disk(DiskError::Sled("it was in memory".into()))),
        });
        let what = match updated {
            Ok(keys) => {
                self.key_count.store(keys, Ordering::Relaxed);
                return Ok(IndexReport::Used { keys });
            }
            Err(Fault::Shards(error)) => error.to_string(),
            Err(Fault::Disk(error)) => error.to_string(),
        };
        // Readers need complete tables while the disk is written anew.
        let memory = fill::in_memory(shards)?;
        let keys = memory.key_count();
        self.replace(Tables::Memory(memory), keys);
        let built = renew(&self.dir).and_then(|disk| fill::rebuild(disk, Some(manifest), shards));
        match built {
            Ok((disk, keys)) => {
                self.replace(Tables::Disk(disk), keys);
                Ok(IndexReport::Rebuilt { what, keys })
            }
            Err(Fault::Shards(error)) => Err(error),
            Err(Fault::Disk(error)) => {
                let what = format!("{what}; rebuilding it: {error}");
                Ok(IndexReport::InMemory { what })
            }
        }
    }

    fn of(dir: &Path, tables: Tables, key_count: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            tables: RwLock::new(tables),
            key_count: AtomicU64::new(key_count),
        }
    }

    fn read<T>(&self, reading: impl FnOnce(&Tables) -> T) -> T {
        reading(&self.tables.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other tables in place. When this returns nobody holds the old ones any more.
    fn replace(&self, tables: Tables, key_count: u64) {
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
        self.key_count.store(key_count, Ordering::Relaxed);
    }

    fn damaged(&self, what: &impl ToString) -> StoreError {
        StoreError::Index {
            path: self.dir.clone(),
            what: what.to_string(),
        }
    }
}

impl Rows {
    /// Adds a key of a device.
    pub(super) fn add(&mut self, key: &PeerKey) {
        self.0.insert(key.key.id(), record::encode(key));
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Disk(octets) => octets,
            Self::Memory(octets) => octets,
        }
    }
}

/// Number of keys in an index that fits the manifest, or why it does not.
///
/// The rows were durable before the marker, and sled has a checksum on everything: counting them again
/// at every start would read the whole index.
fn fit(disk: &Disk, manifest: Option<&[u8; 32]>) -> Result<u64, String> {
    let words = |error: DiskError| error.to_string();
    let marker = disk.marker().map_err(words)?;
    let keys = match (marker, manifest) {
        (None, None) => Some(0),
        (Some(marker), Some(manifest)) => fill::read_marker(marker.as_ref(), manifest),
        _ => None,
    };
    let keys = keys.ok_or("it does not fit the manifest in force")?;
    match disk.is_empty().map_err(words)? {
        empty if empty == (keys == 0) => Ok(keys),
        _ => Err("it does not hold as many keys as it says".to_owned()),
    }
}

/// Sets a broken index aside for whoever wants to find out why, and begins another.
fn renew(dir: &Path) -> Result<Disk, Fault> {
    if dir.exists() {
        set_aside(dir).map_err(|error| Fault::Disk(DiskError::Sled(error.to_string())))?;
    }
    Disk::open(dir).map_err(Fault::Disk)
}

/// Renames the directory; of those that were set aside before none is kept, lest the disk fill up.
fn set_aside(dir: &Path) -> Result<(), StoreError> {
    let parent = dir.parent().unwrap_or(dir);
    let number_of = |name: &String| name.strip_prefix(BROKEN)?.parse::<u64>().ok();
    let numbers = atomic_file::names(parent)?;
    let numbers: Vec<u64> = numbers.iter().filter_map(number_of).collect();
    let number = numbers.iter().max().map_or(1, |n| n.saturating_add(1));
    let aside = parent.join(format!("{BROKEN}{number}"));
    let renamed = fs::rename(dir, &aside);
    renamed.map_err(|error| atomic_file::io_error("set aside", dir, error))?;
    for number in numbers {
        let _ = fs::remove_dir_all(parent.join(format!("{BROKEN}{number}")));
    }
    atomic_file::sync_dir(parent)
}

const BROKEN: &str = "index.broken-";

#[cfg(test)]
mod tests;
