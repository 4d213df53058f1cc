//! Verifying without a daemon, by a bundle file that is held in memory and written nowhere.

mod batch;
mod error;
#[cfg(test)]
mod tests;

pub use batch::{BatchLine, BatchSummary, LINE_OCTETS};
pub use error::OfflineError;

use crate::engine::{Engine, InForce, KeyTable, Own, Settings, SignBlock, Signing, complete};
use crate::wire::{Answer, Explanation, VerdictBody, VerifyRequest};
use edgeseal_trust::clock::{ClockReading, Now};
use edgeseal_trust::document::BundleReader;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::{KeyState, PeerKey};
use edgeseal_trust::replay::{Bounds, ConsumerId, Past, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::update::{self, Current, Nothing};
use edgeseal_trust::words::Words;
use serde::{Deserialize, Serialize};
use std::io::BufRead;
use std::sync::Arc;

/// Judges messages by one bundle file.
pub struct Verifier {
    engine: Engine,
    unpinned_root: Option<Words>,
}

/// As whom, and how far, to judge.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The words of the root that the file must begin with. Without them its first root is believed,
    /// and its words come with every verdict, for a person to compare.
    pub root: Option<Words>,
    /// Judge as this device. Without one only what is addressed to the whole domain is for us.
    pub device: Option<DeviceId>,
    /// Whether what was accepted is remembered.
    pub replay: Replay,
}

/// Whether what was accepted is remembered, for as long as the [`Verifier`] lives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replay {
    /// Nothing is remembered: every message is judged as if it were the first.
    Forget,
    /// It is, from the beginning of time: nothing is refused as issued before the start.
    #[default]
    Remember,
}

/// A verdict, with the words of the root where nobody has compared them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Offline<T> {
    /// What came of it.
    #[serde(flatten)]
    pub outcome: T,
    /// The words of the root that it rests on, where `--root` did not say them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_words: Option<String>,
}

impl Verifier {
    /// Reads a bundle file and judges it as an agent would that has none.
    ///
    /// # Errors
    /// [`OfflineError`] when the file is refused, or does not know the device.
    pub fn open(
        bundle: impl BufRead,
        settings: Settings,
        options: &Options,
    ) -> Result<Self, OfflineError> {
        let mut bundle = BundleReader::open(bundle)?;
        let first = bundle.roots().next().map(Words::of_root);
        let pin = options.root.or(first);
        let mut keys = Vec::new();
        let mut own = None;
        let current = Current::default();
        let update =
            update::read_bundle(&mut bundle, current, pin.as_ref(), &Nothing, |shard, _| {
                for entry in shard.devices() {
                    keys.extend(entry.peer_keys());
                    if options.device.as_ref() == Some(&entry.id) {
                        own = Some(Own {
                            device: Arc::new(entry.device()),
                            key_state: KeyState::Active,
                        });
                    }
                }
                Ok(())
            })?;
        let view = match update.in_force {
            update::InForce::Manifest(view) => view,
            update::InForce::NoManifest(why) => return Err(OfflineError::NoManifest(why)),
        };
        if let (Some(device), None) = (&options.device, &own) {
            return Err(OfflineError::UnknownDevice(device.clone()));
        }
        let mut engine = Engine::new(settings, NOBODY, options.replay.memory());
        engine.set_in_force(Some(InForce {
            view: Arc::new(view),
            own,
            keys: Box::new(keys.into_iter().collect::<KeyTable>()),
        }));
        Ok(Self {
            engine,
            unpinned_root: if options.root.is_none() { first } else { None },
        })
    }

    /// The words of the root, where nobody has compared them: to be shown with every verdict.
    #[must_use]
    pub fn unpinned_root(&self) -> Option<&Words> {
        self.unpinned_root.as_ref()
    }

    /// What a reading of the clock is worth.
    #[must_use]
    pub fn now(&self, reading: ClockReading) -> Now {
        self.engine.now(reading)
    }

    /// Judges one message.
    pub fn verify(&mut self, request: &VerifyRequest, now: &Now) -> Offline<Answer<VerdictBody>> {
        let consumer = consumer(request);
        let engine = &mut self.engine;
        let outcome = complete(
            |loaded| engine.verify(request, &consumer, now, loaded),
            nowhere_else,
        );
        self.with_words(Answer::from(&outcome))
    }

    /// Judges one message and tells of every check.
    pub fn explain(&self, request: &VerifyRequest, now: &Now) -> Offline<Explanation> {
        let consumer = consumer(request);
        let engine = &self.engine;
        let explanation = complete(
            |loaded| engine.explain(request, &consumer, now, loaded),
            nowhere_else,
        );
        self.with_words(explanation)
    }

    fn with_words<T>(&self, outcome: T) -> Offline<T> {
        Offline {
            outcome,
            root_words: self.unpinned_root.as_ref().map(ToString::to_string),
        }
    }
}

impl Replay {
    fn memory(self) -> Option<ReplayMemory> {
        match self {
            Self::Forget => None,
            Self::Remember => Some(ReplayMemory::new(BOUNDS, Past::Known, UnixTime::default())),
        }
    }
}

/// Nobody: nothing is signed here.
const NOBODY: Signing = Signing::Blocked {
    why: SignBlock::NoIdentity,
    kid: None,
};

/// For a batch of some 10,000 senders: 8 MB at the most.
const BOUNDS: Bounds = Bounds {
    consumers: 256,
    windows: 16_384,
    statements: 16_384,
};

/// What is not in the bundle is unknown.
fn nowhere_else(_: KeyId) -> Result<Option<Arc<PeerKey>>, String> {
    Ok(None)
}

fn consumer(request: &VerifyRequest) -> ConsumerId {
    match &request.consumer {
        Some(name) => format!("offline:{name}").into(),
        None => "offline".into(),
    }
}
