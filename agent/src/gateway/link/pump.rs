//! One local connection: octets from two sockets into the session, and back.

use super::budget::Pressure;
use super::hub::{Entry, Hub, Letter};
use super::plan::Plan;
use super::side::{Side, trim};
use super::status::Card;
use super::stream::Stream;
use super::upstream::Attempt;
use crate::engine::LoadedKey;
use crate::gateway::clients::ConnectionId;
use crate::gateway::metrics::add_code;
use crate::gateway::session::{Event, LocalPeer, Phase, Session};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tracing::debug;

/// One local connection with its upstream.
pub(super) struct Connection {
    pub(super) hub: Arc<Hub>,
    pub(super) id: ConnectionId,
    pub(super) session: Session,
    pub(super) plan: Arc<Plan>,
    pub(super) listener: Arc<str>,
    pub(super) local: Side,
    pub(super) remote: Option<Side>,
    /// Open until the broker has answered the CONNECT.
    pub(super) attempt: Option<Attempt>,
    pub(super) pending: Pending,
    pub(super) happened: Happened,
    /// The program's end is to be closed.
    pub(super) is_over: bool,
    /// The session's turn is used up: it goes on after the others.
    pub(super) yields: bool,
    letters: mpsc::UnboundedReceiver<Letter>,
    card: Arc<Mutex<Card>>,
    timer: Timer,
    /// When a stop is waited for no longer.
    gives_up_at: Option<Duration>,
    /// Since when it holds too much of the memory to read more of its program.
    pauses_since: Option<Duration>,
    /// What it said last that it holds.
    held: usize,
    /// Octets are there that the session did not want yet.
    local_waits: bool,
    remote_waits: bool,
    /// Closed when the program's end is.
    ended: watch::Sender<()>,
    seat: Seat,
}

/// The others know of a connection as long as this is there.
struct Seat {
    hub: Arc<Hub>,
    id: ConnectionId,
}

/// What was begun elsewhere.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) connect: Option<Pin<Box<dyn Future<Output = Connected> + Send>>>,
    pub(super) key: Option<Pin<Box<dyn Future<Output = LoadedKey> + Send>>>,
    pub(super) password: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    /// What must be over before the broker is connected to.
    pub(super) before_connect: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

pub(super) type Connected = Option<(Stream, Attempt)>;

/// What woke the connection up, beside octets.
#[derive(Default)]
pub(super) struct Happened {
    connected: Option<Connected>,
    key: Option<LoadedKey>,
    password: Option<bool>,
    letters: Vec<Letter>,
    timer: bool,
}

/// Wakes up at a moment of the agent's clock.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed_for: Option<Duration>,
}

impl Connection {
    /// A connection that was accepted. It is known to the others from now on.
    pub(super) fn new(hub: &Arc<Hub>, plan: &Arc<Plan>, stream: Stream, peer: LocalPeer) -> Self {
        let id = hub.next_connection();
        let now = hub.now();
        let session = Session::new(Arc::clone(&plan.listener), peer.clone(), id, now);
        let listener: Arc<str> = plan.listener.listener.name.as_str().into();
        let (letters_in, letters) = mpsc::unbounded_channel();
        let (ended, ended_seen) = watch::channel(());
        let card = Arc::new(Mutex::new(Card {
            listener: Arc::clone(&listener),
            peer,
            since: now,
            session: session.status(),
            buffered_octets: 0,
        }));
        let entry = Entry {
            letters: letters_in,
            ended: ended_seen,
            card: Arc::clone(&card),
            plan: plan.number,
        };
        hub.enter(id, entry);
        Self {
            hub: Arc::clone(hub),
            id,
            session,
            plan: Arc::clone(plan),
            listener,
            local: Side::new(stream),
            remote: None,
            attempt: None,
            pending: Pending::default(),
            happened: Happened::default(),
            is_over: false,
            yields: false,
            letters,
            card,
            timer: Timer::new(),
            gives_up_at: None,
            pauses_since: None,
            held: 0,
            local_waits: false,
            remote_waits: false,
            ended,
            seat: Seat {
                hub: Arc::clone(hub),
                id,
            },
        }
    }

    /// Works until the program's end is closed.
    pub(super) async fn run(&mut self) {
        while !self.is_over {
            poll_fn(|cx| self.poll_wake(cx)).await;
            self.turn();
            if self.yields {
                yield_now().await;
            }
            // Whatever keeps it awake, the others have their turns.
            consume_budget().await;
        }
    }

    /// Says what is left to say to both ends, and closes them.
    pub(super) async fn close(self) {
        let Self {
            mut session,
            mut local,
            remote,
            pending,
            ended,
            seat,
            ..
        } = self;
        let to_local = session.local_output().split();
        let to_remote = session.upstream_output().split();
        let said_before = async {
            if let Some(mut remote) = remote {
                remote.part(to_remote).await;
            }
            // What an earlier connection to the broker still has to say.
            for one in pending.before_connect {
                one.await;
            }
        };
        let ((), said) = tokio::join!(local.part(to_local), timeout(PARTING, said_before));
        if said.is_err() {
            debug!("a broker did not take what was left to say");
        }
        drop((ended, seat));
        local.linger().await;
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut is_awake = std::mem::take(&mut self.yields);
        is_awake |= self.poll_output(cx);
        if !is_awake {
            is_awake |= self.poll_input(cx);
        }
        is_awake |= self.poll_pending(cx);
        while let Poll::Ready(Some(letter)) = self.letters.poll_recv(cx) {
            self.happened.letters.push(letter);
            is_awake = true;
        }
        let resumes = self
            .pauses_since
            .map(|since| since.saturating_add(PAUSE_PATIENCE));
        let deadline = [self.session.deadline(), self.gives_up_at, resumes];
        let deadline = deadline.into_iter().flatten().min();
        if self.timer.poll(cx, deadline, || self.hub.now()).is_ready() {
            self.happened.timer = true;
            is_awake = true;
        }
        if is_awake {
            return Poll::Ready(());
        }
        self.trim();
        if self.octets() != self.held {
            self.weigh();
        }
        Poll::Pending
    }

    /// Writes. True when that changed something: an end is gone, or the session takes octets again.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_awake = self
            .local
            .poll_out(cx, self.session.local_output())
            .is_ready();
        if let Some(remote) = &mut self.remote {
            is_awake |= remote
                .poll_out(cx, self.session.upstream_output())
                .is_ready();
        }
        is_awake |= self.local_waits && self.session.reads_local();
        is_awake |= self.remote_waits && self.session.reads_upstream();
        is_awake
    }

    /// Reads where the session takes what comes.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> bool {
        let mut is_awake = false;
        let is_local_free = self.session.reads_local() && self.pauses_since.is_none();
        if is_local_free || self.local.is_unwritable() {
            is_awake |= self.local.poll_in(cx).is_ready();
        }
        let reads_remote = self.session.reads_upstream();
        if let Some(remote) = &mut self.remote
            && (reads_remote || remote.is_unwritable())
        {
            is_awake |= remote.poll_in(cx).is_ready();
        }
        is_awake
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> bool {
        let happened = &mut self.happened;
        let pending = &mut self.pending;
        poll_slot(cx, &mut pending.connect, &mut happened.connected)
            | poll_slot(cx, &mut pending.key, &mut happened.key)
            | poll_slot(cx, &mut pending.password, &mut happened.password)
    }

    fn turn(&mut self) {
        self.take_happened();
        self.give_octets();
        self.tell_ends();
        self.act();
        if self.session.status().phase == Phase::Closed {
            self.is_over = true;
        }
        self.weigh();
    }

    fn take_happened(&mut self) {
        let happened = std::mem::take(&mut self.happened);
        if let Some(loaded) = happened.key {
            self.handle(Event::KeyLoaded(loaded));
        }
        if let Some(is_right) = happened.password {
            self.handle(Event::PasswordChecked(is_right));
        }
        match happened.connected {
            Some(Some((stream, attempt))) => {
                self.remote = Some(Side::new(stream));
                self.attempt = Some(attempt);
                self.handle(Event::UpstreamConnected);
            }
            Some(None) => self.handle(Event::UpstreamUnavailable),
            None => {}
        }
        for letter in happened.letters {
            match letter {
                Letter::TrustChanged => self.handle(Event::TrustChanged),
                Letter::TakenOver => self.handle(Event::TakenOver),
                Letter::Stop => {
                    self.gives_up_at = Some(self.hub.now().saturating_add(STOP_PATIENCE));
                    self.handle(Event::Stop);
                }
                Letter::Close => self.make_room(),
            }
        }
        if happened.timer {
            let now = self.hub.now();
            self.is_over |= self.gives_up_at.is_some_and(|until| until <= now);
            self.end_pause(now);
            self.handle(Event::Timer);
        }
    }

    /// Octets of the broker first: its acknowledgements make room for the program.
    fn give_octets(&mut self) {
        if let Some(remote) = &mut self.remote {
            if let Some(first) = remote.input.first()
                && let Some(attempt) = self.attempt.take()
            {
                match *first {
                    CONNACK => attempt.answered(),
                    _ => attempt.failed("what answers is no MQTT broker"),
                }
            }
            if !remote.input.is_empty() {
                let event = Event::UpstreamOctets(&mut remote.input);
                self.hub
                    .handle(&mut self.session, &self.plan.upstream, event);
            }
        }
        if !self.local.input.is_empty() {
            let event = Event::LocalOctets(&mut self.local.input);
            self.hub
                .handle(&mut self.session, &self.plan.upstream, event);
        }
    }

    /// Looks at what a session wants once it has taken what it wanted; ends are told behind what came
    /// before them.
    fn tell_ends(&mut self) {
        self.act();
        let remote = self.remote.as_ref();
        let remote_is_empty = remote.is_none_or(|remote| remote.input.is_empty());
        self.remote_waits = !remote_is_empty && !self.session.reads_upstream();
        self.local_waits = !self.local.input.is_empty() && !self.session.reads_local();
        if self.yields {
            return;
        }
        if remote.is_some_and(|remote| remote.has_ended) && !self.remote_waits {
            self.remote = None;
            if let Some(attempt) = self.attempt.take() {
                attempt.failed("it closes connections before it answers");
            }
            self.handle(Event::UpstreamClosed);
        }
        if self.local.has_ended && !self.local_waits && !self.is_over {
            self.handle(Event::LocalClosed);
            self.is_over = true;
        }
    }

    /// This connection holds most of a memory that is used up.
    fn make_room(&mut self) {
        self.hub.count(|counts| {
            let listener = counts.listener(&self.listener);
            add_code(&mut listener.closed, BUFFERS_FULL);
        });
        self.handle(Event::LocalClosed);
        self.is_over = true;
    }

    /// Octets that are held for this connection.
    fn octets(&self) -> usize {
        let remote = self.remote.as_ref();
        remote
            .map_or(0, |remote| remote.input.len())
            .saturating_add(self.local.input.len())
            .saturating_add(self.session.buffered_octets())
    }

    /// Says what this connection holds, and hears what to do about it.
    fn weigh(&mut self) {
        self.held = self.octets();
        match self.hub.budget.hold(self.id, self.held) {
            Pressure::None => self.pauses_since = None,
            Pressure::Pause => {
                let now = self.hub.now();
                self.pauses_since.get_or_insert(now);
            }
            Pressure::Close(largest) => {
                self.hub.tell(largest, Letter::Close);
            }
        }
        let mut card = self.card.lock().unwrap_or_else(PoisonError::into_inner);
        card.session = self.session.status();
        card.buffered_octets = self.held;
    }

    /// If waiting alone frees no memory, whoever holds most of it has to go.
    fn end_pause(&mut self, now: Duration) {
        if let Some(since) = self.pauses_since
            && now.saturating_sub(since) >= PAUSE_PATIENCE
        {
            self.pauses_since = Some(now);
            if let Some(largest) = self.hub.budget.largest() {
                self.hub.tell(largest, Letter::Close);
            }
        }
    }

    pub(super) fn handle(&mut self, event: Event<'_>) {
        self.hub
            .handle(&mut self.session, &self.plan.upstream, event);
    }

    /// A connection without traffic holds no buffers.
    fn trim(&mut self) {
        trim(&mut self.local.input);
        trim(self.session.local_output());
        trim(self.session.upstream_output());
        if let Some(remote) = &mut self.remote {
            trim(&mut remote.input);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

impl Timer {
    fn new() -> Self {
        Self {
            sleep: Box::pin(sleep_until(Instant::now())),
            armed_for: None,
        }
    }

    /// Ready when the deadline has come. It is set to an earlier moment at once and to a later one
    /// when it wakes up in vain: deadlines move with every packet.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Duration>,
        now: impl Fn() -> Duration,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        loop {
            if self.armed_for.is_none_or(|armed| deadline < armed) {
                let now = now();
                if now >= deadline {
                    return Poll::Ready(());
                }
                let wait = deadline.saturating_sub(now).min(LONGEST_SLEEP);
                self.armed_for = Some(now.saturating_add(wait));
                let at = Instant::now().checked_add(wait);
                self.sleep.as_mut().reset(at.unwrap_or_else(Instant::now));
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed_for = None;
            if now() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}

/// Polls what was begun elsewhere. True when it is done: then its outcome is in `into`.
fn poll_slot<T>(
    cx: &mut Context<'_>,
    slot: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    into: &mut Option<T>,
) -> bool {
    let Some(future) = slot else {
        return false;
    };
    match future.as_mut().poll(cx) {
        Poll::Ready(outcome) => {
            *into = Some(outcome);
            *slot = None;
            true
        }
        Poll::Pending => false,
    }
}

/// First octet of a CONNACK (MQTT 5, 3.2.1).
const CONNACK: u8 = 0x20;
const BUFFERS_FULL: &str = "buffers-full";
const PAUSE_PATIENCE: Duration = Duration::from_secs(1);
const STOP_PATIENCE: Duration = Duration::from_secs(2);
const PARTING: Duration = Duration::from_secs(2);
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
