//! An identity as JSON and for people.

use super::Identity;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};

/// `identity show --json`. The machine-id is not in it: it should not leave the machine.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct IdentityBody {
    /// The public key.
    pub jwk: serde_json::Value,
    /// When it was made, in seconds since 1970, by the clock of then.
    pub created: UnixTime,
    /// Serial number of the board that it was made on, where that has one.
    pub board_serial: Option<String>,
    /// What differs from that board; nothing is signed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_mismatch: Option<String>,
    /// The key's name.
    pub kid: KeyId,
}

impl Identity {
    /// The identity as JSON.
    #[must_use]
    pub fn show(&self) -> IdentityBody {
        let public = self.key.public();
        let jwk = edgeseal_trust::key::public_jwk(public);
        IdentityBody {
            jwk: serde_json::to_value(jwk).unwrap_or_default(), // of texts alone: never fails
            created: self.created,
            board_serial: self.stored.serial.clone(),
            board_mismatch: self.binding().err().map(ToString::to_string),
            kid: public.id(),
        }
    }
}
