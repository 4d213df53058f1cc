//! The edge of the gateway: sockets, TLS, buffers, time. All else of it is without.
//!
//! ```text
//!  program -> socket -> door (accept) -> one connection: pump <-> session -> upstream socket -> broker
//! ```
//! One thread serves all connections. Each has a task that reads both sockets, lets the session work
//! for a turn, and writes what came of it; the session says when it does not want to read, and all
//! connections share one bound of buffered octets.

mod accept;
mod actions;

mod budget;
mod hub;
mod limits;
mod plan;
mod pump;
mod refuse;
mod side;
mod sockets;
mod status;
mod stream;

mod upstream;

pub use crate::broker::TlsError;
pub use plan::PlanError;
pub use sockets::{PassedSockets, SocketError};
pub use status::{ConnectionStatus, GatewayStatus, ListenerStatus};
pub use upstream::UpstreamStatus;

use crate::config::{GatewayConfig, ListenAddress, ListenerConfig, NameDatabase};
use crate::daemon::Agent;
use crate::gateway::flows::Flows;
use crate::gateway::metrics::GatewayCounts;
use crate::notify::Pulse;
use accept::{Door, accept};
use hub::{Hub, Letter};
use plan::Plan;
use sockets::LocalSocket;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};
use upstream::Upstream;

/// The running gateway.
pub struct Gateway {
    hub: Arc<Hub>,
    passed: PassedSockets,
    pulse: Option<(Pulse, Duration)>,
    state: Mutex<State>,
    housekeeping: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    doors: Vec<OpenDoor>,
    upstreams: Vec<Arc<Upstream>>,
    plans: u64,
    max_buffered_bytes: u32,
}

/// A listener that lets programs in.
struct OpenDoor {
    address: ListenAddress,
    shown: String,
    door: Arc<Door>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Why the gateway cannot work as configured.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A listener cannot be made ready.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Nobody can be listened to.
    #[error("listener {listener}: {error}")]
    Socket {
        /// Its name.
        listener: String,
        /// Why.
        error: SocketError,
    },
    /// TLS cannot be spoken with a broker.
    #[error("upstream {upstream}: {error}")]
    Tls {
        /// Its name.
        upstream: String,
        /// Why.
        error: TlsError,
    },
}

/// What is made ready before anything is changed.
struct Prepared {
    upstreams: Vec<Arc<Upstream>>,
    plans: Vec<(Plan, Option<LocalSocket>)>,
}

impl Gateway {
    /// Listens as configured. To be called within a tokio runtime. `passed` is what systemd passed
    /// ([`PassedSockets::take`]), `flows` what was in flight.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub fn start(
        config: &GatewayConfig,
        agent: &Arc<Agent>,
        flows: Flows,
        passed: PassedSockets,
        pulse: Option<(Pulse, Duration)>,
    ) -> Result<Self, GatewayError> {
        let limit = octets(config.max_buffered_bytes);
        let rules = Arc::clone(&config.rules);
        let hub = Arc::new(Hub::new(Arc::clone(agent), flows, rules, limit));
        let housekeeping = tokio::spawn(keep_house(Arc::clone(&hub), pulse.clone()));
        let gateway = Self {
            hub,
            passed,
            pulse,
            state: Mutex::default(),
            housekeeping,
        };
        gateway.reload(config)?;
        Ok(gateway)
    }

    /// Begins the file of what is in flight anew in the runtime directory, where it had to be given up:
    /// no room, or none at the start. To be called now and then; blocks while it writes.
    pub fn keep_flows(&self, runtime: &Path) {
        self.hub.keep_flows(runtime);
    }

    /// Takes a new configuration over, or nothing of it. Rules count from the next decision on;
    /// listeners that have not changed stay open, with their connections. Whoever connected where
    /// something else than a rule has changed is disconnected: nobody keeps what was taken away.
    /// Blocks while it reads files.
    ///
    /// # Errors
    /// [`GatewayError`]; everything is as it was.
    pub fn reload(&self, config: &GatewayConfig) -> Result<(), GatewayError> {
        let mut state = self.state();
        let prepared = self.prepare(config, &mut state)?;
        limits::raise_open_files(&config.listeners);
        self.hub.set_rules(Arc::clone(&config.rules));
        self.hub.budget.set_limit(octets(config.max_buffered_bytes));
        state.max_buffered_bytes = config.max_buffered_bytes;
        for upstream in &prepared.upstreams {
            let same = |older: &&Arc<Upstream>| older.config().name == upstream.config().name;
            if let Some(older) = state.upstreams.iter().find(same) {
                upstream.inherit(older);
            }
        }
        state.upstreams = prepared.upstreams;
        let mut closing = std::mem::take(&mut state.doors);
        for (plan, socket) in prepared.plans {
            let address = plan.listener.listener.address.clone();
            let known = closing
                .iter()
                .position(|open| is_same(&open.address, &address));
            let open = match (known, socket) {
                (Some(known), _) => {
                    let open = closing.swap_remove(known);
                    self.replan(&open, plan);
                    Some(open)
                }
                (None, Some(socket)) => Some(self.open(plan, socket)),
                (None, None) => None,
            };
            state.doors.extend(open);
        }
        for open in closing {
            info!(listener = open.door.plan().listener.listener.name, "closed");
            open.stop.send_replace(true);
        }
        self.passed.warn_of_unused(&config.listeners);
        Ok(())
    }

    /// Lets nobody in any more, waits a moment for what is outstanding, and closes everything. No
    /// DISCONNECT goes to brokers: a start that follows soon fires no will.
    pub async fn stop(&self) {
        let doors = std::mem::take(&mut self.state().doors);
        for open in &doors {
            open.stop.send_replace(true);
        }
        let all_closed = async {
            for open in doors {
                open.task.await.ok();
            }
        };
        if timeout(STOP_PATIENCE, all_closed).await.is_err() {
            warn!("connections that do not end are cut");
        }
    }

    /// What `edgeseal-agent status` shows.
    pub fn status(&self) -> GatewayStatus {
        let state = self.state();
        let total = self.hub.budget.total();
        GatewayStatus {
            listeners: state.doors.iter().map(OpenDoor::status).collect(),
            upstreams: state.upstreams.iter().map(|one| one.status()).collect(),
            connections: self.hub.connections(),
            buffered_octets: u64::try_from(total).unwrap_or(u64::MAX),
            max_buffered_octets: u64::from(state.max_buffered_bytes),
        }
    }

    /// What was counted since the start.
    pub fn counts(&self) -> GatewayCounts {
        self.hub.counts()
    }

    /// Reads all files and opens all sockets that are new.
    fn prepare(&self, config: &GatewayConfig, state: &mut State) -> Result<Prepared, GatewayError> {
        let mut upstreams = Vec::new();
        for upstream in &config.upstreams {
            let name = upstream.name.clone();
            let made = Upstream::new(upstream.clone(), &self.hub.agent);
            let made = made.map_err(|error| GatewayError::Tls {
                upstream: name,
                error,
            })?;
            upstreams.push(Arc::new(made));
        }
        let names = NameDatabase::of_system();
        let mut plans = Vec::new();
        for listener in &config.listeners {
            let leads_there = |one: &&Arc<Upstream>| one.config().name == listener.upstream;
            let upstream = upstreams.iter().find(leads_there);
            let upstream = upstream.ok_or_else(|| PlanError::NoUpstream(listener.name.clone()))?;
            state.plans = state.plans.wrapping_add(1);
            let plan = Plan::new(state.plans, config, listener, upstream, &names)?;
            let mut doors = state.doors.iter();
            let is_open = doors.any(|open| is_same(&open.address, &listener.address));
            let socket = (!is_open).then(|| LocalSocket::open(listener, &self.passed));
            let socket = socket.transpose().map_err(|error| GatewayError::Socket {
                listener: listener.name.clone(),
                error,
            })?;
            plans.push((plan, socket));
        }
        Ok(Prepared { upstreams, plans })
    }

    fn replan(&self, open: &OpenDoor, mut plan: Plan) {
        if open.address != plan.listener.listener.address {
            warn!(
                listener = plan.listener.listener.name,
                "mode or group of the socket has changed: that takes effect at the next start"
            );
        }
        let before = open.door.plan();
        if plan.says_the_same_as(&before) {
            plan.number = before.number;
            open.door.set_plan(Arc::new(plan));
        } else {
            open.door.set_plan(Arc::new(plan));
            self.hub.tell_all(Some(before.number), Letter::Stop);
        }
    }

    fn open(&self, plan: Plan, socket: LocalSocket) -> OpenDoor {
        let listener = &plan.listener.listener;
        let address = listener.address.clone();
        let shown = socket.shown();
        info!(
            listener = listener.name,
            address = shown,
            "programs are let in"
        );
        let door = Arc::new(Door::new(Arc::new(plan)));
        let (stop, stopping) = watch::channel(false);
        let accepting = accept(
            socket,
            Arc::clone(&door),
            Arc::clone(&self.hub),
            stopping,
            self.pulse.clone(),
        );
        OpenDoor {
            address,
            shown,
            door,
            stop,
            task: tokio::spawn(accepting),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.housekeeping.abort();
    }
}

impl GatewayError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plan(error) => error.code(),
            Self::Socket { error, .. } => error.code(),
            Self::Tls { error, .. } => error.code(),
        }
    }
}

impl OpenDoor {
    fn status(&self) -> ListenerStatus {
        let plan = self.door.plan();
        let listener: &ListenerConfig = &plan.listener.listener;
        ListenerStatus {
            name: listener.name.clone(),
            address: self.shown.clone(),
            upstream: listener.upstream.clone(),
            connections: self.door.inside(),
            max_connections: listener.max_connections,
        }
    }
}

/// Tells connections of new trust data, and forgets what is over.
async fn keep_house(hub: Arc<Hub>, pulse: Option<(Pulse, Duration)>) {
    let mut trust = hub.agent.trust_changes();
    let period = pulse.as_ref().map_or(HOUSEKEEPING, |(_, period)| *period);
    let mut turn = interval(period.min(HOUSEKEEPING));
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Ok(()) = trust.changed() => hub.tell_all(None, Letter::TrustChanged),
            _ = turn.tick() => hub.tidy(),
        }
        if let Some((pulse, _)) = &pulse {
            pulse.tick();
        }
    }
}

/// Whether one socket serves both.
fn is_same(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => one == other,
        (ListenAddress::Unix { path: one, .. }, ListenAddress::Unix { path: other, .. }) => {
            one == other
        }
        _ => false,
    }
}

fn octets(octets: u32) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}

const HOUSEKEEPING: Duration = Duration::from_secs(60);
/// Longer than a connection waits by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests;
