//! The enrollment of this device, without sockets, files and clock: events and a moment in, actions out.
//!
//! Success is one thing only: the device's own key is active in the manifest in force, which verified
//! under the pinned root. Whatever a broker says is a hint, shown to people.

use super::exchange::Exchange;
use super::pace::{Look, Moment, Pace};
use super::{EnrollState, EnrollStatus, Standing};
use crate::wire::{ErrorBody, ErrorClass};
use edgeseal_trust::document::Digest;
use edgeseal_trust::key::KeyId;
use std::time::Duration;

/// An enrollment request that is stored and waits for approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ask {
    /// The key that it asks for.
    pub kid: KeyId,
    /// SHA-256 of the whole request.
    pub digest: Digest,
    /// Its words.
    pub words: String,
    /// It was given to a broker, or is about to be: it must be cleared there.
    pub sent: bool,
}

/// What happens to an enrollment.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What the broker said to the newest publish or removal; `false`: nothing, it was dropped.
    Acknowledged(bool),
    /// Something on the answer's topic: anybody may have put it there.
    Answer(Hint),
    /// There is a connection to a broker, or none any more.
    Connected(bool),
    /// What came of [`Action::Look`].
    Looked {
        /// The request that is stored, made of the join file where there is one that can be used.
        ask: Option<Ask>,
        /// Why a join file cannot be used.
        problem: Option<ErrorBody>,
    },
    /// What became of the join file, from [`Action::Shred`]; why it is still there.
    Shredded(Result<Shredding, ErrorBody>),
    /// What the manifest in force says of this device's key: at the start and whenever it may be
    /// another.
    Standing(Standing),
    /// Time has passed.
    Time,
}

/// What became of a join file that did its work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shredding {
    /// It is gone.
    Done,
    /// Only root can reach it, and was told: see [`crate::config::Enroll::card_directory`].
    Told,
}

/// What somebody says of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hint {
    /// The request that it speaks of.
    pub request: Digest,
    /// What it says, bounded.
    pub text: String,
}

/// What an enrollment wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Remove the request of this key from the broker.
    Clear(KeyId),
    /// Forget the stored request: the last act.
    Forget,
    /// Look for a stored request, and for a join file where that is not to be ignored.
    Look {
        /// This device is not enrolled.
        join_file: bool,
    },
    /// Publish the stored request of this key, retained, once it is noted that it was sent.
    Publish(KeyId),
    /// Tell the log.
    Say(Said),
    /// Shred the join file of the stored request.
    Shred,
}

/// What the log is told, once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    /// A request waits for approval.
    Asking(Ask),
    /// This device is enrolled, under this name.
    Enrolled(String),
    /// It cannot go on.
    Problem(ErrorBody),
}

/// The enrollment of this device.
#[derive(Debug)]
pub struct Enrollment {
    state: State,
    standing: Option<Standing>,
    broker: Exchange,
    look: Look,
    hint: Option<String>,
    problem: Option<ErrorBody>,
}

#[derive(Debug)]
enum State {
    Enrolled,
    Finishing(Finishing),
    Idle,
    Waiting(Waiting),
}

#[derive(Debug)]
struct Waiting {
    ask: Ask,
    pace: Pace,
    acknowledged: bool,
}

#[derive(Debug)]
struct Finishing {
    kid: KeyId,
    pace: Pace,
    shredding: bool,
    shredded: bool,
    /// When it is looked again whether root has shredded it, and how often that was done.
    next_shred: Duration,
    shreds: u32,
    cleared: bool,
}

impl Enrollment {
    /// Before anything is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Idle,
            standing: None,
            broker: Exchange::new(),
            look: Look::new(),
            hint: None,
            problem: None,
        }
    }

    /// Takes an event, and says what is to be done.
    #[must_use]
    pub fn on(&mut self, event: Event, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Acknowledged(by_broker) => self.acknowledged(by_broker),
            Event::Answer(hint) => self.hear(hint),
            Event::Connected(connected) => self.broker.set_connected(connected),
            Event::Looked { ask, problem } => self.looked(ask, problem, now, &mut actions),
            Event::Shredded(outcome) => self.shredded(outcome, now, &mut actions),
            Event::Standing(standing) => self.standing = Some(standing),
            Event::Time => {}
        }
        self.advance(now, &mut actions);
        actions
    }

    /// When [`Event::Time`] is due; nothing where only other events bring it on.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        let look = self.look.due();
        let publish = |pace: &Pace| self.broker.is_free().then_some(pace.due());
        match &self.state {
            State::Enrolled => None,
            State::Idle => look,
            State::Waiting(waiting) => look.into_iter().chain(publish(&waiting.pace)).min(),
            State::Finishing(finishing) => {
                let shred = !finishing.shredding && !finishing.shredded;
                let shred = shred.then_some(finishing.next_shred);
                let clear = (!finishing.cleared).then(|| publish(&finishing.pace));
                shred.into_iter().chain(clear.flatten()).min()
            }
        }
    }

    /// The request whose answers are of interest.
    #[must_use]
    pub const fn asked(&self) -> Option<&Ask> {
        match &self.state {
            State::Waiting(waiting) => Some(&waiting.ask),
            _ => None,
        }
    }

    /// What it waits for.
    #[must_use]
    pub fn status(&self) -> EnrollStatus {
        let (state, waits_for) = match &self.state {
            State::Enrolled => (EnrollState::Enrolled, None),
            State::Idle => (EnrollState::Idle, Some(WAITS_FOR_REQUEST.to_owned())),
            State::Waiting(waiting) => (EnrollState::Waiting, Some(self.waits_for(waiting))),
            State::Finishing(finishing) => {
                let waits = (!finishing.cleared).then(|| self.waits_to_clear());
                (EnrollState::Finishing, waits)
            }
        };
        EnrollStatus {
            state,
            waits_for,
            words: self.asked().map(|ask| ask.words.clone()),
            answer: self.hint.clone(),
            problem: self.problem.clone(),
            rotation: None,
        }
    }

    fn acknowledged(&mut self, by_broker: bool) {
        if !self.broker.acknowledged(by_broker) {
            return;
        }
        match &mut self.state {
            State::Waiting(waiting) => waiting.acknowledged = true,
            State::Finishing(finishing) => finishing.cleared = true,
            State::Enrolled | State::Idle => {}
        }
    }

    /// A hint is shown and changes nothing else.
    fn hear(&mut self, hint: Hint) {
        if self.asked().is_some_and(|ask| ask.digest == hint.request) {
            self.hint = Some(hint.text);
        }
    }

    /// A join file that cannot be used stops no request that was made before.
    fn looked(
        &mut self,
        ask: Option<Ask>,
        problem: Option<ErrorBody>,
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        self.look.ended(now);
        match problem {
            Some(problem) => self.complain(problem, actions),
            None => self.problem = None,
        }
        let Some(ask) = ask else { return };
        if self.asked().is_some_and(|asked| asked.digest == ask.digest) {
            return;
        }
        actions.push(Action::Say(Said::Asking(ask.clone())));
        self.hint = None;
        self.broker.forget();
        self.state = State::Waiting(Waiting {
            ask,
            pace: Pace::at_once(now),
            acknowledged: false,
        });
    }

    fn shredded(
        &mut self,
        outcome: Result<Shredding, ErrorBody>,
        now: Moment,
        actions: &mut Vec<Action>,
    ) {
        let State::Finishing(finishing) = &mut self.state else {
            return;
        };
        if outcome == Ok(Shredding::Told) {
            finishing.shredding = false;
            let pause = Duration::from_secs(1 << finishing.shreds.min(LONGEST_SHRED));
            finishing.next_shred = now.since_start.saturating_add(pause);
            finishing.shreds = finishing.shreds.saturating_add(1);
            if finishing.shreds > PATIENT_SHREDS {
                self.complain(left_on_the_card(), actions);
            }
            return;
        }
        finishing.shredded = true; // or it never will be: once is enough
        self.problem = None;
        if let Err(problem) = outcome {
            self.complain(problem, actions);
        }
    }

    fn complain(&mut self, problem: ErrorBody, actions: &mut Vec<Action>) {
        if self.problem.as_ref() != Some(&problem) {
            actions.push(Action::Say(Said::Problem(problem.clone())));
        }
        self.problem = Some(problem);
    }

    fn advance(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Some(standing) = &self.standing else {
            return; // nothing is done before it is known whether this device is enrolled
        };
        match (&self.state, standing) {
            (State::Waiting(waiting), Standing::Active { device, .. }) => {
                actions.push(Action::Say(Said::Enrolled(device.to_string())));
                self.state = State::Finishing(Finishing {
                    kid: waiting.ask.kid,
                    pace: Pace::at_once(now),
                    shredding: false,
                    shredded: false,
                    next_shred: Duration::ZERO,
                    shreds: 0,
                    cleared: !waiting.ask.sent,
                });
                self.hint = None;
                self.broker.forget(); // what is still under way is a publish, not the removal
            }
            (State::Idle, Standing::Active { .. }) if self.look.was_once() => {
                self.state = State::Enrolled;
            }
            (State::Enrolled, Standing::Unknown) => self.state = State::Idle,
            _ => {}
        }
        self.act(now, actions);
    }

    fn act(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Idle | State::Waiting(_)) && self.look.take(now) {
            let enrolled = self.standing.as_ref().and_then(Standing::active).is_some();
            actions.push(Action::Look {
                join_file: !enrolled,
            });
        }
        let free = self.broker.is_free();
        if let State::Waiting(waiting) = &mut self.state
            && free
            && waiting.pace.take(now)
        {
            waiting.ask.sent = true;
            self.broker.sent();
            actions.push(Action::Publish(waiting.ask.kid));
        }
        if let State::Finishing(finishing) = &mut self.state {
            let shred_due = !finishing.shredded && now.since_start >= finishing.next_shred;
            if shred_due && !finishing.shredding {
                finishing.shredding = true;
                actions.push(Action::Shred);
            }
            if !finishing.cleared && free && finishing.pace.take(now) {
                self.broker.sent();
                actions.push(Action::Clear(finishing.kid));
            }
            if finishing.shredded && finishing.cleared {
                actions.push(Action::Forget);
                self.state = State::Enrolled;
            }
        }
    }

    fn waits_for(&self, waiting: &Waiting) -> String {
        let approval = format!(
            "approval by the operator (edgeseal device pending) of key {}",
            waiting.ask.kid
        );
        match &self.standing {
            Some(Standing::Held { device, state }) => {
                return format!("the operator: {device} is {state}");
            }
            Some(Standing::NoManifest) if waiting.acknowledged => {
                return format!("the first manifest, and {approval}");
            }
            _ => {}
        }
        match (self.broker.is_connected(), waiting.acknowledged) {
            (_, true) => approval,
            (true, false) => "the broker to take the request".to_owned(),
            (false, false) => format!("a connection to the broker; by file: {approval}"),
        }
    }

    fn waits_to_clear(&self) -> String {
        match self.broker.is_connected() {
            true => "the broker to remove the request".to_owned(),
            false => "a connection to the broker, to remove the request there".to_owned(),
        }
    }
}

impl Default for Enrollment {
    fn default() -> Self {
        Self::new()
    }
}

fn left_on_the_card() -> ErrorBody {
    let reason = "the join file is of no use any more, and still lies on the boot partition: only root can shred it there";
    ErrorBody::new(ErrorClass::Conflict, "join-file-left", reason).with_hint(
        "is the boot partition mounted, and writable? sudo systemctl restart edgeseal-card.service",
    )
}

/// Pauses before it is looked again whether root has shredded the join file: 1 s, doubled up to 2^12 s.
const LONGEST_SHRED: u32 = 12;
/// After so many looks, a minute, something is wrong.
const PATIENT_SHREDS: u32 = 6;
const WAITS_FOR_REQUEST: &str =
    "a join file, or edgeseal-agent identity request with --send or -o FILE";

#[cfg(test)]
mod tests;
