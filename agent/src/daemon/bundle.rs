//! The bundle in force, handed on: to a stick, to a peer on an island.

use super::Agent;
use super::agent::store_failed;
use crate::wire::{ErrorBody, ErrorClass};
use edgeseal_trust::document::{BundleWriter, Digest, Document, Manifest, Root};
use edgeseal_trust::limits;
use edgeseal_trust::store::{HeldDocuments, Store};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A bundle as it is read from the store, one document at a time.
pub struct Bundle {
    agent: Arc<Agent>,
    writer: Option<BundleWriter<Written>>,
    written: Written,
    shards: std::vec::IntoIter<Digest>,
}

/// Octets that a writer has written and nobody has taken.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Agent {
    /// The bundle in force, from its beginning.
    ///
    /// # Errors
    /// `no-manifest` where there is none.
    pub async fn bundle(self: &Arc<Self>) -> Result<Bundle, ErrorBody> {
        let held = self.off_the_executor(Store::held_documents).await;
        let held = held.map_err(|error| store_failed(&error))?;
        let written = Written::default();
        let (writer, shards) = begin(&held, written.clone())?;
        Ok(Bundle {
            agent: Arc::clone(self),
            writer: Some(writer),
            written,
            shards: shards.into_iter(),
        })
    }
}

impl Bundle {
    /// The next octets; nothing after the last.
    ///
    /// # Errors
    /// The store failed, or an update took a shard away: what was read is no bundle.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ErrorBody> {
        let waiting = self.written.take();
        if !waiting.is_empty() {
            return Ok(Some(waiting));
        }
        let Some(digest) = self.shards.next() else {
            return match self.writer.take() {
                Some(writer) => writer.finish().map(|_| None).map_err(|why| broken(&why)),
                None => Ok(None),
            };
        };
        let read = move |store: &Store| store.shard_octets(&digest);
        let octets = self.agent.off_the_executor(read).await;
        let octets = octets.map_err(|error| store_failed(&error))?;
        if let Some(writer) = &mut self.writer {
            writer.shard(&octets).map_err(|why| broken(&why))?;
        }
        Ok(Some(self.written.take()))
    }
}

/// Writes the bundle in force, where no agent runs.
///
/// # Errors
/// As [`Agent::bundle`], and what the target says.
pub fn write_bundle(store: &Store, target: impl Write) -> Result<(), ErrorBody> {
    let held = store.held_documents();
    let held = held.map_err(|error| store_failed(&error))?;
    let (mut writer, shards) = begin(&held, target)?;
    for digest in shards {
        let octets = store.shard_octets(&digest);
        let octets = octets.map_err(|error| store_failed(&error))?;
        writer.shard(&octets).map_err(|why| broken(&why))?;
    }
    writer.finish().map(drop).map_err(|why| broken(&why))
}

fn begin<W: Write>(
    held: &HeldDocuments,
    target: W,
) -> Result<(BundleWriter<W>, Vec<Digest>), ErrorBody> {
    let manifest: Option<&Document<Manifest>> = held.current().manifest;
    let manifest = manifest.ok_or_else(|| {
        let reason = "there is no manifest here to hand on";
        let body = ErrorBody::new(ErrorClass::Failure, "no-manifest", reason);
        body.with_hint("apply a bundle first: edgeseal-agent trust apply FILE")
    })?;
    let too_many = held.roots().len().saturating_sub(limits::BUNDLE_ROOTS);
    let roots = held.roots().iter().skip(too_many);
    let roots: Vec<&[u8]> = roots.map(Document::<Root>::octets).collect();
    let shards = manifest.content().shard_count();
    let writer = BundleWriter::begin(target, &roots, manifest.octets(), shards);
    let writer = writer.map_err(|why| broken(&why))?;
    Ok((writer, manifest.content().shards.clone()))
}

fn broken(why: &io::Error) -> ErrorBody {
    let reason = format!("the bundle cannot be written: {why}");
    ErrorBody::new(ErrorClass::Failure, "export", reason).with_hint("make room, then try again")
}

impl Written {
    fn take(&self) -> Vec<u8> {
        let mut octets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut octets)
    }
}

impl Write for Written {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
