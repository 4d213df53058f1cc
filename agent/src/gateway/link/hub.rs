//! What all connections share.

use super::budget::Budget;
use super::status::{Card, ConnectionStatus};
use super::upstream::Upstream;
use crate::daemon::{Agent, AgentNotary};
use crate::gateway::clients::{Clients, ConnectionId};
use crate::gateway::flows::{FlowFile, Flows};
use crate::gateway::metrics::GatewayCounts;
use crate::gateway::rules::Rules;
use crate::gateway::session::{Event, Note, Session, Surroundings};
use crate::log::{Escaped, RefusalLog, Repeat};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{error, info, warn};

/// What all connections share.
pub(super) struct Hub {
    pub(super) agent: Arc<Agent>,
    pub(super) budget: Budget,
    /// Passwords are checked one at a time: whoever guesses them does not take all blocking threads.
    pub(super) passwords: Arc<Semaphore>,
    together: Mutex<Together>,
    rules: RwLock<Arc<Rules>>,
    entries: Mutex<BTreeMap<ConnectionId, Entry>>,
    connections: AtomicU64,
    refusals: Mutex<RefusalLog>,
}

/// What a session works on while it handles one event.
struct Together {
    notary: AgentNotary,
    flows: Flows,
    clients: Clients,
    counts: GatewayCounts,
}

/// One connection, for the others.
pub(super) struct Entry {
    pub(super) letters: mpsc::UnboundedSender<Letter>,
    /// Closed once the program's end is.
    pub(super) ended: watch::Receiver<()>,
    pub(super) card: Arc<Mutex<Card>>,
    /// Which state of the configuration let it in.
    pub(super) plan: u64,
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Letter {
    /// Other trust data is in force.
    TrustChanged,
    /// Another connection uses its client identifier now.
    TakenOver,
    /// The agent stops, or its listener has changed.
    Stop,
    /// It holds more memory than any other, and there is none left.
    Close,
}

impl Hub {
    pub(super) fn new(agent: Arc<Agent>, flows: Flows, rules: Arc<Rules>, octets: usize) -> Self {
        let notary = AgentNotary::new(Arc::clone(&agent));
        Self {
            agent,
            budget: Budget::new(octets),
            passwords: Arc::new(Semaphore::new(1)),
            together: Mutex::new(Together {
                notary,
                flows,
                clients: Clients::new(CLIENT_IDS),
                counts: GatewayCounts::default(),
            }),
            rules: RwLock::new(rules),
            entries: Mutex::default(),
            connections: AtomicU64::new(0),
            refusals: Mutex::new(RefusalLog::new(NOTES_LOGGED, NOTES_INTERVAL)),
        }
    }

    /// A number that no connection had before.
    pub(super) fn next_connection(&self) -> ConnectionId {
        ConnectionId::new(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn now(&self) -> Duration {
        self.agent.since_start()
    }

    /// Lets a session take an event in. Nothing is waited for meanwhile.
    pub(super) fn handle(&self, session: &mut Session, upstream: &Upstream, event: Event<'_>) {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let now = self.now();
        let was_v311 = upstream.is_v311();
        let mut is_v311 = was_v311;
        let mut together = self.together();
        let Together {
            notary,
            flows,
            clients,
            counts,
        } = &mut *together;
        let mut around = Surroundings {
            notary,
            rules: &rules,
            flows,
            clients,
            counts,
            upstream_is_v311: &mut is_v311,
            now,
        };
        session.handle(event, &mut around);
        if let Some(failure) = flows.take_failure() {
            error!(
                code = "flows-file",
                "what is in flight is remembered in this process only, until its file can be begun anew: {failure}"
            );
        }
        if is_v311 != was_v311 {
            upstream.set_v311(is_v311);
        }
    }

    /// Other rules, from the next decision on.
    pub(super) fn set_rules(&self, rules: Arc<Rules>) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut GatewayCounts)) {
        count(&mut self.together().counts);
    }

    /// All counts, with the time that verifications took.
    pub(super) fn counts(&self) -> GatewayCounts {
        let together = self.together();
        let mut counts = together.counts.clone();
        counts.verification = together.notary.verification().clone();
        counts
    }

    pub(super) fn enter(&self, connection: ConnectionId, entry: Entry) {
        self.entries().insert(connection, entry);
    }

    /// The connection is over, whatever became of it.
    pub(super) fn leave(&self, connection: ConnectionId) {
        self.entries().remove(&connection);
        self.budget.release(connection);
        let now = self.now();
        self.together().clients.forget(connection, now);
    }

    /// Tells one connection. What comes back is closed when it has ended.
    pub(super) fn tell(
        &self,
        connection: ConnectionId,
        letter: Letter,
    ) -> Option<watch::Receiver<()>> {
        let entries = self.entries();
        let entry = entries.get(&connection)?;
        entry.letters.send(letter).ok()?;
        Some(entry.ended.clone())
    }

    /// Tells all connections that a certain state of the configuration let in; `None`: all.
    pub(super) fn tell_all(&self, plan: Option<u64>, letter: Letter) {
        for entry in self.entries().values() {
            if plan.is_none_or(|plan| plan == entry.plan) {
                entry.letters.send(letter).ok();
            }
        }
    }

    /// What `edgeseal-agent status` shows of all connections.
    pub(super) fn connections(&self) -> Vec<ConnectionStatus> {
        let now = self.now();
        let entries = self.entries();
        let shown = entries.values().map(|entry| {
            let card = entry.card.lock().unwrap_or_else(PoisonError::into_inner);
            card.shown(now)
        });
        shown.collect()
    }

    /// Forgets what is over, and logs how often was not logged. To be called now and then.
    pub(super) fn tidy(&self) {
        let now = self.now();
        self.together().clients.tidy(now);
        for summary in self.refusals().due(now) {
            info!("{summary}");
        }
    }

    /// Begins the file of what is in flight anew, where it had to be given up. Blocks while it writes.
    pub(super) fn keep_flows(&self, runtime: &Path) {
        if let Err(error) = FlowFile::reattach(runtime, &mut self.together().flows) {
            warn!(
                code = error.code(),
                "the file of what is in flight cannot be begun anew: {error}"
            );
        }
    }

    /// Writes what a session has to say into the log, at a limited rate for each code.
    pub(super) fn note(&self, listener: &str, client_id: &str, note: &Note) {
        let code = match note {
            Note::UpstreamIsV311 => {
                warn!(
                    listener,
                    "the broker speaks MQTT 3.1.1 alone: messages travel in envelopes, and those of others without one cannot be verified"
                );
                return;
            }
            // An end that is nothing special.
            Note::Closed { what, .. } if what.is_empty() => return,
            Note::Closed { code, .. }
            | Note::FilterRefused { code, .. }
            | Note::NotSent { code, .. }
            | Note::Rejected { code, .. } => *code,
        };
        if !self.is_worth_a_line(code) {
            return;
        }
        let client_id = Escaped::new(client_id).to_string();
        match note {
            Note::Closed { what, .. } => {
                info!(
                    listener,
                    client_id,
                    code,
                    "connection ended: {}",
                    Escaped::new(what)
                );
            }
            Note::FilterRefused { filter, .. } => {
                let filter = Escaped::new(filter).to_string();
                info!(listener, client_id, code, filter, "a filter was refused");
            }
            Note::NotSent { topic, what, .. } => {
                let topic = Escaped::new(topic).to_string();
                info!(
                    listener,
                    client_id,
                    code,
                    topic,
                    "not sent: {}",
                    Escaped::new(what)
                );
            }
            Note::Rejected { topic, sender, .. } => {
                let topic = Escaped::new(topic).to_string();
                let sender = sender.as_deref().unwrap_or("nobody known");
                info!(
                    listener,
                    client_id, code, topic, sender, "a message was rejected"
                );
            }
            Note::UpstreamIsV311 => {}
        }
    }

    fn is_worth_a_line(&self, code: &'static str) -> bool {
        let now = self.now();
        let (summary, repeat) = self.refusals().record(code, now);
        if let Some(summary) = summary {
            info!("{summary}");
        }
        repeat == Repeat::Log
    }

    fn together(&self) -> MutexGuard<'_, Together> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, RefusalLog> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Client identifiers that are remembered.
const CLIENT_IDS: usize = 4096;
const NOTES_LOGGED: u32 = 5;
const NOTES_INTERVAL: Duration = Duration::from_secs(60);
