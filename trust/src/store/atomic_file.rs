//! Files that are there whole or not at all, also after a power cut: temporary file, fsync, rename,
//! fsync of the directory.

use super::StoreError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Replaces or makes the file `path`, durably: when this returns, a power cut leaves the new octets;
/// when it fails, the old ones or the new ones, never a mixture.
pub(super) fn write(path: &Path, octets: &[u8]) -> Result<(), StoreError> {
    prepare(path, octets)?;
    replace(path)
}

/// As [`write`], except that the name is durable only after [`sync_dir`] on the directory.
pub(super) fn place(path: &Path, octets: &[u8]) -> Result<(), StoreError> {
    prepare(path, octets)?;
    rename(path)
}

/// The first half of [`write`]: the octets, durably, in a temporary file beside `path`. What cannot
/// be written whole is removed, so that a full disk is not made fuller.
pub(super) fn prepare(path: &Path, octets: &[u8]) -> Result<(), StoreError> {
    let temporary = temporary(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        io_error("write", path, error)
    })
}

/// The second half of [`write`].
pub(super) fn replace(path: &Path) -> Result<(), StoreError> {
    rename(path)?;
    sync_parent(path)
}

/// Makes the file `path`, durably, or says `false` when it exists.
pub(super) fn create_new(path: &Path, octets: &[u8]) -> Result<bool, StoreError> {
    prepare(path, octets)?;
    let temporary = temporary(path);
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io_error("create", path, error)),
    }
}

/// Reads a file of at most `limit` octets; nothing if it does not exist.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error| io_error("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let past_limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    let read = file.take(past_limit).read_to_end(&mut octets);
    if read.map_err(failed)? > limit {
        return Err(StoreError::Document {
            path: path.to_owned(),
            what: format!("longer than {limit} octets"),
        });
    }
    Ok(Some(octets))
}

/// Makes a directory for this account alone, durably; it may exist.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => sync_parent(dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error("create", dir, error)),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| io_error("sync", dir, error))
}

/// The names in a directory, sorted; none if it does not exist.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |error| io_error("read", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a name is that of a temporary file, left by a kill.
pub(super) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}

/// A failure of the system at `path`.
pub(super) fn io_error(action: &'static str, path: &Path, error: io::Error) -> StoreError {
    StoreError::Io {
        path: path.to_owned(),
        action,
        error,
    }
}

fn rename(path: &Path) -> Result<(), StoreError> {
    let temporary = temporary(path);
    fs::rename(&temporary, path).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        io_error("replace", path, error)
    })
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), sync_dir)
}

const TEMPORARY: &str = ".tmp";
