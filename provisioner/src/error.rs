//! How a verb fails: what failed, what to do next, a stable code, and the process's exit code.

use std::io;
use std::path::Path;
use std::process::ExitCode;

/// How a verb ended. The numbers are a promise to scripts: 0 to 2 as everywhere, the others from
/// BSD's `sysexits.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// 78 (`EX_CONFIG`): the registry or the keys must be repaired first.
    Configuration,
    /// 1: the input was judged, and the answer is no.
    No,
    /// 77 (`EX_NOPERM`): this user, or this passphrase, may not.
    Permission,
    /// 75 (`EX_TEMPFAIL`): not now, later perhaps: registry locked, clock not synchronized.
    TemporaryFailure,
    /// 69 (`EX_UNAVAILABLE`): something that is needed is not there.
    Unavailable,
    /// 2: the command line makes no sense.
    Usage,
}

impl Exit {
    /// The number that the process ends with.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Unavailable => 69,
            Self::TemporaryFailure => 75,
            Self::Permission => 77,
            Self::Configuration => 78,
        }
    }

    /// The kind of failure as a word for machines.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::No => "refused",
            Self::Permission => "permission",
            Self::TemporaryFailure => "temporary-failure",
            Self::Unavailable => "unavailable",
            Self::Usage => "usage",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a verb did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct CommandError {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// Stable short code.
    pub(crate) code: &'static str,
    /// What is wrong, and where.
    pub(crate) reason: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl CommandError {
    /// An error without a hint.
    pub(crate) fn new(exit: Exit, code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            exit,
            code,
            reason: reason.into(),
            hint: None,
        }
    }

    /// The input was judged, and the answer is no.
    pub(crate) fn no(code: &'static str, reason: impl Into<String>) -> Self {
        Self::new(Exit::No, code, reason)
    }

    /// The command line makes no sense.
    pub(crate) fn usage(code: &'static str, reason: impl Into<String>) -> Self {
        Self::new(Exit::Usage, code, reason)
    }

    /// The registry or the keys must be repaired first.
    pub(crate) fn configuration(code: &'static str, reason: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, code, reason)
    }

    /// The operating system refused something at `path`; `act` is a verb in the infinitive.
    pub(crate) fn io(act: &str, path: &Path, why: &io::Error) -> Self {
        let reason = format!("cannot {act} {}: {why}", path.display());
        match why.kind() {
            io::ErrorKind::NotFound => Self::new(Exit::Unavailable, "file-missing", reason)
                .hint("check the path and its spelling"),
            io::ErrorKind::PermissionDenied => Self::new(Exit::Permission, "file-denied", reason)
                .hint("run it as the user that owns the file"),
            io::ErrorKind::AlreadyExists => Self::no("file-exists", reason)
                .hint("move the file away first; nothing is overwritten"),
            io::ErrorKind::StorageFull => Self::new(Exit::TemporaryFailure, "disk-full", reason)
                .hint("make room and run the command again"),
            io::ErrorKind::FileTooLarge => {
                Self::no("size", reason).hint("this is another kind of file")
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                Self::new(Exit::Permission, "read-only", reason).hint("choose a writable place")
            }
            _ => Self::new(Exit::TemporaryFailure, "io", reason)
                .hint("repair what the system reports and run the command again"),
        }
    }

    /// The same error, saying what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What a verb ends with, where it does not succeed.
pub(crate) type Result<T> = std::result::Result<T, CommandError>;
