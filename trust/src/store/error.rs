//! Failures of the store: where, what, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not do what was asked. Always a failure of this device, never somebody
/// else's fault; what was in force before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A stored document is not what its name or the manifest says.
    #[error("{} is damaged: {what}\n  hint: {}", path.display(), self.hint())]
    Document {
        /// The document's file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The boot epoch has reached its end: no token id is left.
    #[error("{}: the boot epoch is used up\n  hint: {}", path.display(), self.hint())]
    EpochExhausted {
        /// The state directory.
        path: PathBuf,
    },
    /// Another process uses the index.
    #[error("{} is in use by another process\n  hint: {}", path.display(), self.hint())]
    InUse {
        /// The index's directory.
        path: PathBuf,
    },
    /// The index holds something that it cannot hold, or sled failed.
    #[error("the index {} is damaged: {what}\n  hint: {}", path.display(), self.hint())]
    Index {
        /// The index's directory.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system refused to read or write.
    #[error("cannot {action} {}: {error}\n  hint: {}", path.display(), self.hint())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// A first root is pinned already.
    #[error("{} exists: a first root is pinned already\n  hint: {}", path.display(), self.hint())]
    RootPinned {
        /// The first root's file.
        path: PathBuf,
    },
    /// Both generations of the state file are gone: epochs could be used twice, so no new one is
    /// given out.
    #[error("both state files in {} are unreadable\n  hint: {}", path.display(), self.hint())]
    StateLost {
        /// The state directory.
        path: PathBuf,
    },
    /// Written by a version of Edgeseal that this one does not understand.
    #[error("{} has format version {found}, this program knows {known}\n  hint: {}", path.display(), self.hint())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version that this program reads and writes.
        known: u64,
    },
}

impl StoreError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Document { .. } => "store-document",
            Self::EpochExhausted { .. } => "store-epoch-exhausted",
            Self::InUse { .. } => "store-in-use",
            Self::Index { .. } => "store-index",
            Self::Io { .. } => "store-io",
            Self::RootPinned { .. } => "store-root-pinned",
            Self::StateLost { .. } => "store-state-lost",
            Self::UnknownFormat { .. } => "store-unknown-format",
        }
    }

    /// The file or directory it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Document { path, .. }
            | Self::EpochExhausted { path }
            | Self::InUse { path }
            | Self::Index { path, .. }
            | Self::Io { path, .. }
            | Self::RootPinned { path }
            | Self::StateLost { path }
            | Self::UnknownFormat { path, .. } => path,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Document { .. } => "apply the trust bundle again",
            Self::EpochExhausted { .. } => "make a new identity: edgeseal-agent identity reset",
            Self::InUse { .. } => "stop the other agent, or ask it by its socket",
            Self::Index { .. } => "restart the agent: the index is rebuilt from the documents",
            Self::Io { error, .. } => io_hint(error.kind()),
            Self::RootPinned { .. } => {
                "apply the bundle without --root; to join another domain, start with an empty state directory"
            }
            Self::StateLost { .. } => {
                "apply the trust bundle to verify again; to sign again make a new identity: edgeseal-agent identity reset"
            }
            Self::UnknownFormat { .. } => {
                "install the version of Edgeseal that wrote it; nothing was changed"
            }
        }
    }
}

fn io_hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on that file system, then try again"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount that file system writable, then try again",
        io::ErrorKind::PermissionDenied => {
            "the state directory must belong to the account that runs the agent"
        }
        io::ErrorKind::NotFound => "make the state directory first",
        _ => "check that file system and its disk or card",
    }
}
