#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::wire::ErrorClass;
use edgeseal_trust::id::DeviceId;
use std::collections::VecDeque;

const DELAY: Duration = Duration::from_secs(3600);

fn found() -> RotationFound {
    RotationFound {
        new: KeyId::from_octets([2; 32]),
        digest: Digest::of(b"request"),
        words: "eight words".to_owned(),
        sent: false,
        open: true,
        at_once: false,
    }
}

fn active(retiring: bool) -> Standing {
    let device = DeviceId::parse("pump-1").unwrap();
    Standing::Active { device, retiring }
}

fn held(state: &'static str) -> Standing {
    let device = DeviceId::parse("pump-1").unwrap();
    Standing::Held { device, state }
}

/// A device with a virtual clock, and a broker that takes or loses.
struct Rig {
    rotation: Rotation,
    seconds: u64,
    found: Option<RotationFound>,
    seen_for: Option<Duration>,
    old: Standing,
    new: Standing,
    takes: bool,
    published: u32,
    cleared: u32,
    noted: u32,
    switched: Option<u64>,
    fail_switch: bool,
}

impl Rig {
    fn new(found: Option<RotationFound>) -> Self {
        let mut rig = Self {
            rotation: Rotation::new(DELAY),
            seconds: 0,
            found,
            seen_for: None,
            old: active(false),
            new: Standing::Unknown,
            takes: true,
            published: 0,
            cleared: 0,
            noted: 0,
            switched: None,
            fail_switch: false,
        };
        rig.give(RotationEvent::Connected(true));
        rig
    }

    /// The process ends and starts again; what lies in the state directory stays.
    fn restart(&mut self) {
        self.rotation = Rotation::new(DELAY);
        self.seconds = 0;
        self.give(RotationEvent::Connected(true));
    }

    fn give(&mut self, event: RotationEvent) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = Moment {
                since_start: Duration::from_secs(self.seconds),
                chance: 0,
            };
            for action in self.rotation.on(event, now) {
                events.extend(self.perform(&action));
            }
        }
    }

    fn perform(&mut self, action: &RotationAction) -> Vec<RotationEvent> {
        match action {
            RotationAction::Look => vec![
                RotationEvent::Looked {
                    found: self.found.clone(),
                    seen_for: self.seen_for,
                },
                RotationEvent::Standings {
                    old: self.old.clone(),
                    new: self.new.clone(),
                },
            ],
            RotationAction::Publish(_) => {
                self.published += 1;
                self.found.as_mut().unwrap().sent = true;
                vec![RotationEvent::Acknowledged(self.takes)]
            }
            RotationAction::Clear(_) => {
                assert_ne!(self.new, Standing::Unknown, "the request is still needed");
                self.cleared += 1;
                vec![RotationEvent::Acknowledged(self.takes)]
            }
            RotationAction::NoteSeen => {
                self.noted += 1;
                vec![]
            }
            RotationAction::Switch(_) => {
                assert!(self.new.active().is_some(), "only what peers know is used");
                if self.fail_switch {
                    let why = ErrorBody::new(ErrorClass::Failure, "identity-io", "full");
                    return vec![RotationEvent::Switched(Err(why))];
                }
                self.switched = Some(self.seconds);
                self.found.as_mut().unwrap().open = false;
                vec![RotationEvent::Switched(Ok(()))]
            }
            RotationAction::Forget => {
                self.found = None;
                vec![]
            }
        }
    }

    fn manifest(&mut self, old: Standing, new: Standing) {
        (self.old, self.new) = (old.clone(), new.clone());
        self.give(RotationEvent::Standings { old, new });
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.seconds + seconds;
        while let Some(at) = self.rotation.wake_at() {
            let at = at.as_secs() + u64::from(at.subsec_nanos() > 0);
            if at > until {
                break;
            }
            assert!(
                at > self.seconds || self.seconds == 0,
                "it turns without an end"
            );
            self.seconds = at.max(self.seconds);
            self.give(RotationEvent::Time);
        }
        self.seconds = until;
    }
}

#[test]
fn the_new_key_is_used_only_so_long_after_it_appeared_in_the_manifest() {
    let mut rig = Rig::new(None);
    rig.wait(100);
    assert_eq!(rig.rotation.status(), None);
    rig.found = Some(found());
    rig.wait(1000);
    assert!(rig.published > 2, "it is said again and again");
    assert_eq!(rig.switched, None);
    rig.manifest(active(true), active(false));
    assert_eq!(
        (rig.noted, rig.cleared),
        (1, 1),
        "the request is cleared when active"
    );
    let appeared = rig.seconds;
    let published = rig.published;
    rig.wait(3599);
    assert_eq!(rig.switched, None);
    rig.wait(2);
    assert_eq!(rig.switched, Some(appeared + 3600));
    assert_eq!(rig.published, published);
    assert_eq!(rig.found, None, "nothing is left of it");
    assert_eq!(rig.rotation.status(), None);
}

#[test]
fn lost_messages_are_repeated_at_every_step() {
    let mut rig = Rig::new(Some(found()));
    rig.takes = false;
    rig.wait(10_000);
    assert!(rig.published > 5);
    rig.manifest(active(true), active(false));
    rig.wait(10_000);
    assert!(
        rig.cleared > 3 && rig.switched.is_some(),
        "the key does not wait for a broker"
    );
    assert!(rig.found.is_some(), "the removal is still owed");
    rig.takes = true;
    rig.wait(10_000);
    assert_eq!(rig.found, None);
}

#[test]
fn answers_are_hints() {
    let mut rig = Rig::new(Some(found()));
    for text in ["approved", "rejected"] {
        rig.give(RotationEvent::Answer(Hint {
            request: Digest::of(b"request"),
            text: text.to_owned(),
        }));
        rig.wait(10_000);
        let status = rig.rotation.status().unwrap();
        assert_eq!(status.answer.as_deref(), Some(text));
        assert_eq!((rig.switched, rig.cleared), (None, 0));
    }
    rig.give(RotationEvent::Answer(Hint {
        request: Digest::of(b"another"),
        text: "approved".to_owned(),
    }));
    let status = rig.rotation.status().unwrap();
    assert_eq!(status.answer.as_deref(), Some("rejected"));
}

#[test]
fn a_restart_at_any_step_goes_on() {
    let mut rig = Rig::new(Some(found()));
    rig.restart();
    rig.manifest(active(true), active(false));
    rig.wait(1800);
    rig.restart();
    rig.wait(3599);
    assert_eq!(
        rig.switched, None,
        "without a clock that counts the delay begins anew"
    );
    rig.seen_for = Some(DELAY);
    rig.restart();
    rig.wait(1);
    assert_eq!(rig.switched, Some(0), "with one it does not");
    // Cut off between the rename and the removal of the request.
    let mut rig = Rig::new(None);
    rig.new = active(false);
    rig.found = Some(RotationFound {
        sent: true,
        open: false,
        ..found()
    });
    rig.wait(10);
    assert_eq!((rig.cleared, rig.published), (1, 0));
    assert_eq!(rig.found, None);
}

#[test]
fn an_old_key_of_no_use_is_not_waited_for() {
    for old in [held("retired"), Standing::Unknown] {
        let mut rig = Rig::new(Some(found()));
        rig.wait(10);
        rig.manifest(old, active(false));
        assert_eq!(rig.switched, Some(10));
    }
    let mut rig = Rig::new(Some(RotationFound {
        at_once: true,
        ..found()
    }));
    rig.wait(50_000);
    assert_eq!(
        rig.switched, None,
        "at once, but never before it is published"
    );
    rig.manifest(active(true), active(false));
    assert_eq!(rig.switched, Some(50_000));
}

#[test]
fn a_suspended_device_waits_for_the_operator() {
    let mut rig = Rig::new(Some(found()));
    rig.manifest(held("suspended"), Standing::Unknown);
    rig.wait(10_000);
    assert!(rig.published > 0);
    let waits = rig.rotation.status().unwrap().waits_for;
    assert!(waits.contains("suspended"), "{waits}");
    rig.manifest(held("suspended"), held("suspended"));
    rig.wait(10_000);
    assert_eq!(rig.switched, None);
}

#[test]
fn a_change_that_fails_is_tried_again() {
    let mut rig = Rig::new(Some(found()));
    rig.fail_switch = true;
    rig.manifest(active(true), active(false));
    rig.wait(5000);
    let problem = rig.rotation.status().unwrap().problem;
    assert_eq!(problem.unwrap().code, "identity-io");
    rig.fail_switch = false;
    rig.wait(20);
    assert!(rig.switched.is_some());
}
