//! Why there is no usable identity: where, what, and what to do.

use crate::board::Mismatch;
use crate::engine::SignBlock;
use crate::exit::Exit;
use edgeseal_trust::document::DocumentRejection;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::store::StoreError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why an identity could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none.
    Absent {
        /// Where it should be.
        path: PathBuf,
    },
    /// Made on another board: nothing is signed here.
    BoardMismatch(Mismatch),
    /// The key could not be put into its form.
    Encoding,
    /// There is one: nothing is overwritten.
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The key is a credential of the service: whoever gave it replaces it.
    FromCredential {
        /// Where the service finds it.
        path: PathBuf,
    },
    /// The system refused.
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// The key is under a passphrase.
    Locked {
        /// The key's file.
        path: PathBuf,
        /// A passphrase was given, and does not open it.
        given: bool,
    },
    /// Others than its owner may read or write the key.
    LoosePermissions {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file is not what it should be.
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system gave no random numbers.
    Random(getrandom::Error),
    /// The board is noted for another key than this one: nothing is signed with it here.
    Record {
        /// The file that says so.
        path: PathBuf,
        /// The key that was found.
        kid: KeyId,
    },
    /// No enrollment request can be made of it.
    Request(DocumentRejection),
    /// A rotation is open: one at a time.
    RotationOpen {
        /// Where the next key lies.
        path: PathBuf,
    },
    /// The new identity is there, but the store did not take note.
    Store(StoreError),
    /// Written by a version of this program that this one does not understand.
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads and writes.
        known: u32,
    },
    /// The key belongs to another user.
    WrongOwner {
        /// The key's file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Whose it should be.
        expected: u32,
    },
}

impl IdentityError {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent { .. } => "no-identity",
            Self::BoardMismatch(_) => "board-mismatch",
            Self::Encoding => "identity-encoding",
            Self::Exists { .. } => "identity-exists",
            Self::FromCredential { .. } => "identity-from-credential",
            Self::Io { .. } => "identity-io",
            Self::Locked { given: false, .. } => "identity-passphrase",
            Self::Locked { given: true, .. } => "identity-passphrase-wrong",
            Self::LoosePermissions { .. } => "identity-permissions",
            Self::Malformed { .. } => "identity-malformed",
            Self::Random(_) => "no-random-numbers",
            Self::Record { .. } => "identity-record",
            Self::Request(_) => "identity-request",
            Self::RotationOpen { .. } => "rotation-open",
            Self::Store(error) => error.code(),
            Self::UnknownFormat { .. } => "identity-unknown-format",
            Self::WrongOwner { .. } => "identity-owner",
        }
    }

    /// How a verb ends because of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Absent { .. } => Exit::Unavailable,
            Self::Exists { .. } | Self::FromCredential { .. } | Self::RotationOpen { .. } => {
                Exit::No
            }
            Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            Self::Io { error, .. } if !passes(error.kind()) => Exit::Configuration,
            Self::Encoding | Self::Io { .. } | Self::Random(_) | Self::Store(_) => {
                Exit::TemporaryFailure
            }
            Self::Locked { .. } | Self::LoosePermissions { .. } | Self::WrongOwner { .. } => {
                Exit::Permission
            }
            Self::BoardMismatch(_)
            | Self::Malformed { .. }
            | Self::Record { .. }
            | Self::Request(_)
            | Self::UnknownFormat { .. } => Exit::Configuration,
        }
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Absent { path } => format!("this device has no identity: no {}", path.display()),
            Self::BoardMismatch(mismatch) => mismatch.to_string(),
            Self::Encoding => "the key could not be encoded as PKCS#8".to_owned(),
            Self::Exists { path } => {
                format!("this device has an identity already: {}", path.display())
            }
            Self::FromCredential { path } => format!(
                "the key of this device is a credential of the service: {}",
                path.display()
            ),
            Self::Io {
                action,
                path,
                error,
            } => format!("cannot {action} {}: {error}", path.display()),
            Self::Locked { path, given: false } => {
                format!(
                    "{} is under a passphrase, and none is given",
                    path.display()
                )
            }
            Self::Locked { path, given: true } => {
                format!("the passphrase does not open {}", path.display())
            }
            Self::LoosePermissions { path, mode } => format!(
                "others may read or write the key {} (mode {mode:04o})",
                path.display()
            ),
            Self::Malformed { path, what } => format!("{} is damaged: {what}", path.display()),
            Self::Random(error) => format!("the system gives no random numbers: {error}"),
            Self::Record { path, kid } => format!(
                "the key {kid} is not the one that {} notes for this board",
                path.display()
            ),
            Self::Request(why) => format!("no enrollment request can be made: {why}"),
            Self::RotationOpen { path } => {
                format!("a rotation is open already: {}", path.display())
            }
            Self::Store(error) => format!("the identity is new, but the store failed: {error}"),
            Self::UnknownFormat { path, found, known } => format!(
                "{} has format version {found}, this program knows {known}",
                path.display()
            ),
            Self::WrongOwner {
                path,
                uid,
                expected,
            } => format!(
                "the key {} belongs to user {uid}, not to {expected}",
                path.display()
            ),
        }
    }

    /// What to do: the exact command where there is one.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Absent { .. } => "make one: edgeseal-agent init".to_owned(),
            Self::BoardMismatch(mismatch) => SignBlock::BoardMismatch(mismatch.to_string())
                .hint()
                .into_owned(),
            Self::Encoding => "try again".to_owned(),
            Self::FromCredential { .. } => {
                "whoever gave the credential replaces it; the device must then be enrolled anew".to_owned()
            }
            Self::Locked { given: false, .. } => {
                "the service takes it as its credential edgeseal-passphrase, a verb as the file of that name in CREDENTIALS_DIRECTORY: see credentials.conf among the examples"
                    .to_owned()
            }
            Self::Locked { given: true, .. } => {
                "give the passphrase that the key was made with, as the credential edgeseal-passphrase".to_owned()
            }
            Self::UnknownFormat { .. } => {
                "install the version of Edgeseal that wrote it; nothing was changed".to_owned()
            }
            Self::Exists { .. } => {
                "see edgeseal-agent identity show; to replace it: edgeseal-agent identity reset"
                    .to_owned()
            }
            Self::Io { error, .. } => match error.kind() {
                io::ErrorKind::PermissionDenied => "run as the agent's user, or as root",
                io::ErrorKind::ReadOnlyFilesystem => "mount it writable, then try again",
                io::ErrorKind::StorageFull => "make room on the file system, then try again",
                _ => "check the state directory and its disk or card",
            }
            .to_owned(),
            Self::LoosePermissions { path, .. } => format!(
                "if nobody else has read it: chmod 0600 {}; else edgeseal-agent identity reset",
                path.display()
            ),
            Self::Malformed { .. } => {
                "restore it, or make a new identity: edgeseal-agent identity reset, then enroll it"
                    .to_owned()
            }
            Self::Record { .. } => {
                "a credential edgeseal-identity of before an identity reset, or of another board, must go: take it out of the unit, or seal identity.pem in its place (see credentials.conf among the examples); a key file that was put here: edgeseal-agent identity reset, then enroll it"
                    .to_owned()
            }
            Self::Request(_) => "make a new identity: edgeseal-agent identity reset".to_owned(),
            Self::Random(_) => "try again when the system has started".to_owned(),
            Self::RotationOpen { .. } => {
                "see edgeseal-agent enroll status; for the request again: edgeseal-agent identity rotate -o FILE"
                    .to_owned()
            }
            Self::Store(error) => format!("{}; then edgeseal-agent identity reset", error.hint()),
            Self::WrongOwner { path, expected, .. } => {
                format!("chown {expected} {}", path.display())
            }
        }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  hint: {}", self.reason(), self.hint())
    }
}

/// Whether the same command can succeed later with nothing repaired in the state directory.
fn passes(error: io::ErrorKind) -> bool {
    matches!(
        error,
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::OutOfMemory
    )
}
