//! The one file that names sled (0.34.7) and knows its traps.

use super::{Change, Octets};
use crate::key::KeyId;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// The index on disk.
pub(super) struct Disk {
    db: sled::Db,
    keys: sled::Tree,
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
        make_private(dir)
            .and_then(|()| remove_half_snapshots(dir))
            .map_err(|error| DiskError::Sled(error.to_string()))?;
        let config = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(CACHE_OCTETS)
            // Its flush every 500 ms would wear the card; this module flushes when it wrote.
            .flush_every_ms(None);
        let open = || {
            let db = config.open()?;
            let keys = db.open_tree(b"keys")?;
            let dir = dir.to_owned();
            Ok(Self { db, keys, dir })
        };
        // One that this process has just closed is let go of by sled's threads a little later.
        for _ in 0..LOCK_TRIES {
            match guarded(open) {
                Err(DiskError::InUse) => sleep(LOCK_PAUSE),
                opened => return opened,
            }
        }
        guarded(open)
    }

    pub(super) fn get(&self, kid: KeyId) -> Result<Option<Octets>, DiskError> {
        guarded(|| self.keys.get(kid.octets())).map(|found| found.map(Octets::Disk))
    }

    /// Up to `limit` rows behind the key `after`, in order.
    pub(super) fn page(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(sled::IVec, sled::IVec)>, DiskError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        let range = (start, Unbounded);
        guarded(|| self.keys.range::<&[u8], _>(range).take(limit).collect())
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> Result<bool, DiskError> {
        self.page(None, 1).map(|rows| rows.is_empty())
    }

    /// Changes one row. Never many in one of sled's batches: it frees no page that a batch outdates before
    /// the batch ends, and little of it then. A first registry of 10,000 keys took 26 MiB, row by row 8.
    pub(super) fn change(&self, (kid, record): Change) -> Result<(), DiskError> {
        guarded(|| match record {
            Some(record) => self.keys.insert(kid.octets(), record),
            None => self.keys.remove(kid.octets()),
        })
        .map(drop)
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
}

/// sled would make it readable for everybody.
fn make_private(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A kill while sled writes a snapshot leaves a file that makes every later open fail
/// (spacejam/sled#1527).
fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
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

const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const CACHE_OCTETS: u64 = 1 << 20;
const MARKER: &[u8] = b"marker";
/// sled 0.34.7 says so in the text only (its config.rs, `try_lock`).
const LOCKED: &str = "could not acquire lock";
