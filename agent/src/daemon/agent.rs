//! The running agent: engine, store and clock behind one face, for the API and for the daemon's own
//! tasks.

use super::remember::Keeper;
use super::status::AgentStatus;
use crate::api::{Gauges, TrustGauges};
use crate::clock::{Clock, SystemClock};
use crate::engine::{Counts, Engine, KeyTicket, LoadedKey, NotSigned, Settings, Signing, Step};
use crate::enroll::EnrollStatus;
use crate::gateway::link::GatewayStatus;
use crate::trust_link::{LinkHandle, Pace};
use crate::wire::{
    Answer, ErrorBody, ErrorClass, Explanation, LoginRequest, SignRequest, Signed, VerdictBody,
    VerifyRequest,
};
use edgeseal_trust::clock::{ClockReading, ClockState, Now};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::store::{PeerPage, Store, StoreError};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Received, Verdict, Verified};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// What signs, judges and knows, shared by all tasks. What may block is done on a blocking thread.
pub struct Agent {
    engine: Mutex<Working>,
    pub(super) store: Arc<Store>,
    clock: SystemClock,
    pub(super) device: RwLock<Option<DeviceId>>,
    pub(super) trust_changes: watch::Sender<()>,
    pub(super) link: OnceLock<LinkHandle>,
    pub(super) news: Mutex<Pace>,
    pub(super) enrolling: watch::Sender<EnrollStatus>,
}

/// What one judgement works with.
pub(super) struct Working {
    pub(super) engine: Engine,
    keeper: Keeper,
    /// When this process started, by the synchronized clock that was seen last.
    start: Option<UnixTime>,
    /// What the log said of the clock last.
    clock_told: Option<ClockState>,
}

impl Agent {
    /// An agent whose engine knows no trust data yet: see `take_over`.
    pub fn new(engine: Engine, store: Store, clock: SystemClock) -> Self {
        Self::with_keeper(engine, Keeper::default(), store, clock)
    }

    /// The same, with the file of the engine's replay memory.
    pub(super) fn with_keeper(
        engine: Engine,
        keeper: Keeper,
        store: Store,
        clock: SystemClock,
    ) -> Self {
        Self {
            engine: Mutex::new(Working {
                engine,
                keeper,
                start: None,
                clock_told: None,
            }),
            store: Arc::new(store),
            clock,
            device: RwLock::default(),
            trust_changes: watch::Sender::new(()),
            link: OnceLock::new(),
            news: Mutex::new(Pace::new(NEWS_EVERY, 1)),
            enrolling: watch::Sender::default(),
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

    /// Judges a message. What it changed in the replay memory is stored when this returns.
    pub async fn verify(
        &self,
        request: &VerifyRequest,
        consumer: &ConsumerId,
    ) -> Answer<VerdictBody> {
        let outcome = self.with_keys(|working, now, loaded| {
            match working.engine.verify(request, consumer, now, loaded) {
                Step::Done(outcome) => {
                    self.note_unknown(&outcome);
                    let stored = working.keeper.store(&mut working.engine, now.time);
                    Step::Done(stored.and(outcome))
                }
                Step::NeedsKey(ticket) => Step::NeedsKey(ticket),
            }
        });
        (&outcome.await).into()
    }

    /// Judges a message by any rule. What it changed in the replay memory is stored when this
    /// returns; `before_stored` runs before that, once the message is verified.
    ///
    /// # Errors
    /// [`Failure`] when this device is in no state to judge: ask again later.
    pub(super) fn judge(
        &self,
        token: &[u8],
        received: &Received<'_>,
        loaded: Option<&LoadedKey>,
        before_stored: &mut dyn FnMut(&Verified),
    ) -> Step<Result<Verdict, Failure>> {
        self.with_all(|working, now| {
            let step = working.engine.judge(token, received, now, loaded);
            let Step::Done(outcome) = step else {
                return step;
            };
            self.note_unknown(&outcome);
            if let Ok(Verdict::Verified(verified)) = &outcome {
                before_stored(verified);
            }
            let stored = working.keeper.store(&mut working.engine, now.time);
            Step::Done(stored.and(outcome))
        })
    }

    /// Makes a consumer known before its first message.
    ///
    /// # Errors
    /// [`Failure`] at the bound of consumers, or where it cannot be stored.
    pub(super) fn introduce(&self, consumer: &ConsumerId) -> Result<(), Failure> {
        self.with_all(|working, now| {
            let known = working.engine.introduce(consumer, now);
            known.and(working.keeper.store(&mut working.engine, now.time))
        })
    }

    /// Judges a message and tells of every check; nothing is remembered.
    pub async fn explain(&self, request: &VerifyRequest, consumer: &ConsumerId) -> Explanation {
        self.with_keys(|working, now, loaded| {
            working.engine.explain(request, consumer, now, loaded)
        })
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

    /// What this agent says of itself. Of the gateway it says nothing.
    pub fn status(&self) -> AgentStatus {
        let (engine, floor) = self.with(|engine, now| (engine.status(now), now.floor));
        AgentStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.since_start().as_secs(),
            floor,
            noted_time: self.store.noted_time(),
            enrolled: engine.device.is_some(),
            engine,
            gateway: GatewayStatus::default(),
            trust_link: self.link_status(),
            enrollment: self.enrolling.borrow().clone(),
        }
    }

    /// Why this agent cannot do its work; nothing where it can. One that is not enrolled yet
    /// cannot.
    pub fn health(&self) -> Option<ErrorBody> {
        let status = self.with(|engine, now| engine.status(now));
        status.verifying.or(status.signing)
    }

    /// `fresh`, or `stale` while the grace period of expired trust data runs.
    pub fn staleness(&self) -> Cow<'static, str> {
        let status = self.with(|engine, now| engine.status(now));
        status
            .trust
            .map_or(Cow::Borrowed("none"), |trust| trust.staleness)
    }

    /// What metrics tell.
    pub fn measure(&self) -> (Counts, Gauges) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (counts, status, replay) = self.with(|engine, now| {
            let replay = engine.memory().map(|memory| memory.counts());
            let replay = replay.unwrap_or_default();
            (engine.counts().clone(), engine.status(now), replay)
        });
        let trust = status.trust.as_ref().map(|trust| TrustGauges {
            sequence: trust.sequence,
            root_version: trust.root_version,
            age_seconds: status.time.since(trust.iat),
            expires_at: trust.exp.min(trust.root_exp).seconds(),
            keys: self.store.key_count(),
        });
        let gauges = Gauges {
            replay_windows: count(replay.windows),
            replay_consumers: count(replay.consumers),
            cached_keys: count(self.store.cached_key_count()),
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

    /// Changes whenever other trust data is in force.
    pub fn trust_changes(&self) -> watch::Receiver<()> {
        self.trust_changes.subscribe()
    }

    /// The time by which certificates are judged: a synchronized clock is believed, any other not
    /// before the floor.
    pub fn certificate_time(&self) -> UnixTime {
        let reading = self.reading();
        if reading.synchronized {
            return reading.time;
        }
        let floor = self.working().engine.floor();
        let known = [floor.manifest, floor.noted].into_iter().flatten();
        known.fold(reading.time.max(floor.release), UnixTime::max)
    }

    /// Loads a key where blocking does no harm.
    pub async fn load(&self, ticket: KeyTicket) -> LoadedKey {
        let found = self
            .off_the_executor(move |store| store.key(ticket.kid()))
            .await;
        ticket.loaded(found.map_err(|error| error.to_string()))
    }

    /// Whether and with what this device signs, in an epoch that this process has just taken.
    pub(super) fn set_signing(&self, signing: Signing, epoch: u64) {
        let Working { engine, keeper, .. } = &mut *self.working();
        engine.set_signing(signing);
        keeper.follow_epoch(engine, epoch);
    }

    /// Other settings, from the next request on.
    pub(super) fn set_settings(&self, settings: Settings) {
        self.working().engine.set_settings(settings);
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
        self.with(|_, _| ()); // where nobody asks for anything, the log still says when the clock changes
        let reading = self.reading();
        if !reading.synchronized {
            return Ok(());
        }
        if self.working().engine.floor().contradicted_by(reading) {
            warn!(
                time = reading.time.seconds(),
                "the clock is synchronized and behind the time noted last: the clock is believed"
            );
        }
        self.off_the_executor(move |store| store.note_time(reading.time))
            .await?;
        self.working()
            .engine
            .set_noted_time(Some(self.store.noted_time()));
        Ok(())
    }

    /// Asks the store for next to nothing.
    pub(super) async fn touch_store(&self) -> Result<u64, StoreError> {
        self.off_the_executor(|store| Ok(store.key_count())).await
    }

    /// Forgets replays that cannot happen any more. The registry is asked for every key in memory,
    /// so this is done on a blocking thread, and seldom.
    pub(super) fn tidy(&self) {
        let Working { engine, keeper, .. } = &mut *self.working();
        let now = engine.now(self.reading());
        if now.clock == ClockState::BehindFloor {
            return;
        }
        // A store that does not answer has forgotten nothing.
        keeper.tidy(engine, now.time, &|kid| {
            !matches!(self.store.key(kid), Ok(None))
        });
    }

    /// What must outlive a clean stop.
    pub(super) fn save(&self) {
        let Working { engine, keeper, .. } = &mut *self.working();
        keeper.save(engine);
    }

    /// Lets the engine work at this moment.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Engine, &Now) -> T) -> T {
        self.with_all(|working, now| work(&mut working.engine, now))
    }

    fn with_all<T>(&self, work: impl FnOnce(&mut Working, &Now) -> T) -> T {
        let reading = self.clock.read();
        let mut working = self.working();
        let now = working.engine.now(trust_reading(reading));
        if working.clock_told != Some(now.clock) {
            working.clock_told = Some(now.clock);
            tell_clock(&now);
        }
        // Where nobody synchronizes the clock, its first word holds.
        let is_first = working.start.is_none() && working.engine.vouches(now.clock);
        if now.clock == ClockState::Synchronized || is_first {
            let start = now.time.minus(reading.since_start.as_secs());
            // A clock that lied at the boot is believed again when it is right: else all that is sent until the time
            // that it showed would count as sent before this start.
            if working.start.is_none_or(|known| is_step(known, start)) {
                tell_start(working.start, start);
                working.start = Some(start);
                working.engine.remember_since(&now, reading.since_start);
            }
        }
        work(&mut working, &now)
    }

    /// Lets the engine work, and loads the keys that it asks for.
    async fn with_keys<T>(
        &self,
        mut work: impl FnMut(&mut Working, &Now, Option<&LoadedKey>) -> Step<T>,
    ) -> T {
        let mut loaded = None;
        loop {
            match self.with_all(|working, now| work(working, now, loaded.as_ref())) {
                Step::Done(outcome) => return outcome,
                Step::NeedsKey(ticket) => loaded = Some(self.load(ticket).await),
            }
        }
    }

    /// The store may wait for the disk, and everybody else does not.
    pub(super) async fn off_the_executor<T: Send + 'static>(
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
        trust_reading(self.clock.read())
    }

    pub(super) fn working(&self) -> MutexGuard<'_, Working> {
        lock(&self.engine)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than rounding to seconds: whoever slews the clock slews the time since the start with it.
fn is_step(before: UnixTime, after: UnixTime) -> bool {
    before.since(after).max(after.since(before)) > 2
}

/// Memory that begins earlier accepts more, so whoever reads the log is told.
fn tell_start(known: Option<UnixTime>, start: UnixTime) {
    if let Some(known) = known.filter(|known| start < *known) {
        warn!(
            %known, %start,
            "the synchronized clock stepped back, and the start of the replay memory with it"
        );
    }
}

fn tell_clock(now: &Now) {
    let (clock, time) = (now.clock.as_str(), now.time.seconds());
    match now.clock {
        ClockState::Synchronized => info!(clock, time, "the clock is synchronized"),
        ClockState::Unsynchronized => warn!(clock, time, "nobody vouches for the clock"),
        ClockState::BehindFloor => warn!(
            clock,
            time, "the clock is behind the floor: nothing is signed or judged until it is right"
        ),
    }
}

fn trust_reading(reading: crate::clock::ClockReading) -> ClockReading {
    ClockReading {
        time: UnixTime::from_seconds(reading.unix_seconds),
        synchronized: reading.synchronized,
    }
}

pub(super) fn store_failed(error: &StoreError) -> ErrorBody {
    let text = error.to_string();
    // The sentence alone: the hint has a member of its own.
    let reason = text.split("\n  hint: ").next().unwrap_or_default();
    ErrorBody::new(ErrorClass::Failure, error.code(), reason).with_hint(error.hint())
}

/// Also where many strangers send.
const NEWS_EVERY: Duration = Duration::from_secs(10);
