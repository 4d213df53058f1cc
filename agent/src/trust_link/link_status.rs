//! The trust link as `edgeseal-agent status` shows it.

use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of the link.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LinkStatus {
    /// Whether a broker is connected.
    pub connected: bool,
    /// Its URL; null where none is named, the link is off, or no root is pinned yet.
    pub broker: Option<String>,
    /// Why it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Shards that are on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetching: Option<FetchingBody>,
    /// What the broker offers and this device refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<OfferedBody>,
    /// When something that came over the link was applied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_at: Option<UnixTime>,
    /// Updates that came over the link and were applied since the start.
    pub applied: u64,
    /// Offers that were refused since the start, by code.
    pub refused: BTreeMap<String, u64>,
    /// Connections since the start that the broker accepted.
    pub connections: u64,
    /// Connections that the broker ended because another client took this device's name (0x8E).
    pub taken_over: u64,
}

/// Shards that are on their way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FetchingBody {
    /// How many are lacking of the whole.
    pub shards: u32,
    /// How many of them have arrived.
    pub arrived: u32,
}

/// What a broker offers and this device refuses. What is in force stays in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OfferedBody {
    /// Why.
    pub code: String,
    /// The same as a sentence.
    pub reason: String,
    /// The root version that the manifest claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_version: Option<u64>,
    /// The sequence that it claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}
