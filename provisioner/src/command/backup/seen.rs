//! What is known beside the backup of how far the domain has come: an existing registry, a bundle, the
//! broker. Nothing of it is believed before the chain of roots has let it in.

use crate::distribution;
use crate::error::{CommandError, Result};
use crate::mqtt::Endpoint;
use crate::registry::Registry;
use edgeseal_trust::document::BundleReader;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// What one place shows.
pub(super) struct Seen {
    /// Where.
    pub(super) place: String,
    /// Roots as they lie there.
    pub(super) roots: Vec<Vec<u8>>,
    /// The manifest, if there is one.
    pub(super) manifest: Option<Vec<u8>>,
    /// The lowest sequence that it has not used up, as far as it knows.
    pub(super) next_sequence: u64,
}

impl Seen {
    /// A registry.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn registry(registry: &Registry, path: &Path) -> Result<Self> {
        let roots = registry.roots()?;
        let last = registry.manifest()?;
        Ok(Self {
            place: format!("the registry {}", path.display()),
            roots: roots.iter().map(|root| root.octets().to_vec()).collect(),
            next_sequence: registry.next_sequence(None, 0),
            manifest: last.map(|last| last.octets().to_vec()),
        })
    }

    /// A bundle file.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn bundle(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|why| CommandError::io("read", path, &why))?;
        let bundle = BundleReader::open(BufReader::new(file)).map_err(|why| {
            CommandError::no("bundle", format!("{}: {why}", path.display()))
                .hint("edgeseal-agent trust export writes one on any device")
        })?;
        Ok(Self {
            place: format!("the bundle {}", path.display()),
            roots: bundle.roots().map(<[u8]>::to_vec).collect(),
            manifest: Some(bundle.manifest().to_vec()),
            next_sequence: 0,
        })
    }

    /// A broker.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(super) fn broker(endpoint: &Endpoint, registry: &Registry) -> Result<Self> {
        let kept = distribution::kept(registry, endpoint)?;
        Ok(Self {
            place: format!("the broker {}", endpoint.url()),
            roots: kept.roots,
            manifest: kept.manifest,
            next_sequence: 0,
        })
    }
}
