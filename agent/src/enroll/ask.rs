//! A request that no join file approves: a person does, who compares its words.

use super::join::{failed, identity_failed, kept_request};
use super::kept::{Kept, KeptRequest};
use crate::board::Board;
use crate::durable_file::Disk;
use crate::identity;
use crate::wire::ErrorBody;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use std::path::Path;

/// Keeps the request that the agent publishes until its key is in the registry; the same one if it is asked
/// for again. `device` is the id that this device would like.
///
/// # Errors
/// There is no key, or it was made on another board; the disk does not take the request.
pub(crate) fn keep(
    disk: &dyn Disk,
    dir: &Path,
    board: &Board,
    domain: &TrustDomain,
    device: Option<DeviceId>,
) -> Result<KeptRequest, ErrorBody> {
    let identity = identity::load(dir, board).map_err(|error| identity_failed(&error))?;
    if let Some((kept, request)) = kept_request(dir, &identity)? {
        let draft = &request.draft;
        // One of a join file asks already, and may need no person.
        if draft.join.is_some() || (draft.domain.as_ref() == Some(domain) && draft.device == device)
        {
            return Ok(kept);
        }
    }
    let request = identity.request(Some(domain.clone()), device, None);
    let request = request.map_err(|error| identity_failed(&error))?;
    let text = String::from_utf8_lossy(&request.octets).into_owned(); // a document is JSON
    let kept = KeptRequest::new(identity.key().public().id(), text);
    kept.write(disk, dir).map_err(|error| failed(dir, &error))?;
    Ok(kept)
}
