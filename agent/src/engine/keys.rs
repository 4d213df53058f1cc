//! Where keys come from.

use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::PeerKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The keys of the manifest in force, answered from memory.
pub trait KeySource {
    /// What is known of a key, without ever blocking.
    fn lookup(&self, kid: KeyId) -> KeyLookup;
}

/// What a [`KeySource`] knows of a key.
#[derive(Clone, Debug)]
pub enum KeyLookup {
    /// In the registry.
    Known(Arc<PeerKey>),
    /// Not in memory: load it, then ask again.
    NeedsLoad,
    /// Not in the registry.
    Unknown,
}

/// Keys that are all in memory: of a bundle file that is looked at once.
#[derive(Clone, Debug, Default)]
pub struct KeyTable(HashMap<KeyId, Arc<PeerKey>>);

impl KeyTable {
    /// The key of this name.
    #[must_use]
    pub fn get(&self, kid: KeyId) -> Option<&Arc<PeerKey>> {
        self.0.get(&kid)
    }
}

impl FromIterator<PeerKey> for KeyTable {
    fn from_iter<I: IntoIterator<Item = PeerKey>>(keys: I) -> Self {
        let named = |key: PeerKey| (key.key.id(), Arc::new(key));
        Self(keys.into_iter().map(named).collect())
    }
}

impl KeySource for KeyTable {
    fn lookup(&self, kid: KeyId) -> KeyLookup {
        match self.get(kid) {
            Some(key) => KeyLookup::Known(Arc::clone(key)),
            None => KeyLookup::Unknown,
        }
    }
}

/// An outcome, or what is needed first.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Step<T> {
    /// The outcome.
    Done(T),
    /// Load this key, then ask again with it.
    NeedsKey(KeyTicket),
}

impl<T> Step<T> {
    /// The same step with another outcome.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Done(outcome) => Step::Done(of(outcome)),
            Self::NeedsKey(ticket) => Step::NeedsKey(ticket),
        }
    }
}

/// A key to be loaded for the manifest in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyTicket {
    kid: KeyId,
    manifest: (u64, u64),
}

/// What came of loading a key: what the registry has, or why the store does not answer. It counts
/// under the manifest that it was loaded for only.
#[derive(Clone, Debug)]
pub struct LoadedKey {
    ticket: KeyTicket,
    found: Result<Option<Arc<PeerKey>>, String>,
}

/// Asks, and loads what is needed first, where blocking does no harm.
pub fn complete<T>(
    mut ask: impl FnMut(Option<&LoadedKey>) -> Step<T>,
    mut load: impl FnMut(KeyId) -> Result<Option<Arc<PeerKey>>, String>,
) -> T {
    let mut loaded = None;
    loop {
        match ask(loaded.as_ref()) {
            Step::Done(outcome) => return outcome,
            // Ends: what was loaded answers the same question when it is asked again.
            Step::NeedsKey(ticket) => loaded = Some(ticket.loaded(load(ticket.kid()))),
        }
    }
}

impl KeyTicket {
    pub(super) const fn new(kid: KeyId, manifest: (u64, u64)) -> Self {
        Self { kid, manifest }
    }

    /// Which key.
    #[must_use]
    pub const fn kid(&self) -> KeyId {
        self.kid
    }

    /// What came of it.
    #[must_use]
    pub const fn loaded(self, found: Result<Option<Arc<PeerKey>>, String>) -> LoadedKey {
        LoadedKey {
            ticket: self,
            found,
        }
    }
}

impl LoadedKey {
    /// What was found, if it was this that was asked for.
    pub(super) fn answer(&self, ticket: KeyTicket) -> Option<Result<Option<Arc<PeerKey>>, String>> {
        (self.ticket == ticket).then(|| self.found.clone())
    }
}
