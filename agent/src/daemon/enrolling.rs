//! The task of enrollment and rotation: does what the two state machines say, and lets the engine sign with
//! the key that the state directory has.

use super::Agent;
use super::agent::store_failed;
use crate::board::Board;
use crate::broker::chance;
use crate::card::JOIN_FILE;
use crate::config::Enroll;
use crate::engine::SignBlock;
use crate::enroll::edge::{self, Looked, Name};
use crate::enroll::join::{identity_failed, refused};
use crate::enroll::{
    Action, EnrollStatus, Enrollment, Event, Hint, Moment, Rotation, RotationAction, RotationEvent,
    Said, Standing,
};
use crate::identity::{self, Identity, IdentityError};
use crate::log::Escaped;
use crate::trust_link::{LinkHandle, Payload, Published};
use crate::wire::ErrorBody;
use edgeseal_trust::carrier::{Answer, CarrierTopic};
use edgeseal_trust::clock::ClockState;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

/// The task of enrollment and rotation.
pub(super) struct Enrolling {
    agent: Arc<Agent>,
    link: LinkHandle,
    settings: Enroll,
    dir: PathBuf,
    board: Board,
    domain: Option<TrustDomain>,
    enrollment: Enrollment,
    enrolling: Line,
    rotation: Rotation,
    rotating: Line,
    /// What the log was told last of a rotation.
    complaint: Option<ErrorBody>,
}

/// What comes back over the link for one of the two.
#[derive(Default)]
struct Line {
    /// The broker's word to the newest publish.
    word: Option<oneshot::Receiver<Published>>,
    answers: Option<Answers>,
}

/// The answers to the request for a key.
type Answers = (KeyId, mpsc::Receiver<Payload>);

/// What woke the task.
enum Wake {
    Answer(Which, Option<Payload>),
    Connected(bool),
    Time,
    Trust,
    Word(Which, bool),
}

#[derive(Clone, Copy)]
enum Which {
    Enrollment,
    Rotation,
}

impl Enrolling {
    pub(super) fn new(agent: Arc<Agent>, link: LinkHandle, settings: Enroll) -> Self {
        let delay = Duration::from_secs(settings.rotate_delay_seconds);
        Self {
            dir: agent.state_dir().to_owned(),
            board: Board::read(std::path::Path::new("/")),
            agent,
            link,
            settings,
            domain: None,
            enrollment: Enrollment::new(),
            enrolling: Line::default(),
            rotation: Rotation::new(delay),
            rotating: Line::default(),
            complaint: None,
        }
    }

    /// Works until the agent ends.
    pub(super) async fn run(mut self) {
        let mut trust = self.agent.trust_changes();
        let mut connected = self.link.connected();
        let mut link_lives = true;
        let now_connected = *connected.borrow_and_update();
        self.wake(Wake::Connected(now_connected)).await;
        self.wake(Wake::Trust).await;
        loop {
            self.follow_answers().await;
            self.agent.set_enrolling(self.status());
            let due = [self.enrollment.wake_at(), self.rotation.wake_at()];
            let due = due.into_iter().flatten().min();
            let pause = due.map(|due| due.saturating_sub(self.agent.since_start()));
            let wake = tokio::select! {
                _ = trust.changed() => Wake::Trust,
                alive = connected.changed(), if link_lives => {
                    link_lives = alive.is_ok();
                    Wake::Connected(link_lives && *connected.borrow_and_update())
                }
                word = next_word(&mut self.enrolling.word) => Wake::Word(Which::Enrollment, word),
                word = next_word(&mut self.rotating.word) => Wake::Word(Which::Rotation, word),
                answer = next_answer(&mut self.enrolling.answers) => Wake::Answer(Which::Enrollment, answer),
                answer = next_answer(&mut self.rotating.answers) => Wake::Answer(Which::Rotation, answer),
                () = tokio::time::sleep(pause.unwrap_or(LONG)) => Wake::Time,
            };
            self.wake(wake).await;
        }
    }

    async fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Time => {
                self.enroll(Event::Time).await;
                self.rotate(RotationEvent::Time).await;
            }
            Wake::Connected(connected) => {
                self.enroll(Event::Connected(connected)).await;
                self.rotate(RotationEvent::Connected(connected)).await;
            }
            Wake::Trust => {
                let standing = self.standing(self.agent.kid()).await;
                self.enroll(Event::Standing(standing)).await;
                if let Some(event) = self.standings(self.rotation.asked()).await {
                    self.rotate(event).await;
                }
            }
            Wake::Word(Which::Enrollment, word) => self.enroll(Event::Acknowledged(word)).await,
            Wake::Word(Which::Rotation, word) => {
                self.rotate(RotationEvent::Acknowledged(word)).await;
            }
            Wake::Answer(which, payload) => match (which, payload.as_deref().and_then(read_hint)) {
                (Which::Enrollment, Some(hint)) => self.enroll(Event::Answer(hint)).await,
                (Which::Rotation, Some(hint)) => self.rotate(RotationEvent::Answer(hint)).await,
                (_, None) => {}
            },
        }
    }

    async fn enroll(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.enrollment.on(event, self.moment()) {
                events.extend(self.perform(action).await);
            }
        }
    }

    async fn perform(&mut self, action: Action) -> Option<Event> {
        let dir = self.dir.clone();
        match action {
            Action::Look { join_file } => Some(self.look(join_file).await),
            Action::Publish(kid) => {
                let octets = off(move || edge::request_to_send(&dir, kid)).await;
                let sent = self.publish(Which::Enrollment, kid, octets).await;
                (!sent).then_some(Event::Acknowledged(false))
            }
            Action::Clear(kid) => {
                let sent = self.publish(Which::Enrollment, kid, Ok(Vec::new())).await;
                (!sent).then_some(Event::Acknowledged(false))
            }
            Action::Shred => {
                let hand_over = self.settings.card_directory.clone();
                let shredded = off(move || edge::shred_join_files(&dir, &hand_over)).await;
                Some(Event::Shredded(shredded))
            }
            Action::Forget => {
                if let Err(problem) = off(move || edge::forget_request(&dir)).await {
                    warn!(code = %problem.code, "{}", problem.reason);
                }
                None
            }
            Action::Say(said) => {
                self.say(said);
                None
            }
        }
    }

    /// Looks for a join file; the key that it may have brought about is the engine's from then on.
    async fn look(&mut self, join_file: bool) -> Event {
        let (dir, board) = (self.dir.clone(), self.board.clone());
        let handed = self.settings.card_directory.join(JOIN_FILE);
        let mut paths = vec![handed, self.settings.join_file.clone()];
        paths.retain(|_| join_file);
        let now = self.agent.time();
        let looked = off(move || Ok(edge::look(&dir, &paths, &board, now))).await;
        let Looked { ask, mut problem } = looked.unwrap_or_else(|problem| Looked {
            ask: None,
            problem: Some(problem),
        });
        if let Some(ask) = &ask
            && self.agent.kid() != Some(ask.kid)
        {
            let (agent, board) = (Arc::clone(&self.agent), self.board.clone());
            let taken = off(move || agent.sign_with(|| identity::load(agent.state_dir(), &board)));
            problem = taken.await.err().or(problem);
        }
        Event::Looked { ask, problem }
    }

    fn say(&self, said: Said) {
        match said {
            Said::Asking(ask) => {
                info!(
                    kid = %ask.kid, words = %ask.words,
                    "this device asks to be enrolled; the operator sees the same words"
                );
                self.link.look_again(); // the join file may have named the broker, and pinned the root
            }
            Said::Enrolled(device) => info!(
                %device,
                "this device is enrolled; its join file is of no use any more, and shredded as far as a flash medium lets it"
            ),
            Said::Problem(problem) => warn!(
                code = %problem.code, hint = problem.hint.as_deref().unwrap_or_default(),
                "{}", Escaped::new(&problem.reason)
            ),
        }
    }

    async fn rotate(&mut self, event: RotationEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.rotation.on(event, self.moment()) {
                events.extend(self.perform_rotation(action).await);
            }
        }
    }

    async fn perform_rotation(&mut self, action: RotationAction) -> Vec<RotationEvent> {
        let dir = self.dir.clone();
        match action {
            RotationAction::Look => self.look_for_rotation().await,
            RotationAction::Publish(new) => {
                let octets = off(move || {
                    let kept = edge::change_rotation(&dir, new, |kept| kept.sent = true)?;
                    Ok(kept.request.into_bytes())
                });
                let octets = octets.await;
                let sent = self.publish(Which::Rotation, new, octets).await;
                (!sent)
                    .then_some(RotationEvent::Acknowledged(false))
                    .into_iter()
                    .collect()
            }
            RotationAction::Clear(new) => {
                let sent = self.publish(Which::Rotation, new, Ok(Vec::new())).await;
                (!sent)
                    .then_some(RotationEvent::Acknowledged(false))
                    .into_iter()
                    .collect()
            }
            RotationAction::NoteSeen => {
                if let (Some(now), Some(new)) = (self.synchronized_time(), self.rotation.asked()) {
                    let noted = off(move || {
                        edge::change_rotation(&dir, new, |kept| {
                            kept.seen_at.get_or_insert(now);
                        })
                    });
                    self.complain(noted.await.err());
                }
                Vec::new()
            }
            RotationAction::Switch(_) => vec![RotationEvent::Switched(self.switch().await)],
            RotationAction::Forget => {
                self.complain(off(move || edge::forget_rotation(&dir)).await.err());
                Vec::new()
            }
        }
    }

    async fn look_for_rotation(&mut self) -> Vec<RotationEvent> {
        let (dir, board) = (self.dir.clone(), self.board.clone());
        let (name, now) = (self.agent.name(), self.synchronized_time());
        let days = self.settings.rotate_after_days;
        let signs = self.agent.status().engine.signing.is_none();
        let found = off(move || {
            if let (Some(now), Some(name), true) = (now, &name, signs && days > 0) {
                begin_if_due(&dir, &board, name, days, now)?;
            }
            edge::find_rotation(&dir, &board, name.as_ref())
        });
        let found = match found.await {
            Ok(found) => found,
            Err(problem) => {
                self.complain(Some(problem));
                return vec![RotationEvent::Looked {
                    found: None,
                    seen_for: None,
                }];
            }
        };
        let seen_at = found.as_ref().and_then(|found| found.seen_at);
        let found = found.map(|found| found.found);
        let new = found
            .as_ref()
            .filter(|found| found.open)
            .map(|found| found.new);
        let looked = RotationEvent::Looked {
            found,
            seen_for: edge::seen_for(seen_at, now),
        };
        let standings = self.standings(new).await;
        std::iter::once(looked).chain(standings).collect()
    }

    /// From one key to the next, in an epoch of its own; connections go on.
    async fn switch(&mut self) -> Result<(), ErrorBody> {
        let (agent, board) = (Arc::clone(&self.agent), self.board.clone());
        let now = self.agent.time();
        let switched =
            off(move || agent.sign_with(|| identity::promote_next(agent.state_dir(), &board, now)));
        let switched = switched.await;
        match &switched {
            Ok(()) => info!(
                kid = self.agent.kid().map(|kid| kid.to_string()),
                "this device signs with its next key"
            ),
            Err(problem) => self.complain(Some(problem.clone())),
        }
        switched
    }

    /// Hands octets to the link; whether there is a word of the broker to wait for.
    async fn publish(
        &mut self,
        which: Which,
        kid: KeyId,
        octets: Result<Vec<u8>, ErrorBody>,
    ) -> bool {
        let octets = match octets {
            Ok(octets) => octets,
            Err(problem) => {
                self.complain(Some(problem));
                return false;
            }
        };
        let Some(domain) = self.domain().await else {
            return false;
        };
        let topic = CarrierTopic::Request(kid).name(&domain);
        let word = self.link.request_publish(topic, octets, true);
        self.line(which).word = Some(word);
        true
    }

    /// Listens to the answers to what is asked for now, and to no others.
    async fn follow_answers(&mut self) {
        let asked = [
            (
                Which::Enrollment,
                self.enrollment.asked().map(|ask| ask.kid),
            ),
            (Which::Rotation, self.rotation.asked()),
        ];
        for (which, kid) in asked {
            let heard = self.line(which).answers.as_ref().map(|(kid, _)| *kid);
            if heard == kid {
                continue;
            }
            self.line(which).answers = None;
            if let (Some(kid), Some(domain)) = (kid, self.domain().await) {
                let topic = CarrierTopic::Answer(kid).name(&domain);
                self.line(which).answers = Some((kid, self.link.subscribe(topic)));
            }
        }
    }

    fn line(&mut self, which: Which) -> &mut Line {
        match which {
            Which::Enrollment => &mut self.enrolling,
            Which::Rotation => &mut self.rotating,
        }
    }

    /// The domain of the pinned root.
    async fn domain(&mut self) -> Option<TrustDomain> {
        if self.domain.is_none() {
            let roots = self.agent.off_the_executor(Store::roots).await.ok()?;
            self.domain = roots.last().map(|root| root.content().domain.clone());
        }
        self.domain.clone()
    }

    async fn standing(&self, kid: Option<KeyId>) -> Standing {
        let looked = self.agent.off_the_executor(move |store| {
            let Some(kid) = kid.filter(|_| store.trust().is_some()) else {
                return Ok(match store.trust() {
                    Some(_) => Standing::Unknown,
                    None => Standing::NoManifest,
                });
            };
            Ok(Standing::from(store.key(kid)?.as_deref()))
        });
        // A store that does not answer has nothing in force.
        looked.await.unwrap_or(Standing::NoManifest)
    }

    async fn standings(&self, new: Option<KeyId>) -> Option<RotationEvent> {
        let new = self.standing(Some(new?)).await;
        let old = self.standing(self.agent.kid()).await;
        Some(RotationEvent::Standings { old, new })
    }

    fn moment(&self) -> Moment {
        Moment {
            since_start: self.agent.since_start(),
            chance: chance(),
        }
    }

    fn synchronized_time(&self) -> Option<UnixTime> {
        let now = self.agent.with(|_, now| *now);
        (now.clock == ClockState::Synchronized).then_some(now.time)
    }

    fn complain(&mut self, problem: Option<ErrorBody>) {
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.complaint) {
            self.say(Said::Problem(problem.clone()));
        }
        self.complaint = problem;
    }

    fn status(&self) -> EnrollStatus {
        EnrollStatus {
            rotation: self.rotation.status(),
            ..self.enrollment.status()
        }
    }
}

impl Agent {
    /// Signs with this identity from now on, in an epoch that no token has carried. Blocks.
    ///
    /// # Errors
    /// No epoch can be taken, or the identity not be had: then all stays as it was.
    pub(super) fn sign_with(
        &self,
        identity: impl FnOnce() -> Result<Identity, IdentityError>,
    ) -> Result<(), ErrorBody> {
        let epoch = self
            .store
            .next_epoch()
            .map_err(|error| store_failed(&error))?;
        let identity = identity().map_err(|error| identity_failed(&error))?;
        let signing = identity.into_signing(|| Ok::<_, SignBlock>(epoch));
        self.set_signing(signing, epoch);
        self.take_over().map_err(|error| store_failed(&error))
    }

    /// Who this device is in its domain, where its key is in the registry.
    pub(super) fn name(&self) -> Option<Name> {
        self.with(|engine, _| {
            Some(Name {
                domain: engine.view()?.domain.clone(),
                device: engine.device()?.clone(),
            })
        })
    }

    fn set_enrolling(&self, status: EnrollStatus) {
        self.enrolling.send_if_modified(|held| {
            let changed = *held != status;
            *held = status;
            changed
        });
    }
}

/// A key that was made without a clock has no age: it is given one first.
fn begin_if_due(
    dir: &std::path::Path,
    board: &Board,
    name: &Name,
    days: u64,
    now: UnixTime,
) -> Result<(), ErrorBody> {
    let identity = identity::load(dir, board).map_err(|error| identity_failed(&error))?;
    if identity.created() < super::start::RELEASED {
        return identity::note_created(dir, now).map_err(|error| identity_failed(&error));
    }
    let open = identity::next_key(dir).map_err(|error| identity_failed(&error))?;
    let kid = identity.key().public().id();
    if open.is_none() && edge::is_due(identity.created(), kid, days, now) {
        info!(
            days,
            "the key of this device is to be replaced by the schedule"
        );
        edge::begin_rotation(dir, board, name)?;
    }
    Ok(())
}

/// What somebody put on the topic of answers: bounded, and shown to people.
fn read_hint(payload: &[u8]) -> Option<Hint> {
    let answer = Answer::read(payload).ok()?;
    let reason = answer
        .reason
        .map_or_else(String::new, |reason| format!(": {reason}"));
    Some(Hint {
        request: answer.request,
        text: format!("{}{reason}", answer.state),
    })
}

async fn next_word(line: &mut Option<oneshot::Receiver<Published>>) -> bool {
    let Some(word) = line else {
        return std::future::pending().await;
    };
    let word = word.await;
    *line = None;
    matches!(word, Ok(Published::Acknowledged))
}

async fn next_answer(line: &mut Option<Answers>) -> Option<Payload> {
    let Some((_, answers)) = line else {
        return std::future::pending().await;
    };
    match answers.recv().await {
        Some(payload) => Some(payload),
        None => std::future::pending().await, // there is no link
    }
}

/// Where blocking does no harm.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ErrorBody> + Send + 'static,
) -> Result<T, ErrorBody> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(refused("enroll-io", error.to_string())),
    }
}

/// Longer than anything waits.
const LONG: Duration = Duration::from_secs(86_400);
