//! One writer at a time: an advisory lock on a file of the registry.

use crate::error::{CommandError, Exit, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// What the lock is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// To read: others may read too.
    Read,
    /// To change: alone.
    Edit,
}

/// Held until dropped, also by `kill -9`.
pub(crate) struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock of the registry in `dir`, or says that another program has it and goes on having it for 2 s.
    ///
    /// # Errors
    /// Another program works on the registry, or the lock file cannot be opened.
    pub(crate) fn take(dir: &Path, access: Access) -> Result<Self> {
        let path = dir.join(NAME);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .or_else(|why| File::open(&path).map_err(|_| why));
        let file = match opened {
            Ok(file) => file,
            // A registry on a read-only medium, never locked before: nobody can change it.
            Err(why) if access == Access::Read && is_read_only(&why) => {
                return Ok(Self { _file: None });
            }
            Err(why) => return Err(CommandError::io("open the lock", &path, &why)),
        };
        let begun = Instant::now();
        let locked = loop {
            let locked = match access {
                Access::Read => file.try_lock_shared(),
                Access::Edit => file.try_lock(),
            };
            // Most who work on it are done in a moment: a registrar that serves must not end because of them.
            let is_taken = matches!(locked, Err(TryLockError::WouldBlock));
            if !is_taken || begun.elapsed() >= PATIENCE {
                break locked;
            }
            thread::sleep(POLL);
        };
        match locked {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                let reason = format!("another edgeseal works on the registry {}", dir.display());
                Err(
                    CommandError::new(Exit::TemporaryFailure, "registry-locked", reason)
                        .hint("wait until it has ended, then run the command again"),
                )
            }
            Err(TryLockError::Error(why)) => Err(CommandError::io("lock", &path, &why)),
        }
    }
}

fn is_read_only(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// The lock file's name; it stays, and git ignores it.
const NAME: &str = ".lock";
/// How long another program is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
