//! The core of one agent: what follows trust data, keeps it and judges by it. Around it a real connection and the clock of the test.

mod rotation;

use crate::carrier::{Arrived, Carrier, KEEP_ALIVE};
use crate::clock::Clock;
use edgeseal_agent::engine::{
    Engine, InForce, KeyLookup, KeySource, Own, Settings, Signing, complete,
};
use edgeseal_agent::enroll::RotationEvent;
use edgeseal_agent::trust_link::{Action, Follower, Outcome};
use edgeseal_agent::wire::{SignRequest, VerifyRequest};
use edgeseal_trust::document::BundleWriter;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::store::Store;
use edgeseal_trust::token::Verdict;
use edgeseal_trust::update::UpdateError;
use rotation::Rotating;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

pub(crate) use rotation::Next;

/// One agent as the test sees it.
pub(crate) struct Member {
    pub(crate) store: Arc<Store>,
    engine: Arc<Mutex<Engine>>,
    clock: Clock,
    /// The broker's port; none while it cannot be reached.
    reach: watch::Sender<Option<u16>>,
    next: mpsc::UnboundedSender<Next>,
}

/// What all members did.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    pub(crate) documents: AtomicU64,
    pub(crate) octets: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) rolled_back: AtomicU64,
    /// Members that sign with their next key.
    pub(crate) rotated: AtomicU64,
}

struct Core {
    name: String,
    domain: TrustDomain,
    store: Arc<Store>,
    engine: Arc<Mutex<Engine>>,
    key: KeyId,
    follower: Follower,
    bundle: Option<BundleWriter<Vec<u8>>>,
    clock: Clock,
    tally: Arc<Tally>,
    reach: watch::Receiver<Option<u16>>,
    next: mpsc::UnboundedReceiver<Next>,
    rotating: Option<Rotating>,
}

impl Member {
    /// A member that holds nothing but its key and the first root, as a join file leaves it, and its task.
    pub(crate) fn new(
        name: &str,
        place: &Path,
        root: &[u8],
        key: SigningKey,
        clock: &Clock,
        tally: &Arc<Tally>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        std::fs::create_dir_all(place).unwrap();
        Store::pin_first_root(place, root).unwrap();
        let (store, _) = Store::open(place).unwrap();
        let store = Arc::new(store);
        let epoch = store.next_epoch().unwrap();
        let kid = key.public().id();
        let signing = Signing::Ready {
            epoch,
            key: Box::new(key),
        };
        let engine = Engine::new(Settings::default(), signing, None);
        let engine = Arc::new(Mutex::new(engine));
        let (reach, reached) = watch::channel(None);
        let (next, told) = mpsc::unbounded_channel();
        let held = store.held_documents().unwrap();
        let chance = u32::from_be_bytes(*kid.octets().first_chunk().unwrap());
        let core = Core {
            name: name.to_owned(),
            domain: TrustDomain::parse("farm").unwrap(),
            store: Arc::clone(&store),
            engine: Arc::clone(&engine),
            key: kid,
            follower: Follower::new(held, chance),
            bundle: None,
            clock: clock.clone(),
            tally: Arc::clone(tally),
            reach: reached,
            next: told,
            rotating: None,
        };
        let member = Self {
            store,
            engine,
            clock: clock.clone(),
            reach,
            next,
        };
        (member, core.run())
    }

    /// Lets it reach a broker, or none.
    pub(crate) fn set_reach(&self, port: Option<u16>) {
        self.reach.send_replace(port);
    }

    /// Tells it to go on with another key, as `identity rotate` does.
    pub(crate) fn rotate(&self, next: Next) {
        assert!(self.next.send(next).is_ok());
    }

    /// Root version and sequence in force, 0 where nothing is.
    pub(crate) fn place(&self) -> (u64, u64) {
        let trust = self.store.trust();
        trust.map_or((0, 0), |trust| (trust.root_version, trust.sequence))
    }

    /// A message of this member, or why it signs none.
    pub(crate) fn sign(&self, topic: &str) -> Result<VerifyRequest, &'static str> {
        self.sign_as(topic, "message", 60)
    }

    /// The same of that kind and lifetime.
    pub(crate) fn sign_as(
        &self,
        topic: &str,
        kind: &str,
        lifetime_seconds: u64,
    ) -> Result<VerifyRequest, &'static str> {
        let request = serde_json::json!({
            "topic": topic, "payload_b64": PAYLOAD, "kind": kind, "lifetime_seconds": lifetime_seconds,
        });
        let request: SignRequest = serde_json::from_value(request).unwrap();
        let mut engine = self.engine.lock().unwrap();
        let now = engine.now(self.clock.reading());
        let signed = engine.sign(&request, &now).map_err(|why| why.code())?;
        let request = serde_json::json!({
            "token": signed.token, "topic": topic, "payload_b64": PAYLOAD, "kind": kind,
        });
        Ok(serde_json::from_value(request).unwrap())
    }

    /// What it makes of a message: `verified`, or the code of its refusal.
    pub(crate) fn judge(&self, message: &VerifyRequest) -> &'static str {
        let mut engine = self.engine.lock().unwrap();
        let now = engine.now(self.clock.reading());
        let consumer = "fleet".into();
        let verdict = complete(
            |loaded| engine.verify(message, &consumer, &now, loaded),
            |kid| self.store.key(kid).map_err(|error| error.to_string()),
        );
        match verdict {
            Ok(Verdict::Verified(_)) => "verified",
            Ok(Verdict::Rejected(why)) => why.code(),
            Err(why) => why.code(),
        }
    }
}

impl Core {
    async fn run(mut self) {
        loop {
            let reached = self.reach.wait_for(Option::is_some).await;
            let Ok(port) = reached.map(|port| port.unwrap_or_default()) else {
                return;
            };
            let mut carrier = Carrier::connect(&self.name, port, &self.domain);
            self.serve(&mut carrier).await;
            drop(carrier);
            self.follower.disconnected();
            self.rotation_is_offline();
            // Nobody is in step with anybody.
            let spread = u64::from(self.key.octets()[0]);
            tokio::time::sleep(Duration::from_millis(50 + spread)).await;
        }
    }

    /// Until the connection is over.
    async fn serve(&mut self, carrier: &mut Carrier) {
        let mut skips = self.clock.clone();
        loop {
            let rotation = self.rotation_wakes_at();
            tokio::select! {
                arrived = carrier.next() => match arrived {
                    None => return,
                    Some(arrived) => self.take(arrived, carrier),
                },
                Some(next) = self.next.recv() => self.begin_rotation(next, carrier),
                () = self.clock.at(rotation) => {}
                () = skips.skipped() => self.follower.moved(self.clock.now()), // its pings were answered meanwhile
                () = self.clock.at(self.follower.deadline()) => self.follower.tick(self.clock.now()),
                changed = self.reach.changed() => {
                    if changed.is_err() || self.reach.borrow().is_none() {
                        return;
                    }
                }
            }
            self.rotation_hears_time(carrier);
            while let Some(action) = self.follower.next_action() {
                if self.act(action, carrier).await.is_err() {
                    return;
                }
            }
        }
    }

    fn take(&mut self, arrived: Arrived, carrier: &Carrier) {
        let now = self.clock.now();
        self.follower.moved(now);
        match arrived {
            Arrived::Connected => {
                count(&self.tally.connections, 1);
                self.follower.connected(KEEP_ALIVE, now);
                self.rotate(RotationEvent::Connected(true), carrier);
            }
            Arrived::Acknowledged => self.rotate(RotationEvent::Acknowledged(true), carrier),
            Arrived::Document(what, payload) => {
                count(&self.tally.documents, 1);
                count(&self.tally.octets, payload.len());
                self.follower.received(what, payload, now);
            }
            Arrived::Other => {}
        }
    }

    async fn act(&mut self, action: Action, carrier: &Carrier) -> Result<(), &'static str> {
        match action {
            Action::Subscribe(what) => carrier.subscribe(what.topic(&self.domain)),
            Action::Unsubscribe(what) => carrier.unsubscribe(what.topic(&self.domain)),
            Action::Begin {
                roots,
                manifest,
                shards,
            } => {
                let roots: Vec<&[u8]> = roots.iter().map(AsRef::as_ref).collect();
                let bundle = BundleWriter::begin(Vec::new(), &roots, &manifest, shards);
                self.bundle = Some(bundle.unwrap());
            }
            Action::Shard(octets) => self.bundle.as_mut().unwrap().shard(&octets).unwrap(),
            Action::Apply => {
                self.apply().await;
                self.rotation_hears_standings(carrier);
            }
            Action::GiveUp => self.bundle = None,
            Action::Reconnect(why) => return Err(why),
        }
        Ok(())
    }

    async fn apply(&mut self) {
        let bundle = self.bundle.take().unwrap().finish().unwrap();
        let store = Arc::clone(&self.store);
        let before = store.mark();
        let applied = tokio::task::spawn_blocking(move || store.apply_bundle(&bundle[..], None));
        let outcome = match applied.await.unwrap() {
            Ok(_) => {
                count(&self.tally.applied, 1);
                Outcome::Applied
            }
            Err(UpdateError::Rejected(why)) => self.refused(why.code(), why.to_string(), false),
            Err(other) => self.refused("bundle", other.to_string(), true),
        };
        if before.is_some_and(|before| {
            let after = self.store.mark();
            after.is_none_or(|after| after.order(&before).is_lt())
        }) {
            count(&self.tally.rolled_back, 1);
        }
        self.put_in_force();
        let held = self.store.held_documents().unwrap();
        self.follower.applied(outcome, Some(held), self.clock.now());
    }

    fn refused(&self, code: &'static str, reason: String, again: bool) -> Outcome {
        count(&self.tally.refused, 1);
        Outcome::Refused {
            code,
            reason,
            again,
        }
    }

    fn put_in_force(&self) {
        let own = self.store.key(self.key).unwrap();
        let in_force = self.store.trust().map(|view| InForce {
            view,
            own: own.as_deref().map(Own::from),
            keys: Box::new(Keys(Arc::clone(&self.store))),
        });
        self.engine.lock().unwrap().set_in_force(in_force);
    }
}

struct Keys(Arc<Store>);

impl KeySource for Keys {
    fn lookup(&self, kid: KeyId) -> KeyLookup {
        match self.0.cached_key(kid) {
            Some(key) => KeyLookup::Known(key),
            None => KeyLookup::NeedsLoad,
        }
    }
}

fn count(counter: &AtomicU64, by: impl TryInto<u64>) {
    counter.fetch_add(by.try_into().unwrap_or_default(), Ordering::Relaxed);
}

const PAYLOAD: &str = "MjEuNQ==";
