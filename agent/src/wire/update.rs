//! `POST /v1/trust`: what came of a bundle file.

use edgeseal_trust::id::DeviceId;
use serde::{Deserialize, Serialize};

/// What came of a bundle file that was not refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpdateBody {
    /// Whether anything changed.
    pub outcome: UpdateOutcome,
    /// Version of the newest root.
    pub root_version: u64,
    /// Sequence of the manifest; null before the first.
    pub sequence: Option<u64>,
    /// Root documents that were new.
    pub new_roots: usize,
    /// Shards that took another's place.
    pub changed_shards: usize,
    /// Why no manifest is in force all the same; null where one is.
    pub no_manifest: Option<String>,
    /// This device's name in the registry; null where its key is not in it.
    pub device: Option<DeviceId>,
}

/// Whether a bundle changed anything.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateOutcome {
    /// All of it was applied before.
    AlreadyCurrent,
    /// It is in force.
    Applied,
}
