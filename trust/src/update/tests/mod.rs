//! Both sides of every rule of updates.

mod manifests;
mod roots;
mod shards;

use super::{
    Current, Held, InForce, Mark, Offer, Update, UpdateError, UpdateRejection, evaluate,
    read_bundle,
};
use crate::document::fixture::{manifest, root, shards, signed_manifest, signed_root};
use crate::document::{
    BundleError, BundleReader, BundleWriter, DeviceEntry, Document, Manifest, Root, Shard,
};
use crate::id::DeviceId;
use crate::key::KeyId;
use crate::words::Words;
use std::collections::HashMap;
use std::convert::Infallible;

/// What a carrier brings.
#[derive(Clone, Default)]
struct Bundle {
    roots: Vec<Vec<u8>>,
    manifest: Vec<u8>,
    shards: Vec<Vec<u8>>,
}

/// An agent's store as far as evaluation sees it: it commits as a store must.
#[derive(Clone, Default)]
struct Agent {
    root: Option<Document<Root>>,
    mark: Option<Mark>,
    manifest: Option<Document<Manifest>>,
    index: HashMap<KeyId, DeviceId>,
    files: HashMap<crate::document::Digest, Vec<u8>>,
}

impl Held for Agent {
    type Error = Infallible;

    fn owner(&self, kid: &KeyId) -> Result<Option<DeviceId>, Infallible> {
        Ok(self.index.get(kid).cloned())
    }
}

impl Bundle {
    /// Root 1 and a manifest under it, of one shard.
    fn first(sequence: u64, entries: &[DeviceEntry]) -> Self {
        Self::of(1, sequence, entries, 1)
    }

    fn of(root_version: u64, sequence: u64, entries: &[DeviceEntry], count: u32) -> Self {
        let shards = shards(entries, count);
        let manifest = manifest(root_version, sequence, &shards);
        Self {
            roots: vec![signed_root(&root(1), &[1, 2])],
            manifest: signed_manifest(&manifest, &[11]),
            shards,
        }
    }

    fn file(&self) -> Vec<u8> {
        let roots: Vec<&[u8]> = self.roots.iter().map(Vec::as_slice).collect();
        let count = u32::try_from(self.shards.len()).unwrap();
        let mut writer = BundleWriter::begin(Vec::new(), &roots, &self.manifest, count).unwrap();
        for shard in &self.shards {
            writer.shard(shard).unwrap();
        }
        writer.finish().unwrap()
    }
}

impl Agent {
    /// An agent that has applied `bundle`, its root pinned.
    fn with(bundle: &Bundle) -> Self {
        let mut agent = Self::default();
        let words = Words::of_root(&bundle.roots[0]);
        assert_eq!(agent.apply_pinned(bundle, Some(&words)), "applied");
        agent
    }

    fn apply(&mut self, bundle: &Bundle) -> &'static str {
        self.apply_pinned(bundle, None)
    }

    fn apply_pinned(&mut self, bundle: &Bundle, pin: Option<&Words>) -> &'static str {
        match self.evaluate(&bundle.file(), pin) {
            Ok((update, _)) if update.is_already_current() => "already current",
            Ok((update, new)) => {
                self.commit(update, new);
                "applied"
            }
            Err(UpdateError::Rejected(why)) => {
                assert!(!why.to_string().is_empty());
                why.code()
            }
            Err(UpdateError::Bundle(BundleError::Rejected(why))) => why.code(),
            Err(other) => panic!("{other}"),
        }
    }

    fn evaluate(
        &self,
        file: &[u8],
        pin: Option<&Words>,
    ) -> Result<(Update, Vec<Vec<u8>>), UpdateError<Infallible>> {
        let mut new = Vec::new();
        let mut bundle = BundleReader::open(file)?;
        let update = read_bundle(&mut bundle, self.current(), pin, self, |_, octets| {
            new.push(octets.to_vec());
            Ok(())
        })?;
        Ok((update, new))
    }

    fn current(&self) -> Current<'_> {
        Current {
            root: self.root.as_ref(),
            mark: self.mark,
            manifest: self.manifest.as_ref(),
        }
    }

    /// Roots without a manifest, as an agent gets them over MQTT.
    fn apply_roots(&mut self, roots: &[&[u8]]) -> Result<InForce, UpdateRejection> {
        let offer = Offer {
            roots,
            manifest: None,
        };
        let update = evaluate(self.current(), offer, None)?.finish()?;
        let in_force = update.in_force.clone();
        self.commit(update, Vec::new());
        Ok(in_force)
    }

    fn commit(&mut self, update: Update, new: Vec<Vec<u8>>) {
        self.mark = update.mark;
        if update.rebuild_index {
            self.index.clear();
        }
        for octets in new {
            self.files
                .insert(crate::document::Digest::of(&octets), octets);
        }
        for digest in &update.removed_shards {
            let shard = Shard::reload(&self.files.remove(digest).unwrap()).unwrap();
            for key in shard.devices().iter().flat_map(|device| &device.keys) {
                self.index.remove(&key.key.id());
            }
        }
        for (index, digest) in &update.new_shards {
            let shard = Shard::reload(&self.files[digest]).unwrap();
            assert_eq!(shard.index(), *index);
            for device in shard.devices() {
                for key in &device.keys {
                    let owner = device.id.clone();
                    assert_eq!(self.index.insert(key.key.id(), owner), None);
                }
            }
        }
        if let Some(manifest) = update.new_manifest {
            self.manifest = Some(manifest);
        }
        self.root = Some(update.root);
    }

    fn in_force(&self) -> InForce {
        super::in_force(
            self.root.as_ref().unwrap().content(),
            self.manifest.as_ref(),
        )
    }
}

fn code<T>(result: Result<T, UpdateRejection>) -> &'static str {
    result.err().map_or("accepted", |why| why.code())
}

#[test]
fn codes_are_listed_once_in_order() {
    let codes = UpdateRejection::CODES;
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
}
