//! What this device waits for, for people and for machines.

use crate::wire::ErrorBody;
use edgeseal_trust::key::KeyId;
use serde::{Deserialize, Serialize};

/// Where the enrollment stands, and the rotation that is open.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct EnrollStatus {
    /// Where the enrollment stands.
    pub state: EnrollState,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// The words of the request, as the operator sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The word of the registrar, or of whoever sent it: a hint, not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What keeps it from going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ErrorBody>,
    /// The rotation that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
}

/// Where an enrollment stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnrollState {
    /// This device's key is active in the manifest in force.
    Enrolled,
    /// The same, and what the enrollment left is being removed.
    Finishing,
    /// Nothing was asked for: no join file, no request.
    #[default]
    Idle,
    /// A request waits for approval.
    Waiting,
}

/// A rotation that is open.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RotationStatus {
    /// The key that will take the place of this device's.
    pub kid: KeyId,
    /// What it waits for.
    pub waits_for: String,
    /// The words of the request, as the operator sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The word of the registrar, or of whoever sent it: a hint, not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What keeps it from going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ErrorBody>,
}
