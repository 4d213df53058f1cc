//! An identity as JSON and for people.

use super::{Identity, IdentityError};
use edgeseal_trust::enrollment::RequestDraft;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
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

/// An enrollment request, to be carried to the operator.
pub struct Request {
    /// The document, on one line without its end.
    pub octets: Vec<u8>,
    /// What the operator compares with what `edgeseal device add` shows.
    pub words: Words,
}

impl Identity {
    /// The request to enroll this key, signed by it. `now` is left out where the clock does not count.
    ///
    /// # Errors
    /// [`IdentityError::BoardMismatch`] on another board than the one that the key was made on;
    /// [`IdentityError::Request`] when that board's serial is no plain text.
    pub fn request(
        &self,
        domain: Option<TrustDomain>,
        device: Option<DeviceId>,
        now: Option<UnixTime>,
    ) -> Result<Request, IdentityError> {
        self.binding()
            .map_err(|mismatch| IdentityError::BoardMismatch(mismatch.clone()))?;
        let draft = RequestDraft {
            domain,
            device,
            serial: self.stored.serial.clone(),
            issued_at: now,
            join: None,
        };
        let octets = draft.sign(&self.key).map_err(IdentityError::Request)?;
        let words = Words::of_request(&octets);
        Ok(Request { octets, words })
    }

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
