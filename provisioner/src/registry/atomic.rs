//! Files that are whole or not there: written beside their place, on disk, then renamed.

use crate::error::{CommandError, Result};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes files of one directory so that each is replaced at once; all are on disk after
/// [`Batch::commit`].
pub(crate) struct Batch<'a> {
    dir: &'a Path,
    written: Vec<(PathBuf, PathBuf)>,
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
            written: Vec::new(),
        })
    }

    /// Writes `bytes` beside the file `name`. The registry's lock is held: nobody else uses the
    /// name, and what a killed process left is overwritten.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = self.dir.join(format!(".{name}.tmp"));
        let write = |path: &Path| {
            let mut file = File::create(path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write(&temporary).map_err(|why| CommandError::io("write", &temporary, &why))?;
        self.written.push((temporary, self.dir.join(name)));
        Ok(())
    }

    /// Puts every file into its place, in the order of [`Batch::add`].
    ///
    /// # Errors
    /// The system refuses; files before that one are in place, those after it are as before.
    pub(crate) fn commit(self) -> Result<()> {
        for (temporary, path) in &self.written {
            std::fs::rename(temporary, path)
                .map_err(|why| CommandError::io("replace", path, &why))?;
        }
        sync_directory(self.dir)
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
