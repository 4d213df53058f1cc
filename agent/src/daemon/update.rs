//! Applying a bundle file: for the running agent, and for the verb where none runs.

use super::agent::store_failed;
use crate::wire::{ErrorBody, ErrorClass, UpdateBody, UpdateOutcome};
use edgeseal_trust::document::BundleError;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::store::{Applied, Outcome, Store};
use edgeseal_trust::update::UpdateError;
use edgeseal_trust::words::Words;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Applies a bundle file from its beginning. `pin` are the words of the first root, typed by a
/// person.
///
/// # Errors
/// Class `conflict` when the file or the update is refused, `failure` when the store or the medium
/// failed. What was in force stays in force.
pub fn apply(store: &Store, mut bundle: File, pin: Option<&Words>) -> Result<Applied, ErrorBody> {
    let unreadable = |error: &io::Error| {
        let reason = format!("the bundle file cannot be read: {error}");
        let body = ErrorBody::new(ErrorClass::Failure, "bundle-unreadable", reason);
        body.with_hint("copy it to this device, then try again")
    };
    bundle.rewind().map_err(|error| unreadable(&error))?;
    let reader = BufReader::with_capacity(READ_OCTETS, bundle);
    store
        .apply_bundle(reader, pin)
        .map_err(|error| match error {
            UpdateError::Bundle(BundleError::Read(error)) => unreadable(&error),
            UpdateError::Bundle(BundleError::Rejected(why)) => refused(why.code(), &why),
            UpdateError::Rejected(why) => refused(why.code(), &why),
            UpdateError::Store(error) => store_failed(&error),
        })
}

/// What came of it, as JSON.
pub fn body(applied: &Applied, device: Option<DeviceId>) -> UpdateBody {
    UpdateBody {
        outcome: match applied.outcome {
            Outcome::AlreadyCurrent => UpdateOutcome::AlreadyCurrent,
            Outcome::Applied => UpdateOutcome::Applied,
        },
        root_version: applied.root_version,
        sequence: applied.mark.map(|mark| mark.sequence),
        new_roots: applied.new_roots,
        changed_shards: applied.changed_shards,
        no_manifest: applied.no_manifest.clone(),
        device,
    }
}

/// A file in `directory` that has no name and goes with its handle.
pub(super) fn scratch_file(directory: &Path) -> io::Result<File> {
    let path = directory.join(SCRATCH);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // of an agent that was killed between the next two lines
    }
    let mut fresh = OpenOptions::new();
    fresh.read(true).write(true).create_new(true).mode(0o600);
    let file = fresh.open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn refused(code: &'static str, why: &dyn std::fmt::Display) -> ErrorBody {
    let body = ErrorBody::new(ErrorClass::Conflict, code, why.to_string());
    body.with_hint("nothing was changed: what was in force stays in force")
}

const READ_OCTETS: usize = 64 << 10;
const SCRATCH: &str = "incoming.bundle";
