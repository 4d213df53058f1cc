//! The local API: HTTP/1.1 and JSON on a Unix socket.
//!
//! Callers are known by the kernel's word about the process at the other end. What each may ask for
//! is in the configuration; everything else about a message, the agent fills in itself. The
//! document of this interface is `docs/openapi.json`.

mod body;
mod callers;
mod dispatch;
mod gateway_metrics;
mod handlers;
mod health;
mod link_metrics;
mod listen;
mod metrics;
mod patient;
mod problem;
mod registry;
mod route;
mod server;
mod throttle;
mod trust;

pub use callers::{Access, Callers};
pub use listen::{ListenError, Socket};
pub use metrics::{Gauges, TrustGauges};
pub use registry::{PeerBody, PeerKeyBody, PeersBody};
pub use route::{Endpoint, ROUTES, Route, find};
pub use server::serve;
pub use throttle::{Throttle, Throttled};

use crate::config::{Api, NameDatabase, Rate};
use crate::daemon::{Agent, AgentStatus};
use crate::gateway::link::Gateway;
use crate::log::{RefusalLog, Repeat};
use metrics::Metrics;
use server::Connections;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tracing::info;

/// What all connections share.
pub struct Shared {
    agent: Arc<Agent>,
    gateway: OnceLock<Arc<Gateway>>,
    settings: RwLock<Arc<Settings>>,
    metrics: Metrics,
    connections: Connections,
    throttle: Mutex<Throttle>,
    refusals: Mutex<RefusalLog>,
    /// Held while a bundle is received and applied.
    updates: Arc<tokio::sync::Mutex<()>>,
}

/// What the configuration says of the API, made ready.
#[derive(Debug)]
pub struct Settings {
    api: Api,
    callers: Callers,
}

/// Who asks, and what the configuration said when it asked.
#[derive(Clone)]
struct Asker {
    uid: u32,
    access: Arc<Access>,
    settings: Arc<Settings>,
}

impl Settings {
    /// Makes the configuration ready. `own_uid` is the user that the agent runs as.
    pub fn new(api: &Api, own_uid: u32, names: &NameDatabase) -> Self {
        Self {
            api: api.clone(),
            callers: Callers::new(api, own_uid, names),
        }
    }
}

impl Shared {
    /// The API of `agent`.
    pub fn new(agent: Arc<Agent>, settings: Settings) -> Self {
        Self {
            agent,
            gateway: OnceLock::new(),
            settings: RwLock::new(Arc::new(settings)),
            metrics: Metrics::default(),
            connections: Connections::default(),
            throttle: Mutex::default(),
            refusals: Mutex::new(RefusalLog::new(REFUSALS_LOGGED, REFUSAL_INTERVAL)),
            updates: Arc::default(),
        }
    }

    /// The agent behind it.
    pub fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    /// Lets the API tell of the gateway. Only the first one counts.
    pub fn set_gateway(&self, gateway: Arc<Gateway>) {
        self.gateway.set(gateway).ok();
    }

    /// `GET /v1/status`: the agent's word, and the gateway's where there is one.
    fn status(&self) -> AgentStatus {
        let gateway = self.gateway.get();
        AgentStatus {
            gateway: gateway.map(|gateway| gateway.status()).unwrap_or_default(),
            ..self.agent.status()
        }
    }

    /// Other settings, from the next request on; open connections keep their limits.
    pub fn set_settings(&self, settings: Settings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Logs how many refusals were not logged. To be called now and then.
    pub fn log_suppressed(&self) {
        let now = self.agent.since_start();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        for summary in refusals.due(now) {
            info!("{summary}");
        }
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn throttle(&self, uid: u32, rate: Rate) -> Result<(), Throttled> {
        let now = self.agent.since_start();
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.take(uid, rate, now)
    }

    fn throttle_others(&self, uid: u32, rate: Rate, others: u32) -> Result<(), Throttled> {
        let now = self.agent.since_start();
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.take_others(uid, rate, now, others)
    }

    /// Whether a refusal of this code is logged; else it is counted.
    fn is_worth_a_line(&self, code: &'static str) -> bool {
        let now = self.agent.since_start();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (summary, repeat) = refusals.record(code, now);
        if let Some(summary) = summary {
            info!("{summary}");
        }
        repeat == Repeat::Log
    }
}

const REFUSALS_LOGGED: u32 = 5;
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);
