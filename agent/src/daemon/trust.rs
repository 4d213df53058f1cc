//! The trust data of the running agent: applied, put in force, handed on, asked for.

use super::Agent;
use super::agent::store_failed;
use super::update;
use crate::engine::{InForce, KeyLookup, KeySource, Own, Report, SignedStatus};
use crate::notify;
use crate::trust_link::{LinkHandle, LinkStatus};
use crate::wire::{ErrorBody, ErrorClass, UpdateBody};
use edgeseal_trust::clock::ClockState;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::status::{Notice, Offered};
use edgeseal_trust::store::{HeldDocuments, Store, StoreError};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Rejection, Verdict};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use tracing::{info, warn};

/// The state of an agent, as far as its operator wants to know of changes at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// Root version and sequence of the manifest in force.
    pub place: Option<(u64, u64)>,
    /// What its clock is worth.
    pub clock: ClockState,
    /// Its name.
    pub device: Option<DeviceId>,
    /// How many alarms and notices there were.
    pub alarms: u64,
}

impl Agent {
    /// A file without a name, for what is too large for memory.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn scratch_file(&self) -> Result<File, ErrorBody> {
        update::scratch_file(self.store.dir()).map_err(|error| {
            let directory = self.store.dir().display();
            let reason = format!("the bundle cannot be written to {directory}: {error}");
            let body = ErrorBody::new(ErrorClass::Failure, "spool", reason);
            body.with_hint(match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem => "mount it writable, then send it again",
                _ => "make room in the state directory, then send it again",
            })
        })
    }

    /// Applies a bundle file as a whole, or not at all, and judges by it from then on.
    ///
    /// While it is committed, a key may be newer than the manifest that judges by it, never older.
    ///
    /// # Errors
    /// The bundle is refused, or the store failed; what was in force stays in force.
    pub async fn apply(&self, bundle: File) -> Result<UpdateBody, ErrorBody> {
        let store = Arc::clone(&self.store);
        let kid = self.working().engine.kid();
        let applying = tokio::task::spawn_blocking(move || {
            let applied = update::apply(&store, bundle, None);
            (applied, read_in_force(&store, kid))
        });
        let (applied, in_force) = applying.await.map_err(|error| {
            let body = ErrorBody::new(ErrorClass::Failure, "update", error.to_string());
            body.with_hint("see the agent's log")
        })?;
        // Whatever became of the bundle: what the store has in force is what counts.
        self.put_in_force(in_force.map_err(|error| store_failed(&error))?);
        if self.kid() != kid {
            // The key was changed meanwhile: its own entry is another.
            self.take_over().map_err(|error| store_failed(&error))?;
        }
        let applied = applied?;
        info!(
            outcome = ?applied.outcome,
            root_version = applied.root_version,
            sequence = applied.mark.map(|mark| mark.sequence),
            changed_shards = applied.changed_shards,
            "trust bundle: {}",
            self.summary()
        );
        notify::status(&self.summary());
        Ok(update::body(&applied, self.device()))
    }

    /// The state directory.
    pub fn state_dir(&self) -> &Path {
        self.store.dir()
    }

    /// This device's clock, whatever it is worth.
    pub fn time(&self) -> UnixTime {
        self.with(|_, now| now.time)
    }

    /// This device's key, where it has one.
    pub fn kid(&self) -> Option<KeyId> {
        self.working().engine.kid()
    }

    /// The documents that the store holds; nothing where it does not answer.
    pub async fn held_documents(&self) -> Option<HeldDocuments> {
        let held = self.off_the_executor(Store::held_documents).await;
        held.inspect_err(|error| warn!(code = error.code(), "{error}"))
            .ok()
    }

    /// Lets this agent have a trust link. Only the first one counts.
    pub fn set_link(&self, link: LinkHandle) {
        self.link.set(link).ok();
    }

    /// There may be newer trust data than what is in force: a key came that is not in it. Asked at most
    /// every 10 seconds; without a link nobody is asked.
    pub fn ask_for_news(&self) {
        let Some(link) = self.link.get() else { return };
        let now = self.since_start();
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.take(now) {
            link.ask_for_news();
        }
    }

    /// A key that is not in the registry may be in a newer one; one that is too old has a successor.
    pub(super) fn note_unknown(&self, outcome: &Result<Verdict, Failure>) {
        if matches!(
            outcome,
            Ok(Verdict::Rejected(Rejection::UnknownKey(_))) | Err(Failure::ManifestTooOld { .. })
        ) {
            self.ask_for_news();
        }
    }

    /// A status of this device, signed; nothing where it has no key in use.
    pub fn sign_status(&self, offered: Option<Offered>) -> Option<SignedStatus> {
        let uptime = self.since_start().as_secs();
        self.with(|engine, now| {
            let report = Report {
                started_at: now.time.minus(uptime),
                offered,
            };
            engine.sign_status(&report, now).ok()
        })
    }

    /// What a change of which is worth a status.
    pub fn condition(&self) -> Condition {
        self.with(|engine, now| Condition {
            place: engine.view().map(|view| (view.root_version, view.sequence)),
            clock: now.clock,
            device: engine.device().cloned(),
            alarms: engine.alarms(),
        })
    }

    /// The broker says that another client goes by this device's name.
    pub(crate) fn note_taken_over(&self) {
        self.with(|engine, now| {
            let (kid, device) = (engine.kid(), engine.device().cloned());
            engine.notice(Notice {
                code: "session-taken-over".to_owned(),
                kid,
                device,
                at: now.time,
            });
        });
    }

    /// What is known of the trust link.
    pub fn link_status(&self) -> LinkStatus {
        self.link.get().map(LinkHandle::status).unwrap_or_default()
    }

    /// Lets the engine judge by the trust data that the store has in force. To be called at the
    /// start.
    ///
    /// # Errors
    /// [`StoreError`]: then there is none in force.
    pub(super) fn take_over(&self) -> Result<(), StoreError> {
        let kid = self.working().engine.kid();
        self.put_in_force(read_in_force(&self.store, kid)?);
        Ok(())
    }

    fn put_in_force(&self, in_force: Option<InForce>) {
        let own = in_force.as_ref().and_then(|in_force| in_force.own.as_ref());
        *self.device.write().unwrap_or_else(PoisonError::into_inner) =
            own.map(|own| own.device.id.clone());
        self.working().engine.set_in_force(in_force);
        self.trust_changes.send_replace(());
    }
}

/// The keys that the store has in memory.
struct StoreKeys(Arc<Store>);

impl KeySource for StoreKeys {
    fn lookup(&self, kid: KeyId) -> KeyLookup {
        match self.0.cached_key(kid) {
            Some(key) => KeyLookup::Known(key),
            None => KeyLookup::NeedsLoad,
        }
    }
}

/// The trust data that the store has in force, with this device's own entry.
fn read_in_force(store: &Arc<Store>, kid: Option<KeyId>) -> Result<Option<InForce>, StoreError> {
    let Some(view) = store.trust() else {
        return Ok(None);
    };
    let own = match kid {
        Some(kid) => store.key(kid)?,
        None => None,
    };
    Ok(Some(InForce {
        view,
        own: own.as_deref().map(Own::from),
        keys: Box::new(StoreKeys(Arc::clone(store))),
    }))
}
