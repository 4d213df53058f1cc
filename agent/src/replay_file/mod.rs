//! The file of the replay memory: small positioned writes on tmpfs while the agent runs, one copy
//! in the state directory at a clean stop. It survives `kill -9` and costs no flash.
//!
//! Both files are bound to a boot epoch and count in the very next one only: whoever opens them
//! takes a new epoch first. Opening always begins a new file, so an old one never mixes with it.

mod header;
mod load;
mod ours;

#[cfg(test)]
mod tests;

pub use load::{Origin, Unusable};

use edgeseal_trust::limits::WINDOW_OCTETS;
use edgeseal_trust::replay::{Bounds, Record, ReplayMemory};
use edgeseal_trust::time::UnixTime;
pub(crate) use header::BootId;
use header::{Header, State};
pub(crate) use ours::{NotOurs, open_ours};
use rustix::fs::{Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Stores what a [`ReplayMemory`] must not forget.
#[derive(Debug)]
pub struct ReplayFile {
    path: PathBuf,
    saved: PathBuf,
    epoch: u64,
    boot: BootId,
    /// Nothing while the file cannot be written: then it does not exist either, and the next
    /// process knows that it does not know.
    file: Option<File>,
}

/// A memory with its file.
#[derive(Debug)]
pub struct Opened {
    /// Stores the memory.
    pub file: ReplayFile,
    /// The memory, restored as far as that was possible.
    pub memory: ReplayMemory,
    /// Where it comes from.
    pub origin: Origin,
    /// Files that were there and could not be used: to be logged, each with its reason.
    pub unusable: Vec<Unusable>,
}

/// Whether changes are stored.
#[derive(Debug)]
#[must_use]
pub enum Stored {
    /// They are not: the file could not be written and has been removed, so the next process will
    /// refuse what was issued before its start. To be logged; said once.
    Detached(io::Error),
    /// They are, or it was said before that they are not.
    Done,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {action}: {error}\n  hint: {}", path.display(), hint(error))]
pub struct ReplayFileError {
    /// The file.
    pub path: PathBuf,
    /// What was attempted.
    pub action: &'static str,
    /// What the system said.
    pub error: io::Error,
}

impl ReplayFileError {
    /// Stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "replay-file"
    }
}

impl ReplayFile {
    /// Restores the memory of the epoch before `epoch` from `runtime/replay`, or else from
    /// `state/replay.saved`, and begins a new file. The saved one is consumed. `epoch` is that of
    /// this process, taken for it alone; `start` is when this process began to remember.
    ///
    /// # Errors
    /// [`ReplayFileError`] when no file can be begun or the saved one cannot be removed. A file
    /// that cannot be *read* is no error: the memory then does not know its past.
    pub fn open(
        runtime: &Path,
        state: &Path,
        epoch: u64,
        bounds: Bounds,
        start: UnixTime,
    ) -> Result<Opened, ReplayFileError> {
        let (path, saved) = (runtime.join(RUNTIME_FILE), state.join(SAVED_FILE));
        let boot = boot_id().map_err(|error| failed(Path::new(BOOT_ID), "read it", error))?;
        let own = load::Own { epoch, boot };
        let (mut memory, origin, unusable) = load::load(&path, &saved, own, bounds, start);
        let mut file = Self {
            path,
            saved,
            epoch,
            boot,
            file: None,
        };
        file.begin(&mut memory)?;
        file.remove_saved()?;
        Ok(Opened {
            file,
            memory,
            origin,
            unusable,
        })
    }

    /// Stores what has changed. To be called after every judgement, before its verdict is used.
    ///
    /// # Errors
    /// [`ReplayFileError`] when a write failed and the file, which is wrong now, cannot be removed
    /// either: then the verdict must not be used.
    pub fn store(&mut self, memory: &mut ReplayMemory) -> Result<Stored, ReplayFileError> {
        let Some(file) = &self.file else {
            return Ok(Stored::Done);
        };
        let Err(error) = memory.write_changes(|slot, record| write_at(file, slot, record)) else {
            return Ok(Stored::Done);
        };
        self.file = None;
        remove(&self.path)?;
        Ok(Stored::Detached(error))
    }

    /// Begins the file anew if it had to be removed. To be called now and then.
    ///
    /// # Errors
    /// [`ReplayFileError`] while it still cannot be written.
    pub fn reattach(&mut self, memory: &mut ReplayMemory) -> Result<(), ReplayFileError> {
        match self.file {
            Some(_) => Ok(()),
            None => self.begin(memory),
        }
    }

    /// Goes on in another epoch, which this process has taken since: the file counts in the one after
    /// that.
    ///
    /// # Errors
    /// [`ReplayFileError`] when it cannot be written anew: then the next process does not believe it.
    pub fn follow_epoch(
        &mut self,
        epoch: u64,
        memory: &mut ReplayMemory,
    ) -> Result<(), ReplayFileError> {
        self.epoch = epoch;
        match self.file {
            Some(_) => self.begin(memory),
            None => Ok(()),
        }
    }

    /// Saves the memory in the state directory: the last act of a clean stop.
    ///
    /// # Errors
    /// [`ReplayFileError`]; the file in the runtime directory still counts until the next boot.
    pub fn save(mut self, memory: &mut ReplayMemory) -> Result<(), ReplayFileError> {
        let _ = self.store(memory)?;
        let records = memory.records().count();
        let state = State::Clean {
            records: u64::try_from(records).unwrap_or(u64::MAX),
        };
        let header = Header {
            epoch: self.epoch,
            boot: self.boot,
            state,
        };
        let write = |file: &File| {
            let mut file = BufWriter::new(file);
            file.write_all(&header.encode())?;
            for record in memory.records() {
                file.write_all(&record)?;
            }
            file.flush()?;
            file.get_ref().sync_all()
        };
        replace(&self.saved, "save the replay memory", write)?;
        sync_directory(&self.saved)
    }

    /// Writes the whole memory into a new file that takes the place of the old one at once.
    fn begin(&mut self, memory: &mut ReplayMemory) -> Result<(), ReplayFileError> {
        let header = Header {
            epoch: self.epoch,
            boot: self.boot,
            state: State::Open,
        };
        let write = |file: &File| {
            let mut buffer = BufWriter::new(file);
            buffer.write_all(&header.encode())?;
            for record in memory.records() {
                buffer.write_all(&record)?;
            }
            buffer.flush()
        };
        self.file = Some(replace(&self.path, "begin the replay file", write)?);
        memory.all_written();
        Ok(())
    }

    /// Removes the saved file for good: it must not count again in an epoch that a lost counter
    /// repeats.
    fn remove_saved(&self) -> Result<(), ReplayFileError> {
        if self.saved.symlink_metadata().is_err() {
            return Ok(()); // nothing is written to flash where there was none
        }
        remove(&self.saved)?;
        sync_directory(&self.saved)
    }
}

/// The kernel's name of this boot.
pub(crate) fn boot_id() -> io::Result<BootId> {
    let text = fs::read(BOOT_ID)?;
    let id = text.first_chunk().copied();
    id.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// Writes a new file (0600) beside `path` and moves it there.
pub(crate) fn replace(
    path: &Path,
    action: &'static str,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> Result<File, ReplayFileError> {
    let failed = |error| failed(path, action, error);
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&new, flags, Mode::RUSR | Mode::WUSR)
        .map(File::from)
        .map_err(|error| failed(error.into()))?;
    let written = write(&file).and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&new); // it is no replay file, and would only take room
        return Err(failed(error));
    }
    Ok(file)
}

fn write_at(file: &File, slot: u32, record: &Record) -> io::Result<()> {
    // the header takes the place of one more slot before the first
    let octets = u64::try_from(WINDOW_OCTETS).map_err(io::Error::other)?;
    let offset = u64::from(slot).saturating_add(1).saturating_mul(octets);
    file.write_all_at(record, offset)
}

pub(crate) fn remove(path: &Path) -> Result<(), ReplayFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(path, "remove it", error))
        }
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> Result<(), ReplayFileError> {
    let directory = path.parent().unwrap_or(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| failed(directory, "flush the directory", error))
}

pub(crate) fn failed(path: &Path, action: &'static str, error: io::Error) -> ReplayFileError {
    ReplayFileError {
        path: path.to_owned(),
        action,
        error,
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create the directory, owned by the agent's user, mode 0700",
        io::ErrorKind::PermissionDenied => "run as the agent's user, or as root",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or configure another directory",
        io::ErrorKind::StorageFull => "make room on the file system",
        _ => "check runtime_directory and state_directory of [agent]",
    }
}

/// Name of the file in the runtime directory.
pub const RUNTIME_FILE: &str = "replay";
/// Name of the file in the state directory.
pub const SAVED_FILE: &str = "replay.saved";
pub(crate) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
