//! The one file that names sled (0.34.7) and knows its traps.

use super::{Change, Octets, Table};
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The index on disk.
pub(super) struct Disk {
    db: sled::Db,
    keys: sled::Tree,
    devices: sled::Tree,
    dir: PathBuf,
}

/// Why sled did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    /// Another process has the database open.
    #[error("in use")]
    InUse,
    /// Everything else; none of it is worth a distinction, since the index can be rebuilt.
    #[error("{0}")]
    Sled(String),
}

impl Disk {
    /// Opens or makes the database.
    pub(super) fn open(dir: &Path) -> Result<Self, DiskError> {
        remove_half_snapshots(dir).map_err(|error| DiskError::Sled(error.to_string()))?;
        let config = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(CACHE_OCTETS)
            // Its flush every 500 ms would wear the card; this module flushes when it wrote.
            .flush_every_ms(None);
        guarded(|| {
            let db = config.open()?;
            let keys = db.open_tree(b"keys")?;
            let devices = db.open_tree(b"devices")?;
            Ok(Self {
                db,
                keys,
                devices,
                dir: dir.to_owned(),
            })
        })
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Octets>, DiskError> {
        guarded(|| self.tree(table).get(key)).map(|found| found.map(Octets::Disk))
    }

    /// Up to `limit` rows behind the key `after`.
    pub(super) fn page(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Octets, Octets)>, DiskError> {
        guarded(|| {
            let rows = rows_behind(self.tree(table), after);
            let rows = rows.map(|row| row.map(|(k, v)| (Octets::Disk(k), Octets::Disk(v))));
            rows.take(limit).collect()
        })
    }

    /// Number of rows, by counting them.
    pub(super) fn count(&self, table: Table) -> Result<u64, DiskError> {
        guarded(|| {
            let mut count: u64 = 0;
            for row in self.tree(table).iter().keys() {
                row?;
                count = count.saturating_add(1);
            }
            Ok(count)
        })
    }

    /// Changes rows of a table, all or none.
    pub(super) fn change(&self, table: Table, changes: Vec<Change>) -> Result<(), DiskError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        guarded(|| self.tree(table).apply_batch(batch))
    }

    pub(super) fn marker(&self) -> Result<Option<Octets>, DiskError> {
        guarded(|| self.db.get(MARKER)).map(|found| found.map(Octets::Disk))
    }

    /// Makes the rows durable, and only then the marker that vouches for them.
    pub(super) fn commit(&self, marker: &[u8]) -> Result<(), DiskError> {
        self.sync()?;
        guarded(|| self.db.insert(MARKER, marker))?;
        self.sync()
    }

    /// sled's flush is `sync_file_range`, which promises nothing after a power cut.
    fn sync(&self) -> Result<(), DiskError> {
        guarded(|| self.db.flush())?;
        let synced = File::open(self.dir.join("db")).and_then(|db| db.sync_all());
        let synced = synced.and_then(|()| File::open(&self.dir)?.sync_all());
        synced.map_err(|error| DiskError::Sled(error.to_string()))
    }

    fn tree(&self, table: Table) -> &sled::Tree {
        match table {
            Table::Devices => &self.devices,
            Table::Keys => &self.keys,
        }
    }
}

fn rows_behind(tree: &sled::Tree, after: Option<&[u8]>) -> sled::Iter {
    use std::ops::Bound::{Excluded, Unbounded};
    match after {
        Some(after) => tree.range::<&[u8], _>((Excluded(after), Unbounded)),
        None => tree.iter(),
    }
}

/// A kill while sled writes a snapshot leaves a file that makes every later open fail
/// (spacejam/sled#1527).
fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Runs sled. Where it meets octets that it did not expect it may panic: that is damage, too, and
/// must not take the program down.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, DiskError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains(LOCKED) => {
            Err(DiskError::InUse)
        }
        Ok(Err(error)) => Err(DiskError::Sled(error.to_string())),
        Err(_) => Err(DiskError::Sled("sled gave up".to_owned())),
    }
}

const CACHE_OCTETS: u64 = 2 << 20;
const MARKER: &[u8] = b"marker";
/// sled 0.34.7 says so in the text only (its config.rs, `try_lock`).
const LOCKED: &str = "could not acquire lock";
