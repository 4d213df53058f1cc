//! What the store answers from memory, for programs that must not wait for the disk.

use super::{Store, lock};
use crate::key::KeyId;
use crate::registry::PeerKey;
use std::sync::Arc;

impl Store {
    /// The key, if it was asked for lately and is in memory still. Never waits for the disk; that
    /// a key is not here says nothing about the registry.
    pub fn cached_key(&self, kid: KeyId) -> Option<Arc<PeerKey>> {
        lock(&self.cache).lookup(kid).ok()
    }

    /// Number of parsed keys in memory.
    pub fn cached_key_count(&self) -> usize {
        lock(&self.cache).len()
    }

    /// Keeps at most `capacity` parsed keys in memory from now on, and forgets those it has.
    pub fn set_cached_keys(&self, capacity: usize) {
        lock(&self.cache).set_capacity(capacity);
    }
}
