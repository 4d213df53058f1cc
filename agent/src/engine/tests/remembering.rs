use super::*;
use crate::wire::{Answer, Outcome, VerdictBody};
use edgeseal_trust::replay::{Bounds, Past, ReplayMemory};
use std::time::Duration;

const BOUNDS: Bounds = Bounds {
    consumers: 4,
    windows: 64,
    statements: 64,
};

fn remembering(past: Past) -> Engine {
    let memory = ReplayMemory::new(BOUNDS, past, at(NOW));
    let mut two = Engine::new(settings(), ready(2), Some(memory));
    two.set_in_force(Some(in_force(2)));
    two
}

fn messages(count: usize) -> Vec<VerifyRequest> {
    let mut one = engine(1);
    let now = now_of(&one);
    let mut next = || received(&one.sign(&temperature(), &now).unwrap(), &temperature());
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_message_is_accepted_once_and_a_gap_is_told() {
    let mut two = remembering(Past::Known);
    let sent = messages(4);
    assert_eq!(code(&verify(&mut two, &sent[0])), "verified");
    assert_eq!(code(&verify(&mut two, &sent[0])), "replay");
    let body: Answer<VerdictBody> = (&verify(&mut two, &sent[3])).into();
    assert_eq!(serde_json::to_value(&body).unwrap()["gap"], 2);
    assert_eq!(two.counts().rejected["replay"], 1);
}

#[test]
fn an_explanation_tells_of_a_replay_and_is_none_itself() {
    let mut two = remembering(Past::Known);
    let sent = messages(1);
    let now = now_of(&two);
    let explain = |two: &Engine| match two.explain(&sent[0], &consumer(), &now, None) {
        Step::Done(explanation) => explanation.checks.last().unwrap().outcome,
        Step::NeedsKey(_) => panic!("asked for a key"),
    };
    assert_eq!(explain(&two), Outcome::Passed);
    assert_eq!(explain(&two), Outcome::Passed);
    assert_eq!(code(&verify(&mut two, &sent[0])), "verified");
    assert_eq!(explain(&two), Outcome::Refused);
}

#[test]
fn what_was_issued_before_the_start_is_refused_when_the_past_is_not_known() {
    let mut two = remembering(Past::UnknownUntil(at(NOW)));
    let sent = messages(2);
    assert_eq!(code(&verify(&mut two, &sent[0])), "before-start");
    // the clock was wrong when it began: by the synchronized one it began 11 s before the message
    let now = now_of(&two);
    two.remember_since(&now, Duration::from_millis(11_900));
    assert_eq!(code(&verify(&mut two, &sent[0])), "verified");
    two.remember_since(&two.now(reading(NOW, false)), Duration::ZERO);
    assert_eq!(
        code(&verify(&mut two, &sent[1])),
        "verified",
        "not by such a clock"
    );
}

#[test]
fn at_the_bound_of_consumers_a_new_one_is_a_failure() {
    let mut two = remembering(Past::Known);
    let now = now_of(&two);
    let outcomes: Vec<_> = (0..6_u32)
        .zip(messages(6))
        .map(|(uid, message)| {
            let consumer = crate::engine::api_consumer(uid, Some("x"));
            match two.verify(&message, &consumer, &now, None) {
                Step::Done(outcome) => code(&outcome),
                Step::NeedsKey(_) => "needs-key",
            }
        })
        .collect();
    assert_eq!(outcomes[..4], ["verified"; 4]);
    assert_eq!(outcomes[4..], ["memory-full"; 2]);
}

#[test]
fn one_user_with_many_names_leaves_room_for_the_others() {
    let bounds = Bounds {
        consumers: 16,
        ..BOUNDS
    };
    let memory = ReplayMemory::new(bounds, Past::Known, at(NOW));
    let mut two = Engine::new(settings(), ready(2), Some(memory));
    two.set_in_force(Some(in_force(2)));
    let now = now_of(&two);
    let mut sent = messages(20).into_iter();
    let mut verify_as = |uid, name: Option<&str>| {
        let consumer = crate::engine::api_consumer(uid, name);
        match two.verify(&sent.next().unwrap(), &consumer, &now, None) {
            Step::Done(outcome) => code(&outcome),
            Step::NeedsKey(_) => "needs-key",
        }
    };
    let greedy: Vec<_> = (0..16)
        .map(|number| verify_as(1000, Some(&format!("n{number}"))))
        .collect();
    assert_eq!(greedy[..4], ["verified"; 4]);
    assert_eq!(greedy[4..], ["memory-full"; 12]);
    assert_eq!(verify_as(1000, Some("n0")), "verified", "known before");
    assert_eq!(verify_as(1000, None), "verified", "its own without a name");
    assert_eq!(verify_as(100, Some("n0")), "verified", "another user");
    assert_eq!(verify_as(0, None), "verified");
}

#[test]
fn one_program_with_many_identifiers_leaves_room_for_the_others_before_its_messages_too() {
    let bounds = Bounds {
        consumers: 16,
        ..BOUNDS
    };
    let memory = ReplayMemory::new(bounds, Past::Known, at(NOW));
    let mut two = Engine::new(settings(), ready(2), Some(memory));
    let now = now_of(&two);
    let mut introduce = |name: &str| {
        let consumer = ConsumerId::from(name);
        two.introduce(&consumer, &now)
            .map_err(|failure| failure.code())
    };
    for number in 0..4 {
        assert_eq!(introduce(&format!("gateway:apps:anyone:{number}")), Ok(()));
    }
    for number in 4..16 {
        let refused = introduce(&format!("gateway:apps:anyone:{number}"));
        assert_eq!(refused, Err("memory-full"));
    }
    assert_eq!(introduce("gateway:apps:anyone:0"), Ok(()), "known before");
    assert_eq!(introduce("gateway:other:anyone:0"), Ok(()));
}
