//! What the store tells about itself: for logs, health and listings.

use crate::id::DeviceId;
use crate::registry::{Device, PeerKey};
use crate::update::Mark;

/// What was found when the store was opened. Everything but `strays_removed` belongs in the log at
/// a level that people see, unless it is [`Recovery::None`] and [`IndexReport::Used`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenReport {
    /// Whether the state files had to be repaired.
    pub recovery: Recovery,
    /// How the index came up.
    pub index: IndexReport,
    /// Why no manifest is in force although one was applied.
    pub no_manifest: Option<String>,
    /// Documents that are damaged and passed over.
    pub damaged: Vec<String>,
    /// Leftovers of an interrupted update that were removed.
    pub strays_removed: usize,
}

/// What became of the state file's two generations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recovery {
    /// An empty directory: the first state was written.
    Fresh,
    /// Both are gone although the directory was used: nothing is signed before the identity is
    /// reset, nothing is verified before a bundle is applied.
    Lost {
        /// What is wrong with the files.
        what: String,
    },
    /// Nothing to repair.
    None,
    /// One generation is unreadable and may have been the newer: the epoch goes on far above that of
    /// the other.
    OlderGeneration {
        /// What is wrong with the unreadable file.
        what: String,
        /// The epoch of the readable one.
        older_epoch: u64,
        /// The epoch from which it goes on.
        epoch: u64,
    },
}

/// How the index came up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IndexReport {
    /// The disk does not take it: it lives in memory, and grows with the fleet, until the next start
    /// or update.
    InMemory {
        /// Why.
        what: String,
    },
    /// It did not open, or did not fit the manifest, and was rebuilt from the shards.
    Rebuilt {
        /// Why.
        what: String,
        /// Keys in it now.
        keys: u64,
    },
    /// It fits the manifest.
    Used {
        /// Keys in it.
        keys: u64,
    },
}

/// What came of an update.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Applied {
    /// Whether anything was written.
    pub outcome: Outcome,
    /// The mark now.
    pub mark: Option<Mark>,
    /// Version of the newest root now.
    pub root_version: u64,
    /// Root documents written.
    pub new_roots: usize,
    /// Shards that took another's place.
    pub changed_shards: usize,
    /// How the index took it.
    pub index: IndexReport,
    /// Why no manifest is in force now: the newest root does not vouch for the one that is held, or none
    /// was ever applied. `None` when one is in force.
    pub no_manifest: Option<String>,
}

/// Whether an update changed anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Everything offered had been applied before; nothing was written.
    AlreadyCurrent,
    /// It is in force.
    Applied,
}

/// A page of the listing of devices.
#[derive(Clone, Debug, Default)]
pub struct PeerPage {
    /// The devices.
    pub peers: Vec<Peer>,
    /// Ask again with this id for the devices behind it; nothing when this is the last page.
    pub next: Option<DeviceId>,
}

/// A device and its keys.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The device.
    pub device: Device,
    /// Its keys.
    pub keys: Vec<PeerKey>,
    /// Why it is suspended or revoked.
    pub reason: Option<String>,
}
