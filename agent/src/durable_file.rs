//! Small files of the state directory that are there whole or not at all, also after a power cut:
//! temporary file, fsync, rename, fsync of the directory. Readable by their owner alone.
//!
//! Every operation goes through a [`Disk`], so that a test can end the power before each of them.

use rustix::fs::OFlags;
use rustix::process::geteuid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// What is asked before anything on the disk is changed. The operations are the system's own.
pub(crate) trait Disk {
    /// Whether the next operation may happen.
    ///
    /// # Errors
    /// It does not: the power is gone.
    fn go_on(&self) -> io::Result<()>;
}

/// The disk as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live;

impl Disk for Live {
    fn go_on(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes `dir/name` durably, in the place of whatever is there.
pub(crate) fn replace(disk: &dyn Disk, dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = write_new(disk, dir, name, content)?;
    rename(disk, &new, &dir.join(name))?;
    sync(disk, dir)
}

/// Writes `dir/name` durably where there is nothing: what is there already wins, whatever the moment
/// it came.
pub(crate) fn create(disk: &dyn Disk, dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = write_new(disk, dir, name, content)?;
    disk.go_on()?;
    let linked = fs::hard_link(&new, dir.join(name));
    let removed = remove(disk, &new);
    linked?;
    removed?;
    sync(disk, dir)
}

/// Writes a file beside the one that it will become, durably. What cannot be written whole is removed.
pub(crate) fn write_new(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    content: &[u8],
) -> io::Result<PathBuf> {
    let path = dir.join(format!("{name}.new"));
    remove(disk, &path)?; // of a try that was cut off
    let write = || {
        disk.go_on()?;
        let mut fresh = OpenOptions::new();
        fresh.write(true).create_new(true).mode(0o600);
        let mut file = fresh.open(&path)?;
        give_to_owner_of(dir, &file)?;
        disk.go_on()?;
        file.write_all(content)?;
        disk.go_on()?;
        file.sync_all()
    };
    if let Err(error) = write() {
        let _ = remove(disk, &path); // the error that stopped it is the one to tell
        return Err(error);
    }
    Ok(path)
}

/// Gives a file another name, in the place of whatever has it. Durable after [`sync`].
pub(crate) fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<()> {
    disk.go_on()?;
    fs::rename(from, to)
}

/// Removes a file, and says whether it was there. Durable after [`sync`].
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    disk.go_on()?;
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.go_on()?;
    File::open(dir).and_then(|directory| directory.sync_all())
}

/// Overwrites the octets of a file where they lie. Flash may keep a copy all the same.
pub(crate) fn overwrite(disk: &dyn Disk, mut file: &File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    disk.go_on()?;
    file.rewind()?;
    file.write_all(&vec![0; length.min(OVERWRITTEN_AT_MOST)])?;
    disk.go_on()?;
    file.sync_all()
}

/// Opens a file to be overwritten; a link is not followed.
pub(crate) fn open_to_overwrite(path: &Path) -> io::Result<File> {
    let mut writable = OpenOptions::new();
    writable.write(true).custom_flags(no_follow());
    writable.open(path)
}

/// Reads a file of at most `limit` octets; nothing where there is none. A longer one is an error.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut octets = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {limit} octets"),
        ));
    }
    Ok(Some(octets))
}

/// `O_NOFOLLOW` as the standard library takes it.
pub(crate) fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

/// `O_NONBLOCK`: a pipe that nobody writes into is not waited for.
pub(crate) fn no_wait() -> i32 {
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default()
}

/// What root makes belongs to whom the directory belongs: the agent does not run as root.
fn give_to_owner_of(dir: &Path, file: &File) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(dir)?;
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Longer than any file with a secret in it.
const OVERWRITTEN_AT_MOST: usize = 1 << 20;

#[cfg(test)]
pub(crate) mod tests {
    use super::Disk;
    use std::cell::Cell;
    use std::io;

    /// A disk whose power ends after so many operations.
    pub(crate) struct PowerCut {
        left: Cell<usize>,
    }

    impl PowerCut {
        pub(crate) fn after(operations: usize) -> Self {
            Self {
                left: Cell::new(operations),
            }
        }
    }

    impl Disk for PowerCut {
        fn go_on(&self) -> io::Result<()> {
            let Some(left) = self.left.get().checked_sub(1) else {
                return Err(io::Error::other("the power is gone"));
            };
            self.left.set(left);
            Ok(())
        }
    }
}
