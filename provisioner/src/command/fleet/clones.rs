//! Clone alarms: what an agent claims is worth nothing; the two tokens are judged here, and only then
//! the command to suspend is shown. Nobody gets a device suspended by lying about it.

use super::snapshot::Snapshot;
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::clone::{CloneProof, prove};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::DeviceState;

/// What became of a claim.
pub(super) enum Claim {
    /// The tokens prove it, and the device is still active.
    Proven(Box<CloneProof>),
    /// They do, and the device is cut off already.
    Settled,
    /// They do not; the code says why.
    Unproven(&'static str),
}

/// Judges two tokens by the key that they name, which must be one of the registry.
pub(super) fn judge([first, second]: &[String; 2], snapshot: &Snapshot) -> Claim {
    let peer = claimed_kid(first).and_then(|kid| snapshot.key(kid));
    let Some(peer) = peer else {
        return Claim::Unproven("unknown-key");
    };
    match prove(first, second, &peer.key, &snapshot.domain) {
        Err(why) => Claim::Unproven(why.code()),
        // A token names its device; the registry says whose the key is.
        Ok(proof) if proof.device != peer.device.id => Claim::Unproven("subject"),
        Ok(_) if peer.device.state != DeviceState::Active => Claim::Settled,
        Ok(proof) => Claim::Proven(Box::new(proof)),
    }
}

/// The `kid` of a token's header, of which nothing is believed: it finds the key to judge by.
fn claimed_kid(token: &str) -> Option<KeyId> {
    let header = token.split('.').next()?;
    let header = BASE64URL_NOPAD.decode(header.as_bytes()).ok()?;
    let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
    KeyId::parse(header.get("kid")?.as_str()?)
}
