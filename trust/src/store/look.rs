//! What can be seen of a store without opening it.

use super::{DocumentFiles, InForce, Recovery, StateFile, Store, StoreError, is_used, passed_over};
use crate::document::Document;
use crate::registry::TrustView;
use crate::time::UnixTime;
use crate::update;
use std::path::Path;

/// What can be seen of a store without opening it: nothing is written or repaired, and an agent may be
/// using it meanwhile. The index is not looked at.
#[derive(Clone, Debug)]
pub struct Look {
    /// What [`Store::open`] would make of the two state files.
    pub recovery: Recovery,
    /// The boot epoch given out last; 0 if none was.
    pub epoch: u64,
    /// The time noted last; 0 if none was.
    pub noted_time: UnixTime,
    /// The trust data that would be in force; nothing where none was ever applied.
    ///
    /// # Errors
    /// Why the documents on disk are not in force.
    pub trust: Result<Option<TrustView>, String>,
    /// Documents that cannot be read.
    pub damaged: Vec<String>,
}

impl Store {
    /// Looks at the state directory `dir`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or was written by a newer version.
    pub fn look(dir: &Path) -> Result<Look, StoreError> {
        let files = DocumentFiles::new(dir);
        let (state, recovery) = StateFile::look(dir, is_used(dir, &files)?)?;
        let (roots, mut damaged) = files.roots()?;
        let manifest = files
            .manifest()
            .or_else(|why| passed_over(why, &mut damaged))?;
        if let Some(Err(why)) = manifest
            .as_ref()
            .map(|manifest| files.expect_shards(manifest.content()))
        {
            passed_over::<()>(why, &mut damaged)?;
        }
        let trust = match (damaged.first(), roots.last()) {
            (Some(what), _) => Err(what.clone()),
            (None, None) => Ok(None),
            (None, Some(root)) => {
                match update::in_force(Document::content(root), manifest.as_ref()) {
                    InForce::Manifest(view) if !state.mark_lost => Ok(Some(view)),
                    InForce::Manifest(_) => Err("the state files were lost".to_owned()),
                    InForce::NoManifest(why) => why.map_or(Ok(None), |why| Err(why.to_string())),
                }
            }
        };
        Ok(Look {
            recovery,
            epoch: state.epoch,
            noted_time: state.noted_time,
            trust,
            damaged,
        })
    }
}
