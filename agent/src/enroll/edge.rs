//! What enrollment and rotation do in the state directory. All of it blocks, can be stopped at any step, and
//! goes on where it was.

use super::enrollment::{Ask, Shredding};
use super::join::{self, Offered, failed, identity_failed, refused};
use super::kept::{Kept, KeptJoinFile, KeptRequest, KeptRotation};
use super::rotation::RotationFound;
use crate::board::Board;
use crate::card;
use crate::durable_file::Live;
use crate::identity::{self, Identity, IdentityError};
use crate::wire::ErrorBody;
use edgeseal_trust::document::Digest;
use edgeseal_trust::enrollment::RotationDraft;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a look for a join file and for a stored request showed.
pub(crate) struct Looked {
    /// The request that is stored.
    pub(crate) ask: Option<Ask>,
    /// Why a join file cannot be used.
    pub(crate) problem: Option<ErrorBody>,
}

/// A rotation as it lies in the state directory.
pub(crate) struct OpenRotation {
    pub(crate) found: RotationFound,
    /// When the new key was first seen in a manifest, by a synchronized clock.
    pub(crate) seen_at: Option<UnixTime>,
}

/// Who this device is in its domain.
pub(crate) struct Name {
    pub(crate) domain: TrustDomain,
    pub(crate) device: DeviceId,
}

/// Takes the first join file that there is, and reads the stored request. `now` is noted as the time at
/// which a new key was made, and decides nothing.
pub(crate) fn look(dir: &Path, join_files: &[PathBuf], board: &Board, now: UnixTime) -> Looked {
    let stored = stored_request(dir, board);
    let mut offered = join_files.iter().map(|path| Offered::read(path));
    let offered = offered.find(|offered| !matches!(offered, Ok(None)));
    let offered = offered.unwrap_or(Ok(None));
    let taken = match (offered, &stored) {
        (Ok(None), _) => None,
        (Ok(Some(offered)), Ok(Some(kept))) if join::was_taken(kept, &offered) => None,
        (Ok(Some(offered)), _) => Some(join::take(&Live, dir, &offered, None, board, now)),
        (Err(problem), _) => Some(Err(problem)),
    };
    let (ask, problem) = match (taken, stored) {
        (Some(Ok(kept)), _) | (None, Ok(Some(kept))) => (Some(kept), None),
        (Some(Err(problem)), stored) => (stored.unwrap_or_default(), Some(problem)),
        (None, Ok(None)) => (None, None),
        (None, Err(problem)) => (None, Some(problem)),
    };
    Looked {
        ask: ask.map(|kept| ask_of(&kept)),
        problem,
    }
}

/// The octets of the stored request of this key, once it is noted that they were sent.
///
/// # Errors
/// Nothing may be sent.
pub(crate) fn request_to_send(dir: &Path, kid: KeyId) -> Result<Vec<u8>, ErrorBody> {
    let kept = KeptRequest::read(dir).map_err(|error| failed(dir, &error))?;
    let Some(mut kept) = kept.filter(|kept| kept.kid == kid) else {
        return Err(refused(
            "enroll-io",
            "there is no request to send".to_owned(),
        ));
    };
    if !kept.sent {
        kept.sent = true;
        kept.write(&Live, dir)
            .map_err(|error| failed(dir, &error))?;
    }
    Ok(kept.request.into_bytes())
}

/// Shreds the join files of the stored request; of those that root handed over, says whether root has.
///
/// # Errors
/// One that can be reached is still there.
pub(crate) fn shred_join_files(dir: &Path, hand_over: &Path) -> Result<Shredding, ErrorBody> {
    let Some(kept) = KeptRequest::read(dir).map_err(|error| failed(dir, &error))? else {
        return Ok(Shredding::Done);
    };
    let (handed, own) = by_hand(kept.join_files, hand_over);
    join::shred(&Live, &own)?;
    let gone = card::was_shredded(hand_over, &handed).map_err(|error| failed(hand_over, &error))?;
    Ok(if gone {
        Shredding::Done
    } else {
        Shredding::Told
    })
}

/// The join files of the stored request that root handed over, and has to shred.
///
/// # Errors
/// The state directory cannot be read.
pub(crate) fn handed_over(dir: &Path, hand_over: &Path) -> Result<Vec<Digest>, ErrorBody> {
    let kept = KeptRequest::read(dir).map_err(|error| failed(dir, &error))?;
    let files = kept.map(|kept| kept.join_files).unwrap_or_default();
    Ok(by_hand(files, hand_over).0)
}

/// Forgets the stored request.
///
/// # Errors
/// It is still there.
pub(crate) fn forget_request(dir: &Path) -> Result<(), ErrorBody> {
    KeptRequest::remove(&Live, dir).map_err(|error| failed(dir, &error))
}

/// Ends an enrollment that went by file: shreds its join files, and forgets the request unless a broker has
/// it. Whether there was one.
///
/// # Errors
/// A join file or the request is still there.
pub(crate) fn finish_by_file(dir: &Path, hand_over: &Path) -> Result<bool, ErrorBody> {
    let kept = KeptRequest::read(dir).map_err(|error| failed(dir, &error))?;
    let Some(kept) = kept else { return Ok(false) };
    let (handed, own) = by_hand(kept.join_files, hand_over);
    join::shred(&Live, &own)?;
    // One that root handed over is shredded once the agent runs, and the request reminds it.
    if !kept.sent && handed.is_empty() {
        forget_request(dir)?;
    }
    Ok(!own.is_empty())
}

/// Begins a rotation: the next key, then its request, signed by both keys.
///
/// # Errors
/// `rotation-open` where there is one; nothing is done then.
pub(crate) fn begin_rotation(
    dir: &Path,
    board: &Board,
    name: &Name,
) -> Result<KeptRotation, ErrorBody> {
    identity::begin_next(dir, board).map_err(|error| identity_failed(&error))?;
    match open_rotation(dir, board, Some(name))? {
        Some(kept) => Ok(kept),
        None => Err(refused("enroll-io", "the next key is gone".to_owned())),
    }
}

/// The rotation that is open, its request signed where a power cut came in between.
///
/// # Errors
/// A key cannot be read, or the request not be written.
pub(crate) fn open_rotation(
    dir: &Path,
    board: &Board,
    name: Option<&Name>,
) -> Result<Option<KeptRotation>, ErrorBody> {
    let Some(next) = identity::next_key(dir).map_err(|error| identity_failed(&error))? else {
        return Ok(None);
    };
    let kept = KeptRotation::read(dir).map_err(|error| failed(dir, &error))?;
    let new = next.public().id();
    if let Some(kept) = kept.filter(|kept| kept.new == new) {
        return Ok(Some(kept));
    }
    let Some(name) = name else {
        return Ok(None); // who this device is will be known once there is a manifest in force
    };
    let identity = identity::load(dir, board).map_err(|error| identity_failed(&error))?;
    let draft = RotationDraft {
        domain: name.domain.clone(),
        device: name.device.clone(),
        issued_at: None,
    };
    let request = draft.sign(identity.key(), &next);
    let request = request.map_err(|why| refused(why.code(), why.to_string()))?;
    let kept = KeptRotation::new(new, String::from_utf8_lossy(&request).into_owned());
    kept.write(&Live, dir)
        .map_err(|error| failed(dir, &error))?;
    Ok(Some(kept))
}

/// The rotation that is open, or what is left of one.
///
/// # Errors
/// As for [`open_rotation`].
pub(crate) fn find_rotation(
    dir: &Path,
    board: &Board,
    name: Option<&Name>,
) -> Result<Option<OpenRotation>, ErrorBody> {
    if let Some(kept) = open_rotation(dir, board, name)? {
        return Ok(Some(found(&kept, true)));
    }
    if identity::next_key(dir).is_ok_and(|next| next.is_some()) {
        return Ok(None);
    }
    let left = KeptRotation::read(dir).map_err(|error| failed(dir, &error))?;
    Ok(left.map(|kept| found(&kept, false)))
}

/// Changes what is stored of the rotation to this key, durably.
///
/// # Errors
/// The disk does not take it, or there is no such rotation.
pub(crate) fn change_rotation(
    dir: &Path,
    new: KeyId,
    change: impl FnOnce(&mut KeptRotation),
) -> Result<KeptRotation, ErrorBody> {
    let kept = KeptRotation::read(dir).map_err(|error| failed(dir, &error))?;
    let Some(mut kept) = kept.filter(|kept| kept.new == new) else {
        return Err(refused("enroll-io", "there is no such rotation".to_owned()));
    };
    let before = kept.clone();
    change(&mut kept);
    if kept != before {
        kept.write(&Live, dir)
            .map_err(|error| failed(dir, &error))?;
    }
    Ok(kept)
}

/// Forgets what is stored of a rotation.
///
/// # Errors
/// It is still there.
pub(crate) fn forget_rotation(dir: &Path) -> Result<(), ErrorBody> {
    KeptRotation::remove(&Live, dir).map_err(|error| failed(dir, &error))
}

/// Whether a key made at `created` is to be replaced at `now`, `days` being what the configuration says. The
/// keys of a fleet that was made in one day are spread over a tenth of that time.
pub(crate) fn is_due(created: UnixTime, kid: KeyId, days: u64, now: UnixTime) -> bool {
    if days == 0 {
        return false;
    }
    let seconds = days.saturating_mul(DAY_SECONDS);
    let [first, second, ..] = kid.octets();
    let part = u64::from(u16::from_be_bytes([*first, *second]));
    let spread = seconds
        .checked_div(10)
        .unwrap_or_default()
        .saturating_mul(part)
        .checked_div(1 << 16)
        .unwrap_or_default();
    now >= created.plus(seconds.saturating_add(spread))
}

/// How long the new key has been known, where the clock counts.
pub(crate) fn seen_for(seen_at: Option<UnixTime>, now: Option<UnixTime>) -> Option<Duration> {
    let (seen_at, now) = (seen_at?, now?);
    (now >= seen_at).then(|| Duration::from_secs(now.since(seen_at)))
}

/// Join files that root handed over, and those that can be shredded here.
fn by_hand(files: Vec<KeptJoinFile>, hand_over: &Path) -> (Vec<Digest>, Vec<KeptJoinFile>) {
    let is_handed = |file: &KeptJoinFile| file.path.parent() == Some(hand_over);
    let (handed, own): (Vec<_>, Vec<_>) = files.into_iter().partition(is_handed);
    (handed.into_iter().map(|file| file.sha256).collect(), own)
}

fn stored_request(dir: &Path, board: &Board) -> Result<Option<KeptRequest>, ErrorBody> {
    let identity: Identity = match identity::load(dir, board) {
        Err(IdentityError::Absent { .. }) => return Ok(None),
        loaded => loaded.map_err(|error| identity_failed(&error))?,
    };
    if let Err(mismatch) = identity.binding() {
        return Err(identity_failed(&IdentityError::BoardMismatch(
            mismatch.clone(),
        )));
    }
    Ok(join::kept_request(dir, &identity)?.map(|(kept, _)| kept))
}

fn ask_of(kept: &KeptRequest) -> Ask {
    let octets = kept.request.as_bytes();
    Ask {
        kid: kept.kid,
        digest: Digest::of(octets),
        words: Words::of_request(octets).to_string(),
        sent: kept.sent,
    }
}

fn found(kept: &KeptRotation, open: bool) -> OpenRotation {
    let octets = kept.request.as_bytes();
    OpenRotation {
        found: RotationFound {
            new: kept.new,
            digest: Digest::of(octets),
            words: Words::of_request(octets).to_string(),
            sent: kept.sent,
            open,
            at_once: kept.at_once,
        },
        seen_at: kept.seen_at,
    }
}

const DAY_SECONDS: u64 = 86_400;
