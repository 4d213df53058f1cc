//! `published/distribution.json`: what lies on brokers because of this registry. Brokers list nothing; who wants to tidy up there
//! must remember.

use super::{Registry, atomic, load, pretty};
use crate::error::Result;
use edgeseal_trust::document::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one broker may have.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Carried {
    /// Shards that only the manifest before the one there names: agents may still be fetching them.
    pub(crate) previous: BTreeSet<Digest>,
    /// Shards that may be there and are to be removed once a publish is complete, unless it names them.
    pub(crate) aside: BTreeSet<Digest>,
    /// Of a publish that is under way: shards that the broker has acknowledged.
    pub(crate) put: BTreeSet<Digest>,
}

impl Registry {
    /// What is known of each broker, by its address.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn carried(&self) -> Result<BTreeMap<String, Carried>> {
        let path = self.published_dir().join(FILE);
        let Some(octets) = load::read_if_there(&path, FILE_OCTETS)? else {
            return Ok(BTreeMap::new());
        };
        let carried = serde_json::from_slice(&octets);
        carried.map_err(|why| load::corrupt(&path, Some(why.line()), &why.to_string()))
    }

    /// Remembers it.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn keep_carried(&self, carried: &BTreeMap<String, Carried>) -> Result<()> {
        atomic::write(&self.published_dir(), FILE, &pretty(carried)?)
    }
}

const FILE: &str = "distribution.json";
/// All shards of the largest domain on a hundred brokers.
const FILE_OCTETS: usize = 64 << 20;
