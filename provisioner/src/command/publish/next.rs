//! The next manifest: signed and kept, or prepared for those whose signatures are still missing.

use super::Fleet;
use super::signers::{Signers, needed};
use crate::clock;
use crate::command::Signing;
use crate::confirm;
use crate::enrollment;
use crate::error::{CommandError, Exit, Result};
use crate::registry::Registry;
use crate::render::{Style, notice};
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::document::{
    Digest, Document, DocumentRejection, DocumentType, Manifest, Root, Unverified, sign,
};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use std::path::PathBuf;

/// What the next manifest shall be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// How many days it is valid; by default what the registry says.
    pub(crate) days: Option<u64>,
    /// Its sequence; by default the lowest that was never signed.
    pub(crate) sequence: Option<u64>,
    /// Do not ask when the clock is before the last manifest.
    pub(crate) yes: bool,
    /// Publish although devices lose what their approvals, which are not in the registry any more, gave them.
    pub(crate) drop_unapproved: bool,
    /// The content of the last manifest once more, whatever the registry says by now.
    pub(crate) refresh: bool,
    /// With `refresh`: of this manifest instead, which was published before the last one.
    pub(crate) older: Option<Manifest>,
}

/// What became of it.
#[must_use]
pub(crate) enum Outcome {
    /// It waits for signatures.
    Prepared(Prepared),
    /// It is signed, kept in the registry, and nowhere else yet.
    Signed(Signed),
}

/// A manifest that is signed.
pub(crate) struct Signed {
    /// It.
    pub(crate) manifest: Document<Manifest>,
    /// How many of its shards the one before it did not have.
    pub(crate) shards_changed: usize,
}

/// A manifest that waits for signatures.
pub(crate) struct Prepared {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The keys whose signatures it carries.
    pub(crate) signed_by: Vec<KeyId>,
    /// How many the root asks for.
    pub(crate) needed: usize,
}

/// Signs what the registry says as the next manifest, and keeps it: the one way by which a verb makes a manifest. Opens the keys
/// first. Where the root asks for more signatures than there are keys at hand, the manifest is prepared.
///
/// # Errors
/// As [`Signers::open`] and [`sign_with`].
pub(crate) fn sign_next(
    registry: &mut Registry,
    signing: &Signing,
    wish: &Wish,
    style: Style,
) -> Result<Outcome> {
    let root = registry.root()?;
    let signers = Signers::open(signing, root.content())?;
    sign_with(registry, &signers, wish, style)
}

/// As [`sign_next`], with keys that are open. Killed at any moment, it has done no harm: the sequence is used up before it is
/// signed, and shards are there before the manifest that names them.
///
/// # Errors
/// The clock, the keys, or the registry.
pub(crate) fn sign_with(
    registry: &mut Registry,
    signers: &Signers,
    wish: &Wish,
    style: Style,
) -> Result<Outcome> {
    let last = registry.manifest()?;
    let last = last.as_ref().map(Document::content);
    let reading = clock::read();
    judge_clock(signers.unsynchronized_clock, wish.yes, reading, last)?;
    let root = registry.root()?;
    let root = root.content();
    warn_of_expiry(root, reading, style);
    let sequence = judge_sequence(wish.sequence, registry, last, root.version)?;
    let keys = signers.of(root)?;
    if wish.refresh
        && keys.len() < needed(root)
        && let Some(waiting) = waiting(registry, root, last, reading)?
    {
        return Ok(Outcome::Prepared(waiting));
    }
    let fleet = match wish.refresh {
        true => None,
        false => Some(fleet(registry, last, reading)?),
    };
    let place = (root.version, sequence);
    let manifest = draft(registry, wish, last, fleet.as_ref(), place, reading.time)?;
    let payload = manifest.to_payload().map_err(|why| refused(&why))?;
    registry.reserve(sequence)?;
    let document = sign(DocumentType::Manifest, &payload, &keys);
    let changed: Vec<(Digest, &[u8])> = match &fleet {
        Some(fleet) => fleet
            .shards()
            .filter(|(digest, _)| !registry.has_shard(*digest))
            .collect(),
        None => Vec::new(),
    };
    if keys.len() < needed(root) {
        return Ok(Outcome::Prepared(Prepared {
            path: registry.keep_prepared(&document, changed)?,
            sequence,
            signed_by: keys.iter().map(|key| key.public().id()).collect(),
            needed: needed(root),
        }));
    }
    let manifest =
        Document::<Manifest>::verified(&document, &root.registrar).map_err(|why| refused(&why))?;
    let shards_changed = changed.len();
    registry.keep_published(&document, changed)?;
    registry.prune(manifest.content())?;
    registry.drop_prepared()?;
    Ok(Outcome::Signed(Signed {
        manifest,
        shards_changed,
    }))
}

/// The content of the next manifest.
fn draft(
    registry: &Registry,
    wish: &Wish,
    last: Option<&Manifest>,
    fleet: Option<&Fleet>,
    (root_version, sequence): (u64, u64),
    now: UnixTime,
) -> Result<Manifest> {
    let days = wish.days.unwrap_or(registry.manifest_days());
    let mut manifest = Manifest {
        domain: registry.domain().clone(),
        root_version,
        sequence,
        issued_at: now,
        expires_at: now.plus(days.saturating_mul(DAY)),
        roles: registry.published_roles().cloned().collect(),
        groups: registry.groups().iter().cloned().collect(),
        shards: Vec::new(),
    };
    match (fleet, last) {
        (Some(fleet), _) => {
            fleet.judge_nothing_lost(registry, last)?;
            if !wish.drop_unapproved {
                fleet.judge_no_approval_lost(registry, last)?;
            }
            manifest.shards = fleet.digests();
        }
        (None, Some(last)) => {
            let last = wish.older.as_ref().unwrap_or(last);
            manifest.roles.clone_from(&last.roles);
            manifest.groups.clone_from(&last.groups);
            manifest.shards.clone_from(&last.shards);
        }
        (None, None) => return Err(super::never_published()),
    }
    Ok(manifest)
}

/// The devices as they are to be published; keys whose overlap has ended are retired first.
fn fleet(registry: &mut Registry, last: Option<&Manifest>, reading: ClockReading) -> Result<Fleet> {
    enrollment::retire_due(registry, reading.time)?;
    registry.save()?;
    Fleet::of(registry, last.map_or(1, Manifest::shard_count))
}

impl Prepared {
    /// The manifest, as an error of a verb that was to publish it: `done` says what stands nevertheless.
    pub(crate) fn waits(&self, done: &str) -> CommandError {
        let (path, have, needed) = (self.path.display(), self.signed_by.len(), self.needed);
        let reason = format!(
            "{done}sequence {} waits in {path}: it has {have} of the {needed} signatures that the root asks for",
            self.sequence
        );
        CommandError::new(Exit::TemporaryFailure, "signatures-missing", reason).hint(self.next())
    }

    /// What is to be done next.
    pub(crate) fn next(&self) -> String {
        let path = self.path.display();
        let publish = format!("edgeseal publish --signed {path}");
        match self.signed_by.len() < self.needed {
            true => format!(
                "where another registrar key is: edgeseal publish sign {path} --keys DIR; then here: {publish}"
            ),
            false => publish,
        }
    }
}

/// Whether a manifest with the devices of the registry as they are waits for signatures already.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn is_prepared(registry: &Registry) -> Result<bool> {
    if registry.prepared()?.is_none() {
        return Ok(false);
    }
    let last = registry.manifest()?;
    let last = last.as_ref().map(Document::content);
    let fleet = Fleet::of(registry, last.map_or(1, Manifest::shard_count))?;
    Ok(prepared(registry, &fleet)?.is_some_and(|(_, is_current)| is_current))
}

/// The manifest that waits for signatures, where it may still be published, and whether it has the devices as they are.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn prepared(registry: &Registry, fleet: &Fleet) -> Result<Option<(Prepared, bool)>> {
    let (root, last) = (registry.root()?, registry.manifest()?);
    let last = last.as_ref().map(Document::content);
    let waits = waiting(registry, root.content(), last, clock::read())?;
    let Some((waits, (_, document))) = waits.zip(registry.prepared()?) else {
        return Ok(None);
    };
    Ok(Some((waits, document.content().shards == fleet.digests())))
}

/// A prepared manifest that may still be published: what waits for signatures is more than a refresh, and no timer takes its place.
fn waiting(
    registry: &Registry,
    root: &Root,
    last: Option<&Manifest>,
    reading: ClockReading,
) -> Result<Option<Prepared>> {
    let Some((path, document)) = registry.prepared()? else {
        return Ok(None);
    };
    let manifest = document.content();
    let place = |manifest: &Manifest| (manifest.root_version, manifest.sequence);
    let is_next = manifest.root_version == root.version
        && manifest.expires_at > reading.time
        && last.is_none_or(|last| place(manifest) > place(last));
    let signed = Unverified::parse(document.octets(), DocumentType::Manifest);
    Ok(is_next.then(|| Prepared {
        path,
        sequence: manifest.sequence,
        signed_by: signed.map_or_else(|_| Vec::new(), |signed| signed.kids().collect()),
        needed: needed(root),
    }))
}

fn judge_clock(
    unsynchronized_is_fine: bool,
    yes: bool,
    reading: ClockReading,
    last: Option<&Manifest>,
) -> Result<()> {
    if !reading.synchronized && !unsynchronized_is_fine {
        let reason = format!(
            "this clock is not synchronized; it shows {}",
            reading.time.date()
        );
        return Err(
            CommandError::new(Exit::TemporaryFailure, "clock-unsynchronized", reason).hint(
                "wait for NTP (timedatectl), or compare it with a watch and give --unsynchronized-clock",
            ),
        );
    }
    match last {
        Some(last) if reading.time < last.issued_at && !yes => confirm::ask(&format!(
            "This clock shows {}, before the last manifest, {}. Publish all the same?",
            reading.time.date(),
            last.issued_at.date()
        )),
        _ => Ok(()),
    }
}

fn judge_sequence(
    wanted: Option<u64>,
    registry: &Registry,
    last: Option<&Manifest>,
    root_version: u64,
) -> Result<u64> {
    let lowest = registry.next_sequence(last, root_version);
    match wanted {
        None => Ok(lowest),
        Some(wanted) if wanted >= lowest && wanted < u64::MAX => Ok(wanted),
        Some(wanted) => {
            let reason = format!("the sequence {wanted} may have been signed before");
            Err(CommandError::no("sequence-used", reason)
                .hint(format!("the lowest that may be signed is {lowest}")))
        }
    }
}

fn warn_of_expiry(root: &Root, reading: ClockReading, style: Style) {
    if root.expires_at <= reading.time {
        let since = root.expires_at.date();
        let line =
            format!("warning: the root expired on {since}: devices call its manifests stale");
        notice(style, &line);
    }
}

fn refused(why: &DocumentRejection) -> CommandError {
    CommandError::no(why.code(), format!("not published: {why}"))
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::judge_clock;
    use edgeseal_trust::clock::ClockReading;
    use edgeseal_trust::time::UnixTime;

    #[test]
    fn an_unsynchronized_clock_signs_nothing_unless_told_to() {
        let reading = |synchronized| ClockReading {
            time: UnixTime::from_seconds(0),
            synchronized,
        };
        assert!(judge_clock(false, false, reading(true), None).is_ok());
        let refused = judge_clock(false, false, reading(false), None).unwrap_err();
        assert_eq!(
            (refused.code, refused.exit.code()),
            ("clock-unsynchronized", 75)
        );
        assert!(judge_clock(true, false, reading(false), None).is_ok());
    }
}
