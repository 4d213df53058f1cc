//! The task that keeps the connection: what comes goes to the follower, what it asks for is done.

use super::broker::{Broker, BrokerError, LinkSettings, client_id};
use super::follower::{Action, Follower, Offered, Outcome};
use super::handle::{Order, Orders};
use super::link_status::{FetchingBody, LinkStatus, OfferedBody};
use super::mqtt::{Arrived, Carrier};
use super::outbox::{Message, Outbox};
use super::reporter::{Reporter, Subject};
use super::spool::{Applied, Spool};
use super::wanted::Wanted;
use crate::broker::{Backoff, chance};
use crate::daemon::Agent;
use crate::log::{RefusalLog, Repeat};
use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::document::Document;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::status;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// The trust link of an agent.
pub struct TrustLink {
    agent: Arc<Agent>,
    settings: watch::Receiver<LinkSettings>,
    orders: Orders,
    outbox: Outbox,
    trust: watch::Receiver<()>,
    refusals: RefusalLog,
    /// The broker that the log named last.
    told: Option<String>,
}

/// A broker that is asked, and how far that is.
struct Asked {
    broker: Broker,
    url: String,
    domain: TrustDomain,
    follower: Follower,
    carrier: Option<Carrier>,
    connected_since: Option<Duration>,
    backoff: Backoff,
    connect_at: Duration,
    spool: Spool,
    applying: Option<JoinHandle<Applied>>,
    told: Option<Offered>,
    reporter: Reporter,
}

/// What a turn waits for.
enum Event {
    Applied(Applied),
    Arrived(Arrived),
    LookAgain,
    Order(Option<Order>),
    Time,
    TrustChanged,
}

impl TrustLink {
    /// A link that nobody has asked for yet.
    pub fn new(agent: Arc<Agent>, settings: watch::Receiver<LinkSettings>, orders: Orders) -> Self {
        let trust = agent.trust_changes();
        Self {
            agent,
            settings,
            orders,
            outbox: Outbox::default(),
            trust,
            refusals: RefusalLog::new(REFUSALS_LOGGED, REFUSAL_INTERVAL),
            told: None,
        }
    }

    /// Keeps the link. Never returns.
    pub async fn run(mut self) {
        loop {
            self.trust.borrow_and_update();
            match self.find().await {
                Ok(Some(mut asked)) => {
                    self.show(|status| status.broker = Some(asked.url.clone()));
                    if self.told.as_ref() != Some(&asked.url) {
                        info!(broker = asked.url, "trust data comes from this broker");
                        self.told = Some(asked.url.clone());
                    }
                    self.ask(&mut asked).await;
                    self.ended(&mut asked, None);
                }
                Ok(None) => self.wait_for_a_broker(None).await,
                Err(why) => {
                    if self.is_worth_a_line(why.code()) {
                        warn!(code = why.code(), "no broker can be asked: {why}");
                    }
                    self.wait_for_a_broker(Some(why.to_string())).await;
                }
            }
        }
    }

    /// The broker to ask, where one is named and a root says for which domain.
    async fn find(&mut self) -> Result<Option<Asked>, BrokerError> {
        let Some(held) = self.agent.held_documents().await else {
            return Ok(None);
        };
        let root = held.current().root.map(Document::content);
        let Some(domain) = root.map(|root| root.domain.clone()) else {
            return Ok(None);
        };
        let settings = self.settings.borrow_and_update().clone();
        let every = settings.status_every;
        let agent = Arc::clone(&self.agent);
        let found = tokio::task::spawn_blocking(move || Broker::find(&settings, &agent)).await;
        let Some(broker) = found.unwrap_or(Ok(None))? else {
            return Ok(None);
        };
        Ok(Some(Asked {
            url: broker.url.to_string(),
            broker,
            domain,
            follower: Follower::new(held, chance()),
            carrier: None,
            connected_since: None,
            backoff: Backoff::default(),
            connect_at: Duration::ZERO,
            spool: Spool::default(),
            applying: None,
            told: None,
            reporter: Reporter::new(every),
        }))
    }

    async fn wait_for_a_broker(&mut self, why: Option<String>) {
        // A file that cannot be read may be there a moment later.
        let again = sleep(why.as_ref().map_or(LONGEST, |_| LOOK_AGAIN));
        tokio::pin!(again);
        self.show(|status| {
            status.broker = None;
            status.why = why;
        });
        loop {
            tokio::select! {
                order = self.orders.received.recv() => match order {
                    Some(Order::LookAgain) => return,
                    Some(order) => self.take(order, None),
                    None => std::future::pending().await,
                },
                Ok(()) = self.settings.changed() => return,
                Ok(()) = self.trust.changed() => return,
                () = &mut again => return,
            }
        }
    }

    /// Asks one broker, over as many connections as it takes, until another one may be meant.
    async fn ask(&mut self, asked: &mut Asked) {
        loop {
            if asked.carrier.is_none() && asked.connect_at <= self.now() {
                self.connect(asked);
            }
            let now = match self.next(asked).await {
                Event::LookAgain => return,
                Event::TrustChanged if self.is_outgrown(asked) => return,
                event => {
                    self.handle(event, asked).await;
                    self.now()
                }
            };
            asked.follower.tick(now);
            self.act(asked).await;
            self.tell(asked);
            self.report(asked);
            self.publish(asked);
        }
    }

    fn is_outgrown(&self, asked: &Asked) -> bool {
        asked.broker.until_enrolled && self.agent.device().is_some()
    }

    async fn next(&mut self, asked: &mut Asked) -> Event {
        let wait = self.wait(asked);
        let (carrier, applying) = (&mut asked.carrier, &mut asked.applying);
        tokio::select! {
            Some(arrived) = async { Some(carrier.as_mut()?.next().await) } => {
                Event::Arrived(arrived)
            }
            Some(applied) = async { Some(applying.as_mut()?.await) } => {
                *applying = None;
                Event::Applied(applied.unwrap_or_else(|error| (fault(&error), None)))
            }
            order = self.orders.received.recv() => match order {
                Some(Order::LookAgain) => Event::LookAgain,
                order => Event::Order(order),
            },
            Ok(()) = self.settings.changed() => Event::LookAgain,
            Ok(()) = self.trust.changed() => Event::TrustChanged,
            () = sleep(wait) => Event::Time,
        }
    }

    fn wait(&self, asked: &Asked) -> Duration {
        let connect_at = asked.carrier.is_none().then_some(asked.connect_at);
        let is_connected = asked.connected_since.is_some();
        let report = is_connected.then_some(asked.reporter.deadline());
        let deadlines = [asked.follower.deadline(), connect_at, report];
        let next = deadlines.into_iter().flatten().min();
        next.map_or(LONGEST, |next| next.saturating_sub(self.now()).min(LONGEST))
    }

    async fn handle(&mut self, event: Event, asked: &mut Asked) {
        let now = self.now();
        match event {
            Event::Applied((outcome, held)) => {
                if outcome == Outcome::Applied {
                    let time = self.agent.time();
                    self.show(|status| {
                        status.last_applied_at = Some(time);
                        status.applied = status.applied.saturating_add(1);
                    });
                }
                asked.follower.applied(outcome, held, now);
            }
            Event::Arrived(arrived) => self.arrived(arrived, asked),
            Event::Order(Some(order)) => self.take(order, Some(asked)),
            Event::Order(None) => std::future::pending().await,
            Event::TrustChanged => {
                if let Some(held) = self.agent.held_documents().await {
                    asked.follower.held_changed(held, now);
                }
            }
            Event::LookAgain | Event::Time => {}
        }
    }

    fn connect(&mut self, asked: &mut Asked) {
        match asked.broker.login(&self.agent) {
            Ok(login) => {
                let client_id = client_id(&self.agent, &asked.domain);
                asked.carrier = Some(Carrier::connect(&asked.broker, login, &client_id));
            }
            Err(why) => self.ended(asked, Some(&why.to_string())),
        }
    }

    fn arrived(&mut self, arrived: Arrived, asked: &mut Asked) {
        let now = self.now();
        asked.follower.moved(now);
        match arrived {
            Arrived::Connected { keep_alive } => {
                asked.connected_since = Some(now);
                asked.follower.connected(keep_alive, now);
                asked.reporter.connected();
                if let Some(carrier) = &mut asked.carrier {
                    for topic in self.outbox.topics() {
                        carrier.subscribe(topic);
                    }
                }
                self.connected(asked);
            }
            Arrived::Message { topic, payload } => {
                let topic = std::str::from_utf8(&topic).unwrap_or_default();
                match Wanted::of(topic, &asked.domain) {
                    Some(wanted) => asked.follower.received(wanted, payload, now),
                    None if self.outbox.deliver(topic, &payload) => {}
                    None => asked.follower.unwanted(payload.len(), now),
                }
            }
            Arrived::Published(said) => self.outbox.answered(said),
            Arrived::NotSubscribed(why) => {
                let why = format!("the broker does not let this device subscribe: {why}");
                if self.is_worth_a_line("not-subscribed") {
                    warn!(broker = asked.url, "{why}");
                }
                self.show(|status| status.why = Some(why));
            }
            Arrived::Moved => {}
            Arrived::Ended { why, taken_over } => {
                if taken_over {
                    self.agent.note_taken_over();
                    self.show(|status| status.taken_over = status.taken_over.saturating_add(1));
                }
                self.ended(asked, Some(&why));
            }
        }
    }

    fn connected(&mut self, asked: &Asked) {
        info!(broker = asked.url, "connected");
        self.orders.connected.send_replace(true);
        self.show(|status| {
            status.connected = true;
            status.why = None;
            status.connections = status.connections.saturating_add(1);
        });
    }

    /// The connection is over, or there was none. A broker that accepts and hangs up at once is tried no
    /// more often than one that is away.
    fn ended(&mut self, asked: &mut Asked, why: Option<&str>) {
        let now = self.now();
        asked.carrier = None;
        asked.follower.disconnected();
        self.outbox.disconnected();
        self.orders.connected.send_replace(false);
        let was_long = |since: Duration| now.saturating_sub(since) >= STABLE;
        if asked.connected_since.take().is_some_and(was_long) {
            asked.backoff.answered();
        }
        asked.backoff.failed(now, chance());
        asked.connect_at = asked.backoff.away_until().unwrap_or(now);
        let new = self.status().why.as_deref() != why;
        if let Some(why) = why.filter(|_| new)
            && self.is_worth_a_line("away")
        {
            warn!(broker = asked.url, "the broker is away: {why}");
        }
        self.show(|status| {
            status.connected = false;
            status.fetching = None;
            status.why = why.map(str::to_owned);
        });
    }

    fn take(&mut self, order: Order, asked: Option<&mut Asked>) {
        match order {
            Order::LookAgain => {}
            Order::News => {
                let now = self.now();
                if let Some(asked) = asked {
                    asked.follower.news_wanted(now);
                }
            }
            Order::Publish {
                topic,
                payload,
                retain,
                done,
            } => self.outbox.put(Message {
                topic,
                payload,
                retain,
                done: Some(done),
            }),
            Order::Subscribe { topic, to } => {
                let is_new = self.outbox.listen(topic.clone(), to);
                // Another listener of the same topic needs what is retained, too.
                let carrier = asked.and_then(|asked| asked.carrier.as_mut());
                if let (Some(carrier), true) = (carrier, is_new || self.status().connected) {
                    carrier.subscribe(topic);
                }
            }
        }
    }

    /// Does what the follower asks for.
    async fn act(&mut self, asked: &mut Asked) {
        while let Some(action) = asked.follower.next_action() {
            let done = match action {
                Action::Subscribe(wanted) => {
                    if let Some(carrier) = &mut asked.carrier {
                        carrier.subscribe(wanted.topic(&asked.domain));
                    }
                    Ok(())
                }
                Action::Unsubscribe(wanted) => {
                    if let Some(carrier) = &mut asked.carrier {
                        carrier.unsubscribe(wanted.topic(&asked.domain));
                    }
                    Ok(())
                }
                Action::Begin {
                    roots,
                    manifest,
                    shards,
                } => {
                    let spool = &mut asked.spool;
                    spool.begin(&self.agent, roots, manifest, shards).await
                }
                Action::Shard(octets) => asked.spool.shard(octets).await,
                Action::Apply => {
                    asked.applying = Some(asked.spool.apply(&self.agent));
                    Ok(())
                }
                Action::GiveUp => {
                    asked.spool = Spool::default();
                    Ok(())
                }
                Action::Reconnect(why) => {
                    self.ended(asked, Some(why));
                    Ok(())
                }
            };
            if let Err(outcome) = done {
                asked.follower.applied(outcome, None, self.now());
            }
        }
    }

    /// Publishes this device's status when it is due.
    fn report(&mut self, asked: &mut Asked) {
        if asked.connected_since.is_none() {
            return;
        }
        let offered = asked.follower.offered();
        let subject = Subject::of(self.agent.condition(), offered);
        if !asked.reporter.is_due(&subject, chance(), self.now()) {
            return;
        }
        let offered = offered.map(|offered| status::Offered {
            root_version: offered.claims.map(|(root_version, _)| root_version),
            sequence: offered.claims.map(|(_, sequence)| sequence),
            code: offered.code.to_owned(),
        });
        if let Some(signed) = self.agent.sign_status(offered) {
            self.outbox.put(Message {
                topic: CarrierTopic::Status(signed.device).name(&signed.domain),
                payload: signed.token.into(),
                retain: true,
                done: None,
            });
        }
    }

    fn publish(&mut self, asked: &mut Asked) {
        let (Some(carrier), true) = (&mut asked.carrier, asked.connected_since.is_some()) else {
            return;
        };
        if let Some(next) = self.outbox.next() {
            carrier.publish(&next.topic, next.payload.clone(), next.retain);
        }
    }

    /// Shows what is new of what is offered; says it once.
    fn tell(&mut self, asked: &mut Asked) {
        let fetching = asked.follower.progress().map(|progress| FetchingBody {
            shards: progress.shards,
            arrived: progress.arrived,
        });
        if self.status().fetching != fetching {
            self.show(|status| status.fetching = fetching);
        }
        if asked.follower.offered() == asked.told.as_ref() {
            return;
        }
        asked.told = asked.follower.offered().cloned();
        let Some(offered) = asked.told.clone() else {
            info!(broker = asked.url, "what the broker offers is in force");
            self.show(|status| status.offered = None);
            return;
        };
        if self.is_worth_a_line(offered.code) {
            let (code, reason) = (offered.code, &offered.reason);
            let sequence = offered.claims.map(|(_, sequence)| sequence);
            if code == CONFLICT {
                error!(
                    code,
                    sequence, "ALARM: the broker's trust data is refused: {reason}"
                );
            } else {
                warn!(
                    code,
                    sequence, "the broker's trust data is refused: {reason}"
                );
            }
        }
        self.show(|status| {
            let refused = status.refused.entry(offered.code.to_owned()).or_default();
            *refused = refused.saturating_add(1);
            status.offered = Some(OfferedBody {
                code: offered.code.to_owned(),
                reason: offered.reason,
                root_version: offered.claims.map(|(root_version, _)| root_version),
                sequence: offered.claims.map(|(_, sequence)| sequence),
            });
        });
    }

    fn is_worth_a_line(&mut self, code: &'static str) -> bool {
        let (summary, repeat) = self.refusals.record(code, self.agent.since_start());
        if let Some(summary) = summary {
            info!("{summary}");
        }
        repeat == Repeat::Log
    }

    fn show(&self, change: impl FnOnce(&mut LinkStatus)) {
        self.orders.status.send_modify(change);
    }

    fn status(&self) -> watch::Ref<'_, LinkStatus> {
        self.orders.status.borrow()
    }

    fn now(&self) -> Duration {
        self.agent.since_start()
    }
}

fn fault(error: &tokio::task::JoinError) -> Outcome {
    Outcome::Refused {
        code: "update",
        reason: format!("the update has failed: {error}"),
        again: true,
    }
}

const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// A connection that lasted so long was one.
const STABLE: Duration = Duration::from_secs(30);
/// Timers survive any clock, and a day is no wait to be exact about.
const LONGEST: Duration = Duration::from_secs(86_400);
const CONFLICT: &str = "conflict";
const REFUSALS_LOGGED: u32 = 3;
const REFUSAL_INTERVAL: Duration = Duration::from_secs(600);
