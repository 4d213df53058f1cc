//! The state directory: is it one, does it outlive a power cut, and does nobody else use it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::exit::Exit;

/// A state directory that this process alone uses for as long as the value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    durability: Durability,
    /// Locked; the lock goes with the file.
    _lock: File,
}

/// Whether what is written stays after a power cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// It does, as far as a file system can promise.
    Durable,
    /// It does not; the type of file system tells why.
    Volatile(&'static str),
}

/// Whether a volatile directory is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VolatileState {
    /// Take it, for tests and the demo: `dangerous_volatile_state = true` in `[agent]`.
    DangerousAccept,
    /// Refuse it.
    Refuse,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another process holds the lock.
    #[error(
        "{} is in use by {}\n  hint: stop that agent first, or ask it by its socket",
        path.display(),
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// The process that wrote its number into the lock file, if it did.
        holder: Option<u32>,
    },
    /// What is written there is lost at power-off: counters would be used twice.
    #[error(
        "{} lies on {file_system}: what is written there is lost at power-off\n  \
         hint: put state_directory of [agent] on a disk, a card or a partition of its own",
        path.display()
    )]
    NotDurable {
        /// The state directory.
        path: PathBuf,
        /// Type of the file system.
        file_system: &'static str,
    },
    /// Not there, not a directory, or not ours to read and write.
    #[error("{} cannot be used: {error}\n  hint: {}", path.display(), hint(error))]
    Unusable {
        /// The directory or the lock file in it.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl StateDir {
    /// Checks the directory and locks it. It must exist: who makes it decides its owner.
    ///
    /// # Errors
    /// See [`StateDirError`]. Nothing but the lock file is ever written.
    pub fn open(path: &Path, volatile: VolatileState) -> Result<Self, StateDirError> {
        let unusable = |error| StateDirError::Unusable {
            path: path.to_owned(),
            error,
        };
        if !fs::metadata(path).map_err(unusable)?.is_dir() {
            return Err(unusable(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let durability = durability(path).map_err(unusable)?;
        if let (Durability::Volatile(file_system), VolatileState::Refuse) = (durability, volatile) {
            return Err(StateDirError::NotDurable {
                path: path.to_owned(),
                file_system,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            durability,
            _lock: lock(path)?,
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is durable: volatile only where that was accepted.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

impl StateDirError {
    /// Stable short code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "state-locked",
            Self::NotDurable { .. } => "state-not-durable",
            Self::Unusable { .. } => "state-unusable",
        }
    }

    /// How a verb ends because of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Locked { .. } => Exit::TemporaryFailure,
            Self::Unusable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            // A partition that is mounted late.
            Self::Unusable { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                Exit::Unavailable
            }
            Self::Unusable { error, .. } if !names_no_directory(error) => Exit::TemporaryFailure,
            Self::NotDurable { .. } | Self::Unusable { .. } => Exit::Configuration,
        }
    }
}

/// Whether the path itself is wrong: then no later try succeeds. A card that fails once, a full disk or a
/// machine that is out of memory or files may all be better later, and the service does try again.
fn names_no_directory(error: &io::Error) -> bool {
    // The standard library names the loop of links only in unstable Rust.
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
        || matches!(
            error.kind(),
            io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
                | io::ErrorKind::InvalidFilename
                | io::ErrorKind::InvalidInput
        )
}

/// Whether the file system of a path keeps what is written when the power goes. Known not to:
/// tmpfs, ramfs, and overlayfs, which a Raspberry Pi with a read-only card lays over it.
///
/// # Errors
/// The path does not exist or the kernel does not tell.
pub fn durability(path: &Path) -> io::Result<Durability> {
    let file_system = rustix::fs::statfs(path)?;
    Ok(of_magic(i128::from(file_system.f_type)))
}

/// [`durability`] as a plain yes or no.
///
/// # Errors
/// As [`durability`].
pub fn is_durable(path: &Path) -> io::Result<bool> {
    Ok(durability(path)? == Durability::Durable)
}

/// The magic numbers of `linux/magic.h`; statfs(2).
fn of_magic(magic: i128) -> Durability {
    match magic {
        0x0102_1994 => Durability::Volatile("tmpfs"),
        0x8584_58f6 => Durability::Volatile("ramfs"),
        0x794c_7630 => Durability::Volatile("overlayfs"),
        _ => Durability::Durable,
    }
}

/// Makes root the user who owns the state directory, for the rest of this process: what is written
/// there must stay readable for the agent, and root must not write where another user can lay links.
/// For anybody but root it does nothing. A process calls it before it starts threads.
///
/// # Errors
/// [`StateDirError::Unusable`] if the directory is absent or the system refuses.
pub fn act_as_owner(path: &Path) -> Result<(), StateDirError> {
    let unusable = |error: io::Error| StateDirError::Unusable {
        path: path.to_owned(),
        error,
    };
    let owner = fs::metadata(path).map_err(unusable)?;
    if !geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    set_thread_groups(&[]).map_err(|error| unusable(error.into()))?;
    set_thread_res_gid(gid, gid, gid).map_err(|error| unusable(error.into()))?;
    set_thread_res_uid(uid, uid, uid).map_err(|error| unusable(error.into()))
}

/// The lock is the kernel's and ends with the process, however it ends; the number in the file only
/// tells a person who it is, so that a full or read-only disk, which does not take it, stops nobody
/// from working on.
fn lock(directory: &Path) -> Result<File, StateDirError> {
    let path = directory.join(LOCK_FILE);
    let unusable = |error| StateDirError::Unusable {
        path: path.clone(),
        error,
    };
    let mut writable = OpenOptions::new();
    writable.read(true).write(true).create(true).truncate(false);
    writable.mode(0o600);
    let mut file = match writable.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            File::open(&path).map_err(|_| error)
        }
        opened => opened,
    }
    .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StateDirError::Locked {
                path: directory.to_owned(),
                holder: holder(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    let _ = write_holder(&mut file);
    Ok(file)
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_LOCK_FILE_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "create it, owned by the agent's user: install -d -m 0700 -o edgeseal -g edgeseal DIRECTORY"
        }
        io::ErrorKind::PermissionDenied => "run as the agent's user, or as root",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable, or set another state_directory",
        io::ErrorKind::StorageFull => "make room on the file system",
        _ => "check state_directory of [agent]",
    }
}

const LOCK_FILE: &str = "lock";
const MAX_LOCK_FILE_BYTES: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<StateDir, StateDirError> {
        StateDir::open(path, VolatileState::DangerousAccept)
    }

    #[test]
    fn magic_numbers() {
        assert_eq!(of_magic(0xEF53), Durability::Durable); // ext4
        assert_eq!(of_magic(0x0102_1994), Durability::Volatile("tmpfs"));
        assert_eq!(of_magic(0x8584_58f6), Durability::Volatile("ramfs"));
        assert_eq!(of_magic(0x794c_7630), Durability::Volatile("overlayfs"));
    }

    #[test]
    fn proc_is_readable_by_statfs_and_absent_paths_are_errors() {
        assert!(is_durable(Path::new("/proc")).unwrap());
        assert_eq!(
            is_durable(Path::new("/absent")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    /// `/dev/shm` is tmpfs on every Linux that has it; where a sandbox has none, /proc/mounts shows
    /// another.
    #[test]
    fn a_directory_on_tmpfs_is_refused_unless_that_is_accepted() {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let points = mounts
            .lines()
            .filter(|line| line.split(' ').nth(2) == Some("tmpfs"));
        let mut points = points.filter_map(|line| line.split(' ').nth(1));
        let directory = points
            .find_map(|point| tempfile::tempdir_in(point).ok())
            .unwrap();
        let refusal = StateDir::open(directory.path(), VolatileState::Refuse).unwrap_err();
        assert_eq!(refusal.code(), "state-not-durable");
        assert_eq!(refusal.exit(), Exit::Configuration);
        assert!(refusal.to_string().contains("tmpfs"), "{refusal}");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            0,
            "nothing is written"
        );
        let accepted = open(directory.path()).unwrap();
        assert_eq!(accepted.durability(), Durability::Volatile("tmpfs"));
    }

    #[test]
    fn one_holder_at_a_time_and_the_second_learns_who() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path()).unwrap();
        let refusal = open(directory.path()).unwrap_err();
        assert_eq!(refusal.code(), "state-locked");
        assert_eq!(refusal.exit(), Exit::TemporaryFailure);
        let own = std::process::id();
        assert!(
            refusal.to_string().contains(&format!("process {own}")),
            "{refusal}"
        );
        drop(first);
        assert_eq!(open(directory.path()).unwrap().path(), directory.path());
    }

    #[test]
    fn a_lock_file_left_behind_or_damaged_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("lock"), vec![0xff; 1_000_000]).unwrap();
        let held = open(directory.path()).unwrap();
        let text = fs::read_to_string(directory.path().join("lock")).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        fs::write(directory.path().join("lock"), "no number").unwrap();
        let refusal = open(directory.path()).unwrap_err();
        assert!(matches!(
            refusal,
            StateDirError::Locked { holder: None, .. }
        ));
        drop(held);
    }

    #[test]
    fn what_is_no_directory_is_refused_with_a_hint() {
        let directory = tempfile::tempdir().unwrap();
        let absent = open(&directory.path().join("absent")).unwrap_err();
        assert_eq!(absent.code(), "state-unusable");
        assert_eq!(absent.exit(), Exit::Unavailable);
        assert!(absent.to_string().contains("install -d"), "{absent}");
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(open(&file).unwrap_err().exit(), Exit::Configuration);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        for wrong in [
            link,
            file.join("below"),
            directory.path().join("x".repeat(300)),
        ] {
            assert_eq!(open(&wrong).unwrap_err().exit(), Exit::Configuration);
        }
    }

    /// The service is started again after 75 and not after 78.
    #[test]
    fn what_may_pass_is_tried_again() {
        let exit = |errno: Errno| {
            let path = PathBuf::from("/var/lib/edgeseal");
            let error = io::Error::from(errno);
            StateDirError::Unusable { path, error }.exit()
        };
        for errno in [
            Errno::IO,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::INTR,
            Errno::NOLCK,
        ] {
            assert_eq!(exit(errno), Exit::TemporaryFailure, "{errno}");
        }
        for errno in [Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG, Errno::ISDIR] {
            assert_eq!(exit(errno), Exit::Configuration, "{errno}");
        }
        assert_eq!(exit(Errno::NOENT), Exit::Unavailable);
        assert_eq!(exit(Errno::ACCESS), Exit::Permission);
    }
}
