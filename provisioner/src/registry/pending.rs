//! Requests that wait for the operator, those that were rejected, and what was refused, below `pending/`.
//!
//! Anybody who reaches the broker can fill this, so all of it is bounded: when it is full, new requests are refused, and none
//! that waits is pushed out.

use super::{Registry, atomic, load, pretty, unwritable};
use crate::error::Result;
use edgeseal_trust::document::Digest;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;

/// A request that waits.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PendingRequest {
    /// The new key.
    pub(crate) kid: KeyId,
    /// The id that the device asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<DeviceId>,
    /// The board serial that the device states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    /// The words over the whole request.
    pub(crate) words: String,
    /// Why it waits: a stable short code.
    pub(crate) why: String,
    /// Since when.
    pub(crate) since: UnixTime,
    /// The request as it came.
    pub(crate) request: String,
}

/// What the operator rejected: the same request is not shown again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedRequest {
    /// The key that asked.
    pub(crate) kid: KeyId,
    /// The SHA-256 of the request.
    pub(crate) request: Digest,
    /// Why, as the operator says.
    pub(crate) reason: String,
    /// When.
    pub(crate) at: UnixTime,
}

/// How often something was refused.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    /// How often.
    pub(crate) count: u64,
    /// The last time.
    pub(crate) last_at: UnixTime,
    /// What was said then.
    pub(crate) last: String,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Pending {
    waiting: BTreeMap<KeyId, PendingRequest>,
    octets: usize,
    rejected: VecDeque<RejectedRequest>,
    rejections: HashMap<Digest, String>,
    refused: BTreeMap<String, Refused>,
    changed: Changed,
}

#[derive(Default)]
struct Changed {
    waiting: bool,
    rejected: bool,
    refused: bool,
}

impl Pending {
    /// The request of a key.
    pub(crate) fn get(&self, kid: KeyId) -> Option<&PendingRequest> {
        self.waiting.get(&kid)
    }

    /// All that wait, in the order of their keys.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &PendingRequest> {
        self.waiting.values()
    }

    /// Adds a request in the place of the one before it by the same key; `false` when there is no room.
    pub(crate) fn put(&mut self, request: PendingRequest) -> bool {
        let before = self.waiting.get(&request.kid);
        let before = before.map_or(0, |before| before.request.len());
        let octets = self.octets.saturating_sub(before);
        let octets = octets.saturating_add(request.request.len());
        let is_new = before == 0;
        if octets > MOST_OCTETS || (is_new && self.waiting.len() >= MOST) {
            return false;
        }
        self.octets = octets;
        self.changed.waiting = true;
        self.waiting.insert(request.kid, request);
        true
    }

    /// Takes a request out.
    pub(crate) fn remove(&mut self, kid: KeyId) -> Option<PendingRequest> {
        let removed = self.waiting.remove(&kid)?;
        self.octets = self.octets.saturating_sub(removed.request.len());
        self.changed.waiting = true;
        Some(removed)
    }

    /// Takes a request out, and remembers that the operator rejected it.
    pub(crate) fn reject(&mut self, kid: KeyId, reason: &str, at: UnixTime) -> bool {
        let Some(removed) = self.remove(kid) else {
            return false;
        };
        self.remember(RejectedRequest {
            kid,
            request: Digest::of(removed.request.as_bytes()),
            reason: reason.to_owned(),
            at,
        });
        self.changed.rejected = true;
        true
    }

    /// What the operator said to this request, where it was rejected.
    pub(crate) fn rejection(&self, request: Digest) -> Option<&str> {
        self.rejections.get(&request).map(String::as_str)
    }

    /// The newest rejections, oldest first.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = &RejectedRequest> {
        self.rejected.iter()
    }

    /// What was refused without waiting, by code.
    pub(crate) fn refused(&self) -> &BTreeMap<String, Refused> {
        &self.refused
    }

    /// Counts a refusal.
    pub(crate) fn count(&mut self, code: &str, said: &str, at: UnixTime) {
        let refused = self.refused.entry(code.to_owned()).or_default();
        refused.count = refused.count.saturating_add(1);
        refused.last_at = at;
        refused.last = said.chars().take(SHOWN_CHARACTERS).collect();
        self.changed.refused = true;
    }

    fn remember(&mut self, rejected: RejectedRequest) {
        if self.rejected.len() >= MOST
            && let Some(oldest) = self.rejected.pop_front()
        {
            self.rejections.remove(&oldest.request);
        }
        self.rejections
            .insert(rejected.request, rejected.reason.clone());
        self.rejected.push_back(rejected);
    }
}

impl Registry {
    /// What waits for the operator.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn pending(&self) -> Result<Pending> {
        let dir = self.dir.join(DIR);
        let mut pending = Pending::default();
        load::each_line(
            &dir.join(WAITING),
            load::FILE_OCTETS,
            |request: PendingRequest| match pending.put(request) {
                true => Ok(()),
                false => Err("more requests than may wait".to_owned()),
            },
        )?;
        load::each_line(
            &dir.join(REJECTED),
            load::FILE_OCTETS,
            |rejected: RejectedRequest| {
                pending.remember(rejected);
                Ok(())
            },
        )?;
        let path = dir.join(REFUSED);
        if let Some(octets) = load::read_if_there(&path, MOST_OCTETS)? {
            let refused = serde_json::from_slice(&octets);
            pending.refused =
                refused.map_err(|why| load::corrupt(&path, Some(why.line()), &why.to_string()))?;
        }
        pending.changed = Changed::default();
        Ok(pending)
    }

    /// Writes what changed.
    ///
    /// # Errors
    /// The system refuses; each file is as before or as it should be.
    pub(crate) fn save_pending(&self, pending: &mut Pending) -> Result<()> {
        let dir = self.dir.join(DIR);
        if pending.changed.waiting {
            atomic::write(&dir, WAITING, &lines(pending.waiting.values())?)?;
        }
        if pending.changed.rejected {
            atomic::write(&dir, REJECTED, &lines(&pending.rejected)?)?;
        }
        if pending.changed.refused {
            atomic::write(&dir, REFUSED, &pretty(&pending.refused)?)?;
        }
        pending.changed = Changed::default();
        Ok(())
    }
}

fn lines<'a, T: Serialize + 'a>(rows: impl IntoIterator<Item = &'a T>) -> Result<Vec<u8>> {
    let mut lines = String::new();
    for row in rows {
        let line = serde_json::to_string(row).map_err(|why| unwritable(&why))?;
        let _ = writeln!(lines, "{line}"); // a String takes everything
    }
    Ok(lines.into_bytes())
}

const DIR: &str = "pending";
const WAITING: &str = "requests.jsonl";
const REJECTED: &str = "rejected.jsonl";
const REFUSED: &str = "refused.json";
/// Requests that may wait, and rejections that are remembered.
pub(crate) const MOST: usize = 10_000;
/// Octets of all requests that wait: 1.6 KiB each on the average, where an honest one has 1 KiB.
const MOST_OCTETS: usize = 16 << 20;
const SHOWN_CHARACTERS: usize = 300;
