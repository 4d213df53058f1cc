//! Files that are whole or not there: written beside their place, on disk, then renamed.

use crate::error::{CommandError, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes files of one directory so that each is replaced at once; all are on disk after
/// [`Batch::commit`]. Thousands of them are flushed side by side: one after the other, each waits for the disk.
pub(crate) struct Batch<'a> {
    dir: &'a Path,
    mode: u32,
    written: Vec<(PathBuf, PathBuf)>,
    unflushed: Vec<(PathBuf, File)>,
}

impl<'a> Batch<'a> {
    /// A batch for `dir`, which is made where it does not exist.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub(crate) fn new(dir: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|why| CommandError::io("create", dir, &why))?;
        Ok(Self {
            dir,
            mode: 0o666, // as far as the user's mask lets them
            written: Vec::new(),
            unflushed: Vec::new(),
        })
    }

    /// The same for files that nobody else may read.
    #[must_use]
    pub(crate) fn private(self) -> Self {
        Self {
            mode: 0o600,
            ..self
        }
    }

    /// Writes `bytes` beside the file `name`. The registry's lock is held: nobody else uses the
    /// name, and what a killed process left is overwritten.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = self.dir.join(format!(".{name}.tmp"));
        let write = |path: &Path| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            let mut file = options.mode(self.mode).open(path)?;
            file.write_all(bytes)?;
            Ok(file)
        };
        let file = write(&temporary).map_err(|why| CommandError::io("write", &temporary, &why))?;
        self.unflushed.push((temporary.clone(), file));
        self.written.push((temporary, self.dir.join(name)));
        if self.unflushed.len() < MOST_UNFLUSHED {
            return Ok(());
        }
        self.flush()
    }

    /// Puts every file into its place, in the order of [`Batch::add`].
    ///
    /// # Errors
    /// The system refuses; files before that one are in place, those after it are as before.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.flush()?;
        for (temporary, path) in &self.written {
            std::fs::rename(temporary, path)
                .map_err(|why| CommandError::io("replace", path, &why))?;
        }
        sync_directory(self.dir)
    }

    fn flush(&mut self) -> Result<()> {
        let unflushed = std::mem::take(&mut self.unflushed);
        let flush = |(path, file): &(PathBuf, File)| {
            let flushed = file.sync_all();
            flushed.map_err(|why| CommandError::io("write", path, &why))
        };
        let share = unflushed.len().div_ceil(FLUSHERS).max(1);
        std::thread::scope(|scope| {
            let flushers: Vec<_> = unflushed
                .chunks(share)
                .map(|share| scope.spawn(move || share.iter().try_for_each(flush)))
                .collect();
            flushers.into_iter().try_for_each(|flusher| {
                let ended = flusher.join();
                ended.unwrap_or_else(|_| Err(CommandError::io("flush", self.dir, &interrupted())))
            })
        })
    }
}

/// Replaces one file.
///
/// # Errors
/// The system refuses; the file is as before.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let mut batch = Batch::new(dir)?;
    batch.add(name, bytes)?;
    batch.commit()
}

/// Replaces a file that the operator named, wherever it lies.
///
/// # Errors
/// The system refuses; the file is as before.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        CommandError::usage("file-name", format!("{} names no file", path.display()))
    })?;
    write(dir, name, bytes)
}

/// Makes renames and deletions in `dir` durable.
///
/// # Errors
/// The system refuses.
pub(crate) fn sync_directory(dir: &Path) -> Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|why| CommandError::io("sync", dir, &why))
}

/// A thread that flushed did not come to its end.
fn interrupted() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

/// Files that are open at one time.
const MOST_UNFLUSHED: usize = 256;
/// Threads that wait for the disk side by side.
const FLUSHERS: usize = 16;
