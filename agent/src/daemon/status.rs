//! `GET /v1/status`: the engine's word and the daemon's own.

use crate::engine::Status;
use crate::enroll::EnrollStatus;
use crate::gateway::link::GatewayStatus;
use crate::trust_link::LinkStatus;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};

/// What an agent says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AgentStatus {
    /// Version of the program.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// What expired before this is expired whatever the clock says.
    pub floor: UnixTime,
    /// The time noted last; 0 if none was.
    pub noted_time: UnixTime,
    /// Whether the key of this device is active in the manifest in force.
    pub enrolled: bool,
    /// Identity, trust data, clock, counts.
    #[serde(flatten)]
    pub engine: Status,
    /// The gateway.
    #[serde(default)]
    pub gateway: GatewayStatus,
    /// Where its enrollment stands, and a rotation that is open.
    #[serde(default)]
    pub enrollment: EnrollStatus,
    /// The trust link.
    #[serde(default)]
    pub trust_link: LinkStatus,
}
