//! Opening what a process before this one wrote, if nobody else can have.

use rustix::fs::{Mode, OFlags};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum NotOurs {
    /// Not a file of ours that nobody else may write.
    Permissions,
    /// The system does not let us read it.
    Unreadable(io::Error),
}

/// A plain file of this user that no other may read or write; nothing where there is none. Neither a
/// link is followed nor a pipe waited for.
pub(crate) fn open_ours(path: &Path) -> Result<Option<(File, Metadata)>, NotOurs> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from) {
        Ok(file) => File::from(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(NotOurs::Unreadable(error)),
    };
    let metadata = file.metadata().map_err(NotOurs::Unreadable)?;
    let ours = metadata.is_file()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & 0o077 == 0;
    match ours {
        true => Ok(Some((file, metadata))),
        false => Err(NotOurs::Permissions),
    }
}
