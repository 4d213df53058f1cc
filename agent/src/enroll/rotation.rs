//! The rotation of this device's key, without sockets, files and clock: events and a moment in, actions
//! out.
//!
//! The new key is used only so long after it has appeared in the manifest that peers have had the time to
//! hear of it; the old key works until then. What a broker says is a hint.

use super::enrollment::Hint;
use super::exchange::Exchange;
use super::pace::{LOOK_EVERY, Look, Moment, Pace};
use super::{RotationStatus, Standing};
use crate::wire::ErrorBody;
use edgeseal_trust::document::Digest;
use edgeseal_trust::key::KeyId;
use std::time::Duration;

/// A rotation as the state directory has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationFound {
    /// The new key.
    pub new: KeyId,
    /// SHA-256 of the whole request.
    pub digest: Digest,
    /// Its words.
    pub words: String,
    /// It was given to a broker, or is about to be: it must be cleared there.
    pub sent: bool,
    /// The next key is still waiting to become the key. Otherwise it has, or was given up, and only what
    /// is left is removed.
    pub open: bool,
    /// A person said that the new key is to be used as soon as it is in the manifest.
    pub at_once: bool,
}

/// What happens to a rotation.
#[derive(Clone, Debug, PartialEq)]
pub enum RotationEvent {
    /// What the broker said to the newest publish or removal; `false`: nothing, it was dropped.
    Acknowledged(bool),
    /// Something on the answer's topic: anybody may have put it there.
    Answer(Hint),
    /// There is a connection to a broker, or none any more.
    Connected(bool),
    /// The state directory was looked at.
    Looked {
        /// What is there; nothing where no rotation is.
        found: Option<RotationFound>,
        /// Since the new key was first seen in a manifest, by an earlier process, where a clock that
        /// counts knows it.
        seen_for: Option<Duration>,
    },
    /// What the manifest in force says of both keys.
    Standings {
        /// Of the key in use.
        old: Standing,
        /// Of the next key, where there is one.
        new: Standing,
    },
    /// What came of [`RotationAction::Switch`].
    Switched(Result<(), ErrorBody>),
    /// Time has passed.
    Time,
}

/// What a rotation wants done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RotationAction {
    /// Remove the request of this key from the broker.
    Clear(KeyId),
    /// Forget what is stored of it: the last act.
    Forget,
    /// Look into the state directory.
    Look,
    /// Note that the new key is in the manifest, so that the delay outlives this process.
    NoteSeen,
    /// Publish the request for this key, retained, once it is noted that it was sent.
    Publish(KeyId),
    /// Let the next key become the key, and sign with it from now on.
    Switch(KeyId),
}

/// The rotation of this device's key.
#[derive(Debug)]
pub struct Rotation {
    /// Delay between its appearance and the first use of a new key.
    delay: Duration,
    state: State,
    broker: Exchange,
    look: Look,
    hint: Option<String>,
    problem: Option<ErrorBody>,
}

#[derive(Debug)]
enum State {
    None,
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    found: RotationFound,
    standings: Option<Standings>,
    pace: Pace,
    acknowledged: bool,
    cleared: bool,
    /// Since when the new key is in the manifest, on the clock of this process.
    seen_at: Option<Duration>,
    switching: bool,
    retry_at: Duration,
}

#[derive(Debug)]
struct Standings {
    old: Standing,
    new: Standing,
}

impl Rotation {
    /// Before anything is known.
    #[must_use]
    pub const fn new(delay: Duration) -> Self {
        Self {
            delay,
            state: State::None,
            broker: Exchange::new(),
            look: Look::new(),
            hint: None,
            problem: None,
        }
    }

    /// Takes an event, and says what is to be done.
    #[must_use]
    pub fn on(&mut self, event: RotationEvent, now: Moment) -> Vec<RotationAction> {
        match event {
            RotationEvent::Acknowledged(by_broker) => self.acknowledged(by_broker),
            RotationEvent::Answer(hint) => self.hear(hint),
            RotationEvent::Connected(connected) => self.broker.set_connected(connected),
            RotationEvent::Looked { found, seen_for } => self.looked(found, seen_for, now),
            RotationEvent::Standings { old, new } => {
                if let State::Open(open) = &mut self.state {
                    open.standings = Some(Standings { old, new });
                }
            }
            RotationEvent::Switched(outcome) => self.switched(outcome, now),
            RotationEvent::Time => {}
        }
        self.act(now)
    }

    /// When [`RotationEvent::Time`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        let look = self.look.due();
        let State::Open(open) = &self.state else {
            return look;
        };
        let wants_broker = open.wants_to_clear() || open.wants_to_publish();
        let broker = (wants_broker && self.broker.is_free()).then(|| open.pace.due());
        let switch = open.may_switch_at(self.delay).filter(|_| !open.switching);
        look.into_iter().chain(broker).chain(switch).min()
    }

    /// The key whose answers are of interest.
    #[must_use]
    pub const fn asked(&self) -> Option<KeyId> {
        match &self.state {
            State::Open(open) if open.found.open => Some(open.found.new),
            _ => None,
        }
    }

    /// What it waits for; nothing where no rotation is open.
    #[must_use]
    pub fn status(&self) -> Option<RotationStatus> {
        let State::Open(open) = &self.state else {
            return None;
        };
        Some(RotationStatus {
            kid: open.found.new,
            waits_for: self.waits_for(open),
            words: open.found.open.then(|| open.found.words.clone()),
            answer: self.hint.clone(),
            problem: self.problem.clone(),
        })
    }

    fn acknowledged(&mut self, by_broker: bool) {
        if !self.broker.acknowledged(by_broker) {
            return;
        }
        if let State::Open(open) = &mut self.state {
            match open.wants_to_publish() {
                true => open.acknowledged = true,
                false => open.cleared = true,
            }
        }
    }

    fn hear(&mut self, hint: Hint) {
        if let State::Open(open) = &self.state
            && open.found.digest == hint.request
        {
            self.hint = Some(hint.text);
        }
    }

    fn looked(&mut self, found: Option<RotationFound>, seen_for: Option<Duration>, now: Moment) {
        self.look.ended(now);
        let waited = seen_for.is_some_and(|seen| seen >= self.delay);
        match (&mut self.state, found) {
            (State::Open(open), Some(found)) if open.found.new == found.new => {
                open.found.at_once |= found.at_once || waited;
                open.found.open &= found.open;
            }
            (_, Some(found)) => {
                self.hint = None;
                self.broker.forget();
                self.state = State::Open(Box::new(Open::begin(found, waited, now)));
            }
            (State::Open(open), None) if !open.switching => self.state = State::None,
            (_, None) => {}
        }
    }

    fn switched(&mut self, outcome: Result<(), ErrorBody>, now: Moment) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        open.switching = false;
        self.problem = None;
        match outcome {
            Ok(()) => open.found.open = false,
            Err(problem) => {
                open.retry_at = now.since_start.saturating_add(LOOK_EVERY);
                self.problem = Some(problem);
            }
        }
    }

    fn act(&mut self, now: Moment) -> Vec<RotationAction> {
        let mut actions = Vec::new();
        if self.look.take(now) {
            actions.push(RotationAction::Look);
        }
        let State::Open(open) = &mut self.state else {
            return actions;
        };
        if open.found.open && open.standings.is_none() {
            return actions;
        }
        if open.is_in_manifest() && open.seen_at.is_none() {
            open.seen_at = Some(now.since_start);
            open.pace = Pace::at_once(now);
            self.broker.forget(); // what is still under way is a publish, not the removal
            actions.push(RotationAction::NoteSeen);
        }
        if self.broker.is_free() {
            let new = open.found.new;
            if open.wants_to_publish() && open.pace.take(now) {
                open.cleared = false;
                self.broker.sent();
                actions.push(RotationAction::Publish(new));
            } else if open.wants_to_clear() && open.pace.take(now) {
                self.broker.sent();
                actions.push(RotationAction::Clear(new));
            }
        }
        let due = open.may_switch_at(self.delay);
        if !open.switching && due.is_some_and(|due| now.since_start >= due) {
            open.switching = true;
            actions.push(RotationAction::Switch(open.found.new));
        }
        if !open.found.open && open.cleared {
            actions.push(RotationAction::Forget);
            self.state = State::None;
            self.hint = None;
        }
        actions
    }

    fn waits_for(&self, open: &Open) -> String {
        if !open.found.open {
            return "the broker to remove the request".to_owned();
        }
        let standings = open.standings.as_ref();
        match standings.map(|standings| (&standings.new, &standings.old)) {
            Some((Standing::Active { .. }, _)) => {
                "the delay after the new key appeared in the manifest".to_owned()
            }
            Some((Standing::Held { state, .. }, _)) => {
                format!("the operator: the new key is {state}")
            }
            Some((_, Standing::Held { device, state })) => {
                format!("the operator: {device} is {state}")
            }
            _ if open.acknowledged => "approval by the registrar".to_owned(),
            _ if self.broker.is_connected() => "the broker to take the request".to_owned(),
            _ => "a connection to the broker; by file: edgeseal-agent identity rotate -o FILE"
                .to_owned(),
        }
    }
}

impl Open {
    fn begin(found: RotationFound, waited: bool, now: Moment) -> Self {
        Self {
            cleared: !found.sent,
            found: RotationFound {
                at_once: found.at_once || waited,
                ..found
            },
            standings: None,
            pace: Pace::at_once(now),
            acknowledged: false,
            seen_at: None,
            switching: false,
            retry_at: Duration::ZERO,
        }
    }

    /// The new key is in the manifest and may be used.
    fn is_in_manifest(&self) -> bool {
        self.found.open
            && self
                .new_standing()
                .is_some_and(|new| new.active().is_some())
    }

    /// The request is of use until the manifest knows the new key.
    fn wants_to_publish(&self) -> bool {
        let unknown = |new| matches!(new, &Standing::NoManifest | &Standing::Unknown);
        self.found.open && self.new_standing().is_some_and(unknown)
    }

    fn wants_to_clear(&self) -> bool {
        !self.cleared && !self.wants_to_publish()
    }

    /// When the new key may be used: after the delay, but at once where the old one may not be used any
    /// more or a person says so.
    fn may_switch_at(&self, delay: Duration) -> Option<Duration> {
        if !self.is_in_manifest() {
            return None;
        }
        let old = self.standings.as_ref().map(|standings| &standings.old);
        let old_is_of_use = old.is_some_and(|old| old.active().is_some());
        let due = match self.found.at_once || !old_is_of_use {
            true => Duration::ZERO,
            false => self.seen_at?.saturating_add(delay),
        };
        Some(due.max(self.retry_at))
    }

    fn new_standing(&self) -> Option<&Standing> {
        self.standings.as_ref().map(|standings| &standings.new)
    }
}

#[cfg(test)]
mod tests;
