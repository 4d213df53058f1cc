//! What is handed on again.

use super::{
    FirstVerdict, Got, Seen, Side, both, in_force_with, incoming, message, peer, rule, user,
};
use crate::gateway::packet::Property;
use crate::gateway::rules::{Mode, Rule};
use crate::wire::Qos;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey};
use std::num::NonZeroU32;
use std::sync::Arc;

type Change = fn(&mut Seen);

fn delivered(two: &mut Side, sent: &Seen) -> FirstVerdict {
    two.receives(sent).first.unwrap()
}

#[test]
fn a_repeated_message_keeps_its_first_verdict_whatever_the_time() {
    let (mut one, mut two) = both(Vec::new);
    let mut sent = one.sent(&message("site/a", b"21", &[]));
    let first = delivered(&mut two, &sent);
    two.time += 100_000;
    sent.dup = true;
    assert_eq!(two.receives(&sent).outcome, "expired");
    let got = two.receives_with(&sent, Some(&first), None);
    assert_eq!(
        (got.outcome, got.word, got.sender()),
        ("again", Some("verified"), "one")
    );
    assert!(got.recorded.is_empty(), "it is recorded already");
    let packet = got.packet();
    assert!(packet.dup);
    assert_eq!(packet.values("edgeseal-age-ms"), ["100000000"]);
    assert_eq!(packet.values("edgeseal-roles"), ["sensor,zone"]);
    two.synchronized = false;
    assert_eq!(
        two.receives_with(&sent, Some(&first), None).outcome,
        "again"
    );
}

/// A program holds what it got at QoS 2 by its identifier; at QoS 1 it would take it for another.
#[test]
fn a_first_verdict_is_of_one_quality_of_service() {
    for (first_qos, other) in [
        (Qos::ExactlyOnce, Qos::AtLeastOnce),
        (Qos::AtLeastOnce, Qos::ExactlyOnce),
    ] {
        let (mut one, mut two) = both(Vec::new);
        let mut sent = one.sent(&message("site/a", b"21", &[]));
        sent.qos = first_qos;
        let first = delivered(&mut two, &sent);
        sent.dup = true;
        let again = two.receives_with(&sent, Some(&first), None);
        assert_eq!(again.outcome, "again");
        sent.qos = other;
        let got = two.receives_with(&sent, Some(&first), None);
        assert_eq!(got.outcome, "replay");
        assert!(got.packet.is_none());
    }
}

/// A broker keeps a flow open as long as it likes.
#[test]
fn a_first_verdict_ends_when_its_sender_or_key_is_revoked() {
    let revoked_device = |mut peer: PeerKey| {
        let device = Device {
            state: DeviceState::Revoked,
            ..(*peer.device).clone()
        };
        peer.device = Arc::new(device);
        peer
    };
    let revoked_key = |peer| PeerKey {
        state: KeyState::Revoked,
        ..peer
    };
    for (one_now, code) in [
        (revoked_device(peer(1, "one")), "device-revoked"),
        (revoked_key(peer(1, "one")), "key-revoked"),
    ] {
        let (mut one, mut two) = both(Vec::new);
        let mut sent = one.sent(&message("site/a", b"21", &[]));
        let first = delivered(&mut two, &sent);
        sent.dup = true;
        let again = two.receives_with(&sent, Some(&first), None);
        assert_eq!(again.outcome, "again");
        two.engine.set_in_force(Some(in_force_with(2, one_now)));
        let got = two.receives_with(&sent, Some(&first), None);
        assert_eq!(got.outcome, code);
        assert!(got.packet.is_none());
    }
}

#[test]
fn a_first_verdict_is_of_the_whole_message() {
    let (mut one, mut two) = both(Vec::new);
    let sent = one.sent(&message("site/a", b"21", &[user("a", "1")]));
    let first = delivered(&mut two, &sent);
    let changes: [(Change, &str); 4] = [
        (|m| m.payload = b"22".to_vec(), "payload"),
        (|m| m.topic = "site/b".to_owned(), "topic"),
        (|m| *m = m.clone().and(user("b", "2")), "property-altered"),
        (
            |m| *m = m.clone().and(Property::ContentType("x")),
            "property-unsigned",
        ),
    ];
    for (change, code) in changes {
        let mut changed = sent.clone();
        change(&mut changed);
        let got = two.receives_with(&changed, Some(&first), None);
        assert_eq!(got.outcome, code);
    }
    let bare = message("site/a", b"21", &[]);
    assert_eq!(
        two.receives_with(&bare, Some(&first), None).outcome,
        "unsigned"
    );
    let next = one.sent(&message("site/a", b"21", &[]));
    let got = two.receives_with(&next, Some(&first), None);
    assert_eq!(
        (got.outcome, got.recorded.len()),
        ("delivered", 1),
        "another message"
    );
}

#[test]
fn what_the_process_before_handed_on_is_judged_once_more() {
    let (mut one, mut two) = both(Vec::new);
    let sent = one.sent(&message("site/a", b"21", &[]));
    let mut first = delivered(&mut Side::new(2, vec![]), &sent);
    first.restored = true;
    let got = two.receives_with(&sent, Some(&first), None);
    assert_eq!(got.outcome, "again");
    let first = got.first.unwrap();
    assert!(!first.restored);
    assert_eq!(got.recorded, [first]);
    assert_eq!(
        two.receives(&sent).outcome,
        "replay",
        "the memory has learnt it"
    );
}

#[test]
fn while_nothing_can_be_judged_what_was_handed_on_is_still_to_be_learnt() {
    let (mut one, mut two) = both(Vec::new);
    let sent = one.sent(&message("site/a", b"21", &[]));
    let mut first = delivered(&mut Side::new(2, vec![]), &sent);
    first.restored = true;
    two.synchronized = false;
    let got = two.receives_with(&sent, Some(&first), None);
    assert_eq!((got.outcome, got.recorded.len()), ("again", 0));
    assert!(got.first.unwrap().restored);
}

fn identified(sent: &Seen, identifier: u32) -> Seen {
    let identifier = NonZeroU32::new(identifier).unwrap();
    sent.clone()
        .and(Property::SubscriptionIdentifier(identifier))
}

fn subscribed(two: &mut Side, identifiers: &[u32]) {
    for identifier in identifiers {
        two.copies.subscribed(NonZeroU32::new(*identifier).unwrap());
    }
}

#[test]
fn a_copy_under_another_subscription_identifier_is_passed_once() {
    let (mut one, mut two) = both(Vec::new);
    subscribed(&mut two, &[1, 2, 3]);
    for qos_1 in [true, false] {
        let published = message("site/a", b"21", &[]);
        let published = if qos_1 {
            published
        } else {
            published.at_most_once()
        };
        let sent = one.sent(&published);
        assert_eq!(two.receives(&identified(&sent, 1)).outcome, "delivered");
        assert_eq!(two.receives(&identified(&sent, 1)).outcome, "replay");
        let mut copy = identified(&sent, 2);
        if qos_1 {
            copy.packet_id = Some(10);
        }
        let got = two.receives(&copy);
        assert_eq!((got.outcome, got.word), ("again", Some("verified")));
        assert_eq!(got.recorded.len(), usize::from(qos_1));
        assert_eq!(two.receives(&copy).outcome, "replay");
        let both = identified(&identified(&sent, 2), 3);
        assert_eq!(
            two.receives(&both).outcome,
            "replay",
            "one of them has had it"
        );
        assert_eq!(two.receives(&sent).outcome, "replay");
        let mut altered = identified(&sent, 3);
        altered.payload = b"22".to_vec();
        assert_eq!(two.receives(&altered).outcome, "payload");
        assert_eq!(
            two.receives(&identified(&sent, 4)).outcome,
            "replay",
            "nobody's identifier"
        );
    }
}

#[test]
fn a_command_has_no_copies_and_a_new_connection_none_either() {
    let command = |rule: &mut Rule| rule.incoming = incoming(|settings| settings.command = true);
    let (mut one, mut two) = both(|| vec![rule("site/cmd", command)]);
    subscribed(&mut two, &[1, 2]);
    let sent = one.sent(&message("site/cmd", b"on", &[]));
    assert_eq!(two.receives(&identified(&sent, 1)).outcome, "delivered");
    assert_eq!(two.receives(&identified(&sent, 2)).outcome, "replay");
    let sent = one.sent(&message("site/a", b"on", &[]));
    assert_eq!(two.receives(&identified(&sent, 1)).outcome, "delivered");
    two.copies = super::Copies::default();
    subscribed(&mut two, &[1, 2]);
    assert_eq!(two.receives(&identified(&sent, 2)).outcome, "replay");
}

#[test]
fn copies_are_told_from_replays_among_the_newest_messages_alone() {
    let (mut one, mut two) = both(Vec::new);
    subscribed(&mut two, &[1, 2]);
    let first = one.sent(&message("site/a", b"0", &[]));
    assert_eq!(two.receives(&identified(&first, 1)).outcome, "delivered");
    for number in 0..64_u8 {
        let sent = one.sent(&message("site/a", &[number], &[]));
        assert_eq!(two.receives(&identified(&sent, 1)).outcome, "delivered");
    }
    assert_eq!(two.receives(&identified(&first, 2)).outcome, "replay");
}

#[test]
fn a_rule_that_observes_keeps_first_verdicts_too() {
    let (mut one, mut two) = both(|| vec![rule("#", |rule: &mut Rule| rule.mode = Mode::Observe)]);
    let sent = one.sent(&message("site/a", b"21", &[]));
    let first = delivered(&mut two, &sent);
    let got: Got = two.receives_with(&sent, Some(&first), None);
    assert_eq!((got.outcome, got.word), ("again", Some("verified")));
}
