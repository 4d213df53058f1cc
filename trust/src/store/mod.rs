//! The durable side of trust: signed documents, the mark, the boot epoch, and the index of keys.
//!
//! The signed documents are files and are the truth; the index (sled) holds only what can be rebuilt
//! from them. The mark, the boot epoch and the noted time lie in a checksummed file of two
//! generations. An idle store writes nothing.
//!
//! Every call may block on the disk: an asynchronous program makes them on a blocking thread. One
//! process at a time uses a state directory; the caller holds its lock.
#![allow(
    clippy::disallowed_methods,
    reason = "the one module of this library that keeps files"
)]

mod error;

pub use error::StoreError;

use crate::id::DeviceId;
use crate::key::KeyId;
use crate::registry::{Device, PeerKey, TrustView};
use crate::time::UnixTime;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store of one state directory. Shared by reference between threads; one write at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
}

/// How far trust has come: manifests are ordered by (root version, sequence).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mark {
    /// Version of the root that the manifest names.
    pub root_version: u64,
    /// The manifest's sequence.
    pub sequence: u64,
    /// SHA-256 of the manifest's octets.
    pub manifest_sha256: [u8; 32],
}

/// What was found when the store was opened, for the log and for the health report.
#[derive(Debug)]
pub struct OpenReport {
    /// Whether the state files had to be repaired.
    pub recovery: Recovery,
    /// How the index came up.
    pub index: IndexReport,
    /// Why no stored manifest is in force, although one is stored.
    pub manifest_unused: Option<String>,
    /// Leftovers of an interrupted update that were removed.
    pub strays_removed: usize,
}

/// What became of the state file's two generations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recovery {
    /// An empty directory: the first state was written.
    Fresh,
    /// Both are gone although the directory was used: nothing is signed before the identity is reset,
    /// nothing is verified before a bundle is applied.
    Lost {
        /// What was wrong with the files.
        what: String,
    },
    /// Nothing to repair.
    None,
    /// The newer generation is unreadable: the epoch continues far above the older one's.
    OlderGeneration {
        /// What was wrong with the newer file.
        what: String,
        /// The epoch of the older generation.
        older_epoch: u64,
        /// The epoch from which it goes on.
        epoch: u64,
    },
}

/// How the index came up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IndexReport {
    /// It could not be opened or rebuilt on disk and lives in memory until the next start.
    InMemory {
        /// Why.
        what: String,
    },
    /// It did not fit the manifest, or did not open, and was rebuilt from the documents.
    Rebuilt {
        /// Why.
        what: String,
        /// Keys in it now.
        keys: u64,
    },
    /// It fits the manifest in force.
    Used {
        /// Keys in it.
        keys: u64,
    },
}

/// A page of the listing of devices, in the order of their ids.
#[derive(Clone, Debug)]
pub struct PeerPage {
    /// The devices.
    pub peers: Vec<Peer>,
    /// Ask again with this id for the devices behind; nothing when this was the last page.
    pub next: Option<DeviceId>,
}

/// A device and its keys.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The device.
    pub device: Arc<Device>,
    /// Its keys.
    pub keys: Vec<Arc<PeerKey>>,
}

impl Store {
    /// Opens the store in the state directory `dir`, which must exist, and repairs what a power cut or
    /// a kill left.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be read, is in use, or was written by a newer version.
    /// A damaged index or state file is no error: see [`OpenReport`].
    pub fn open(dir: &Path) -> Result<(Self, OpenReport), StoreError> {
        todo!("{dir:?}")
    }

    /// The trust data in force; nothing before the first manifest was applied, and when a newer root
    /// no longer vouches for the manifest.
    pub fn trust(&self) -> Option<Arc<TrustView>> {
        todo!()
    }

    /// The key named `kid`, with its device, if the manifest in force knows it.
    ///
    /// # Errors
    /// [`StoreError::Index`] when the index is damaged.
    pub fn key(&self, kid: KeyId) -> Result<Option<Arc<PeerKey>>, StoreError> {
        todo!("{kid}")
    }

    /// Up to `limit` devices whose ids follow `after`.
    ///
    /// # Errors
    /// [`StoreError::Index`] when the index is damaged.
    pub fn peers(&self, after: Option<&DeviceId>, limit: usize) -> Result<PeerPage, StoreError> {
        todo!("{after:?} {limit}")
    }

    /// Number of keys in the index.
    pub fn key_count(&self) -> u64 {
        todo!()
    }

    /// The highest manifest ever committed to, even if it is not in force.
    pub fn mark(&self) -> Option<Mark> {
        todo!()
    }

    /// The root documents, oldest first: the pinned one and its successors.
    pub fn roots(&self) -> Vec<Arc<[u8]>> {
        todo!()
    }

    /// Pins the first root, whose words a person has compared: never replaces one.
    ///
    /// # Errors
    /// [`StoreError::RootPinned`] when there is one already.
    pub fn pin_first_root(&self, document: &[u8]) -> Result<(), StoreError> {
        todo!("{document:?}")
    }

    /// Takes the next boot epoch. It is durable before this returns and is never given out again.
    ///
    /// # Errors
    /// [`StoreError::StateLost`] until the identity is reset; [`StoreError::Io`] when it cannot be made
    /// durable: then nothing may be signed.
    pub fn next_epoch(&self) -> Result<u64, StoreError> {
        todo!()
    }

    /// The time noted last; 1970 if none was.
    pub fn noted_time(&self) -> UnixTime {
        todo!()
    }

    /// Notes the time of a synchronized clock. Written at most once an hour, unless it went back.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn note_time(&self, time: UnixTime) -> Result<(), StoreError> {
        todo!("{time}")
    }

    /// Whether the state files were lost: no epoch is given out until [`Store::identity_was_reset`].
    pub fn is_state_lost(&self) -> bool {
        todo!()
    }

    /// Ends [`Recovery::Lost`]: to be called once the old identity key is gone for good, so that no
    /// token id of it can be used twice.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn identity_was_reset(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
