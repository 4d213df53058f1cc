//! The running agent: engine, store and clock behind one face, for the API and for the daemon's own
//! tasks.

use super::status::AgentStatus;
use super::update;
use crate::api::{Gauges, TrustGauges};
use crate::clock::{Clock, SystemClock};
use crate::engine::{
    Counts, Engine, InForce, KeyLookup, KeySource, KeyTicket, LoadedKey, NotSigned, Own, Settings,
    Step,
};
use crate::notify;
use crate::wire::{
    Answer, ErrorBody, ErrorClass, Explanation, LoginRequest, SignRequest, Signed, UpdateBody,
    VerdictBody, VerifyRequest,
};
use edgeseal_trust::clock::{ClockReading, Now};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::store::{PeerPage, Store, StoreError};
use edgeseal_trust::time::UnixTime;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tracing::{info, warn};

/// What signs, judges and knows, shared by all tasks. What may block is done on a blocking thread.
pub struct Agent {
    engine: Mutex<Engine>,
    store: Arc<Store>,
    clock: SystemClock,
    device: RwLock<Option<DeviceId>>,
}

impl Agent {
    /// An agent whose engine knows no trust data yet: see [`Agent::take_over`].
    pub fn new(engine: Engine, store: Store, clock: SystemClock) -> Self {
        Self {
            engine: Mutex::new(engine),
            store: Arc::new(store),
            clock,
            device: RwLock::default(),
        }
    }

    /// Signs a message, retained statement or will.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn sign(&self, request: &SignRequest) -> Result<Signed, NotSigned> {
        self.with(|engine, now| engine.sign(request, now))
    }

    /// Signs a login token.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn login(&self, request: &LoginRequest) -> Result<Signed, NotSigned> {
        self.with(|engine, now| engine.login(request, now))
    }

    /// Judges a message.
    pub async fn verify(
        &self,
        request: &VerifyRequest,
        consumer: &ConsumerId,
    ) -> Answer<VerdictBody> {
        let verify = |engine: &mut Engine, now: &Now, loaded: Option<&LoadedKey>| {
            engine.verify(request, consumer, now, loaded)
        };
        (&self.with_keys(verify).await).into()
    }

    /// Judges a message and tells of every check.
    pub async fn explain(&self, request: &VerifyRequest, consumer: &ConsumerId) -> Explanation {
        self.with_keys(|engine, now, loaded| engine.explain(request, consumer, now, loaded))
            .await
    }

    /// A page of the registry.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn peers(
        &self,
        after: Option<DeviceId>,
        limit: usize,
    ) -> Result<PeerPage, ErrorBody> {
        self.off_the_executor(move |store| store.peers(after.as_ref(), limit))
            .await
            .map_err(|error| store_failed(&error))
    }

    /// A file without a name, for what is too large for memory.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn scratch_file(&self) -> Result<File, ErrorBody> {
        update::scratch_file(self.store.dir()).map_err(|error| {
            let body = ErrorBody::new(ErrorClass::Failure, "spool", error.to_string());
            body.with_hint("make room in the state directory, then send it again")
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
        let kid = self.engine().kid();
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

    /// What this agent says of itself.
    pub fn status(&self) -> AgentStatus {
        let (engine, floor) = self.with(|engine, now| (engine.status(now), now.floor));
        AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.since_start().as_secs(),
            floor,
            noted_time: self.store.noted_time(),
            enrolled: engine.device.is_some(),
            engine,
        }
    }

    /// Why this agent cannot do its work; nothing where it can. One that is not enrolled yet
    /// cannot.
    pub fn health(&self) -> Option<ErrorBody> {
        let status = self.with(|engine, now| engine.status(now));
        status.verifying.or(status.signing)
    }

    /// What metrics tell.
    pub fn measure(&self) -> (Counts, Gauges) {
        let (counts, status) =
            self.with(|engine, now| (engine.counts().clone(), engine.status(now)));
        let trust = status.trust.as_ref().map(|trust| TrustGauges {
            sequence: trust.sequence,
            root_version: trust.root_version,
            age_seconds: status.time.since(trust.iat),
            expires_at: trust.exp.min(trust.root_exp).seconds(),
            keys: self.store.key_count(),
        });
        let gauges = Gauges {
            replay_windows: 0,
            replay_consumers: 0,
            cached_keys: u64::try_from(self.store.cached_key_count()).unwrap_or(u64::MAX),
            trust,
            clock: status.clock.clone(),
            epoch: status.epoch.unwrap_or_default(),
            enrolled: status.device.is_some(),
            uptime_seconds: self.since_start().as_secs(),
        };
        (counts, gauges)
    }

    /// This device's name in the registry.
    pub fn device(&self) -> Option<DeviceId> {
        let device = self.device.read().unwrap_or_else(PoisonError::into_inner);
        device.clone()
    }

    /// Time since the start, by a clock that never runs back.
    pub fn since_start(&self) -> Duration {
        self.clock.read().since_start
    }

    /// Other settings, from the next request on.
    pub(super) fn set_settings(&self, settings: Settings) {
        self.engine().set_settings(settings);
    }

    /// One line for `systemctl status`.
    pub(super) fn summary(&self) -> String {
        let status = self.with(|engine, now| engine.status(now));
        let who = match (&status.signing, &status.device) {
            (None, Some(device)) => format!("signing as {device}"),
            (Some(why), _) => format!("not signing: {}", why.reason),
            (None, None) => "not signing".to_owned(),
        };
        match &status.trust {
            Some(trust) => format!(
                "{who}; domain {}, sequence {}",
                trust.domain, trust.sequence
            ),
            None => format!("{who}; no trust data"),
        }
    }

    /// Notes the time if the clock is synchronized; the store writes it hourly at most.
    pub(super) async fn note_time(&self) -> Result<(), StoreError> {
        let reading = self.reading();
        if !reading.synchronized {
            return Ok(());
        }
        if self.engine().floor().contradicted_by(reading) {
            warn!(
                time = reading.time.seconds(),
                "the clock is synchronized and behind the time noted last: the clock is believed"
            );
        }
        self.off_the_executor(move |store| store.note_time(reading.time))
            .await?;
        self.engine().set_noted_time(Some(self.store.noted_time()));
        Ok(())
    }

    /// Asks the store for next to nothing.
    pub(super) async fn touch_store(&self) -> Result<u64, StoreError> {
        self.off_the_executor(|store| Ok(store.key_count())).await
    }

    /// What must outlive a clean stop.
    pub(super) fn save(&self) {}

    /// Lets the engine judge by the trust data that the store has in force. To be called at the
    /// start.
    ///
    /// # Errors
    /// [`StoreError`]: then there is none in force.
    pub(super) fn take_over(&self) -> Result<(), StoreError> {
        let kid = self.engine().kid();
        self.put_in_force(read_in_force(&self.store, kid)?);
        Ok(())
    }

    fn put_in_force(&self, in_force: Option<InForce>) {
        let own = in_force.as_ref().and_then(|in_force| in_force.own.as_ref());
        *self.device.write().unwrap_or_else(PoisonError::into_inner) =
            own.map(|own| own.device.id.clone());
        self.engine().set_in_force(in_force);
    }

    /// Lets the engine work at this moment.
    fn with<T>(&self, work: impl FnOnce(&mut Engine, &Now) -> T) -> T {
        let reading = self.reading();
        let mut engine = self.engine();
        let now = engine.now(reading);
        work(&mut engine, &now)
    }

    /// Lets the engine work, and loads the keys that it asks for.
    async fn with_keys<T>(
        &self,
        mut work: impl FnMut(&mut Engine, &Now, Option<&LoadedKey>) -> Step<T>,
    ) -> T {
        let mut loaded = None;
        loop {
            match self.with(|engine, now| work(engine, now, loaded.as_ref())) {
                Step::Done(outcome) => return outcome,
                Step::NeedsKey(ticket) => loaded = Some(self.load(ticket).await),
            }
        }
    }

    async fn load(&self, ticket: KeyTicket) -> LoadedKey {
        let found = self
            .off_the_executor(move |store| store.key(ticket.kid()))
            .await;
        ticket.loaded(found.map_err(|error| error.to_string()))
    }

    /// The store may wait for the disk, and everybody else does not.
    async fn off_the_executor<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(outcome) => outcome,
            Err(error) => Err(StoreError::Io {
                path: self.store.dir().to_owned(),
                action: "work in",
                error: std::io::Error::other(error),
            }),
        }
    }

    fn reading(&self) -> ClockReading {
        let reading = self.clock.read();
        ClockReading {
            time: UnixTime::from_seconds(reading.unix_seconds),
            synchronized: reading.synchronized,
        }
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
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

pub(super) fn store_failed(error: &StoreError) -> ErrorBody {
    let body = ErrorBody::new(ErrorClass::Failure, error.code(), error.to_string());
    body.with_hint(error.hint())
}
