//! What one verification and one signature cost the allocator, apart from the curve.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod support;

use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    Kind, Properties, ReceiveRule, Received, Receiver, Unsynchronized, Unverified, Verdict, verify,
};
use support::domain::{Domain, NOW};
use support::forge::{Forge, PAYLOAD, TOPIC};

#[test]
fn a_verification_allocates_twice_at_most() {
    let domain = Domain::new();
    let token = Forge::honest().token();
    let (rule, consumer) = (ReceiveRule::default(), ConsumerId::from("program"));
    let receiver = Receiver {
        trust: &domain.view,
        device: None,
        groups: &[],
        leeway_seconds: 10,
        grace_seconds: 0,
        unsynchronized: Unsynchronized::Refuse,
    };
    let now = Now {
        time: UnixTime::from_seconds(NOW),
        clock: ClockState::Synchronized,
        floor: domain.view.issued_at,
    };
    let received = Received {
        topic: TOPIC.as_bytes(),
        payload: PAYLOAD,
        properties: Some(Properties::default()),
        retain: false,
        consumer: &consumer,
        rule: &rule,
    };
    let mut verdict = None;
    let counted = allocation_counter::measure(|| {
        let token = Unverified::parse(token.as_bytes(), Kind::Message.typ()).unwrap();
        let key = domain.keys.get(&token.kid());
        verdict = Some(verify(&token, key, &received, &receiver, &now, None, &mut ()).unwrap());
    });
    assert!(matches!(verdict, Some(Verdict::Verified(_))));
    assert!(counted.count_total <= 2, "{counted:?}");
}
