//! What the manifest in force says of a key of this device: the one thing that enrollment and rotation
//! go by.

use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::{DeviceState, KeyState, PeerKey};

/// What the manifest in force says of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// In use, or being replaced.
    Active {
        /// The device that owns it.
        device: DeviceId,
        /// Its successor is active: it is being replaced.
        retiring: bool,
    },
    /// Known, but it may not be used.
    Held {
        /// The device that owns it.
        device: DeviceId,
        /// The state that forbids it: `pending`, `suspended`, `revoked` or `retired`.
        state: &'static str,
    },
    /// No manifest is in force.
    NoManifest,
    /// The manifest in force does not know it.
    Unknown,
}

impl Standing {
    /// The device in whose name the key may be used now.
    #[must_use]
    pub const fn active(&self) -> Option<&DeviceId> {
        match self {
            Self::Active { device, .. } => Some(device),
            _ => None,
        }
    }
}

impl From<Option<&PeerKey>> for Standing {
    fn from(key: Option<&PeerKey>) -> Self {
        let Some(key) = key else {
            return Self::Unknown;
        };
        let device = key.device.id.clone();
        let held = |state| Self::Held {
            device: device.clone(),
            state,
        };
        match (key.device.state, key.state) {
            (DeviceState::Revoked, _) | (_, KeyState::Revoked) => held("revoked"),
            (DeviceState::Suspended, _) => held("suspended"),
            (DeviceState::Pending, _) => held("pending"),
            (DeviceState::Active, KeyState::Retired) => held("retired"),
            (DeviceState::Active, KeyState::Active | KeyState::Retiring) => Self::Active {
                device,
                retiring: key.state == KeyState::Retiring,
            },
        }
    }
}
