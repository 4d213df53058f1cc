//! The next key of a member: the agent's own state machine, and around it what the agent's task does.

use super::{Core, count};
use crate::carrier::Carrier;
use edgeseal_agent::engine::Signing;
use edgeseal_agent::enroll::{
    Moment, Rotation, RotationAction, RotationEvent, RotationFound, Standing,
};
use edgeseal_trust::carrier::CarrierTopic;
use edgeseal_trust::document::Digest;
use edgeseal_trust::key::{KeyId, SigningKey};
use std::collections::VecDeque;
use std::time::Duration;

/// A key that a member is told to go on with, and the request that both keys signed.
pub(crate) struct Next {
    pub(crate) key: SigningKey,
    pub(crate) request: Vec<u8>,
}

/// A rotation under way.
pub(super) struct Rotating {
    machine: Rotation,
    found: RotationFound,
    request: Vec<u8>,
    /// None once it signs.
    key: Option<SigningKey>,
}

impl Core {
    pub(super) fn begin_rotation(&mut self, next: Next, carrier: &Carrier) {
        let found = RotationFound {
            new: next.key.public().id(),
            digest: Digest::of(&next.request),
            words: String::new(),
            sent: false,
            open: true,
            at_once: false,
        };
        self.rotating = Some(Rotating {
            machine: Rotation::new(ROTATE_DELAY),
            found,
            request: next.request,
            key: Some(next.key),
        });
        self.rotate(RotationEvent::Connected(true), carrier);
    }

    /// When the state machine wants to hear that time has passed.
    pub(super) fn rotation_wakes_at(&self) -> Option<Duration> {
        self.rotating.as_ref()?.machine.wake_at()
    }

    pub(super) fn rotation_hears_time(&mut self, carrier: &Carrier) {
        let due = self.rotation_wakes_at();
        if due.is_some_and(|due| due <= self.clock.now()) {
            self.rotate(RotationEvent::Time, carrier);
        }
    }

    pub(super) fn rotation_is_offline(&mut self) {
        if let Some(rotating) = &mut self.rotating {
            let now = moment(self.key, self.clock.now());
            // Without a connection nothing can be done about what it wants.
            let _ = rotating.machine.on(RotationEvent::Connected(false), now);
        }
    }

    /// What the manifest in force says of both keys.
    pub(super) fn rotation_hears_standings(&mut self, carrier: &Carrier) {
        if let Some(rotating) = &self.rotating {
            let event = self.standings(rotating.found.new);
            self.rotate(event, carrier);
        }
    }

    pub(super) fn rotate(&mut self, event: RotationEvent, carrier: &Carrier) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = moment(self.key, self.clock.now());
            let Some(rotating) = &mut self.rotating else {
                return;
            };
            for action in rotating.machine.on(event, now) {
                self.do_for_rotation(action, carrier, &mut events);
            }
        }
    }

    fn do_for_rotation(
        &mut self,
        action: RotationAction,
        carrier: &Carrier,
        events: &mut VecDeque<RotationEvent>,
    ) {
        let topic = |kid| CarrierTopic::Request(kid).name(&self.domain);
        let rotating = self.rotating.as_mut().unwrap();
        match action {
            RotationAction::Look => {
                events.push_back(RotationEvent::Looked {
                    found: Some(rotating.found.clone()),
                    seen_for: None,
                });
                let new = rotating.found.new;
                events.push_back(self.standings(new));
            }
            RotationAction::Publish(kid) => {
                rotating.found.sent = true;
                carrier.retain(topic(kid), rotating.request.clone());
            }
            RotationAction::Clear(kid) => carrier.retain(topic(kid), Vec::new()),
            RotationAction::Switch(kid) => {
                let signing = Signing::Ready {
                    epoch: self.store.next_epoch().unwrap(),
                    key: Box::new(rotating.key.take().unwrap()),
                };
                rotating.found.open = false;
                self.engine.lock().unwrap().set_signing(signing);
                self.key = kid;
                self.put_in_force();
                count(&self.tally.rotated, 1);
                events.push_back(RotationEvent::Switched(Ok(())));
            }
            RotationAction::NoteSeen => {}
            RotationAction::Forget => self.rotating = None,
        }
    }

    fn standings(&self, new: KeyId) -> RotationEvent {
        let of = |kid| Standing::from(self.store.key(kid).unwrap().as_deref());
        RotationEvent::Standings {
            old: of(self.key),
            new: of(new),
        }
    }
}

fn moment(key: KeyId, since_start: Duration) -> Moment {
    Moment {
        since_start,
        chance: u32::from_be_bytes(*key.octets().first_chunk().unwrap()),
    }
}

/// The agent's default.
const ROTATE_DELAY: Duration = Duration::from_secs(3600);
