//! The shards that are lacking, a few of them asked for at a time. Pure.

use bytes::Bytes;
use edgeseal_trust::document::Digest;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Shards on their way.
pub(super) struct Fetch {
    queue: VecDeque<Digest>,
    /// Those asked for, and how often something else came instead.
    flying: BTreeMap<Digest, u32>,
    shards: u32,
    arrived: u32,
    /// When one that is wanted came last.
    moved: Duration,
}

/// How far the shards are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Progress {
    pub(super) shards: u32,
    pub(super) arrived: u32,
}

/// What a payload on the topic of a shard is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Landed {
    /// The shard.
    Right,
    /// Nobody asked for it.
    Unwanted,
    /// It has another SHA-256.
    Wrong,
}

impl Fetch {
    pub(super) fn new(lacking: Vec<Digest>, now: Duration) -> Self {
        Self {
            shards: u32::try_from(lacking.len()).unwrap_or(u32::MAX),
            queue: lacking.into(),
            flying: BTreeMap::new(),
            arrived: 0,
            moved: now,
        }
    }

    /// The next to ask for, as long as not too many are on their way.
    pub(super) fn next(&mut self) -> Option<Digest> {
        if self.flying.len() >= FLYING {
            return None;
        }
        let digest = self.queue.pop_front()?;
        self.flying.insert(digest, 0);
        Some(digest)
    }

    /// Something came on the topic of this shard.
    pub(super) fn land(&mut self, digest: Digest, payload: &Bytes, now: Duration) -> Landed {
        let Some(wrong) = self.flying.get_mut(&digest) else {
            return Landed::Unwanted;
        };
        if Digest::of(payload) != digest {
            *wrong = wrong.saturating_add(1);
            return Landed::Wrong;
        }
        self.flying.remove(&digest);
        self.arrived = self.arrived.saturating_add(1);
        self.moved = now;
        Landed::Right
    }

    pub(super) fn is_done(&self) -> bool {
        self.flying.is_empty() && self.queue.is_empty()
    }

    pub(super) const fn progress(&self) -> Progress {
        Progress {
            shards: self.shards,
            arrived: self.arrived,
        }
    }

    /// When it has waited long enough.
    pub(super) fn missing_at(&self) -> Duration {
        self.moved.saturating_add(SHARD_PATIENCE)
    }

    /// Code and sentence of what is missing.
    pub(super) fn missing(&self) -> (&'static str, String) {
        let (code, what) = if self.flying.values().any(|wrong| *wrong > 0) {
            ("shard-hash", "have another SHA-256 or are not there")
        } else {
            ("shard-missing", "are not there")
        };
        let count = self.shards.saturating_sub(self.arrived);
        let first = self.flying.keys().next().map(Digest::to_string);
        let first = first.unwrap_or_default();
        let reason = format!("{count} shards {what}, among them {first}: publish again");
        (code, reason)
    }

    /// Those that were asked for in vain.
    pub(super) fn into_flying(self) -> impl Iterator<Item = Digest> {
        self.flying.into_keys()
    }
}

/// Shards that are asked for at one time.
const FLYING: usize = 8;
/// Without any shard that is wanted: a shard of the largest size takes a minute at 140 kbit/s.
const SHARD_PATIENCE: Duration = Duration::from_secs(60);
