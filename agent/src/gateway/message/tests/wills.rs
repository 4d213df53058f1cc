//! Wills, signed and received.

use super::{Seen, Side, both, message, rule, user};
use crate::engine::{SignBlock, Signing};
use crate::gateway::message::{EngineNotary, NotSent, SendContext, SignedWill, will};
use crate::gateway::packet::{Property, Version, Will};
use crate::gateway::rules::{AcceptedKinds, Form, Mode, Rule};
use crate::wire::Qos;

/// A will like a message.
fn like(message: &Seen) -> Will<'_> {
    Will {
        topic: &message.topic,
        payload: &message.payload,
        qos: message.qos,
        retain: message.retain,
        properties: message.properties.as_properties(),
    }
}

pub(super) fn signed(one: &mut Side, wanted: &Seen, delay: u32) -> Result<SignedWill, String> {
    let mut notary = EngineNotary {
        now: one.now(),
        engine: &mut one.engine,
    };
    let context = SendContext {
        rules: &one.rules,
        permissions: &one.permissions,
        upstream: one.upstream,
        max_packet_octets: one.broker_max,
        resend: None,
    };
    will(&like(wanted), delay, &context, &mut notary).map_err(|why| match &why {
        NotSent::Failed(failure) => format!("failed {}", failure.code()),
        NotSent::Refused(refusal) => format!("{} {:#x}", why.code(), refusal.reason),
    })
}

/// The message that the broker publishes of it.
pub(super) fn published(will: &SignedWill) -> Seen {
    let will = will.as_will();
    let list: Vec<_> = will
        .properties
        .iter()
        .filter(|property| !matches!(property, Property::WillDelayInterval(_)))
        .collect();
    Seen {
        retain: will.retain,
        ..message(will.topic, will.payload, &list)
    }
}

#[test]
fn a_will_is_signed_as_a_will_and_delivered_as_one() {
    let (mut one, mut two) = both(Vec::new);
    let list = [
        user("a", "1"),
        Property::WillDelayInterval(5),
        Property::ContentType("text/plain"),
        user("edgeseal", "forged"),
        user("edgeseal-sender", "two"),
    ];
    let will = signed(
        &mut one,
        &message("site/a", b"gone", &list).with_retain(),
        10,
    )
    .unwrap();
    assert_eq!(
        will.expires_at,
        Some(super::at(super::NOW + 86_400)),
        "as granted"
    );
    assert!(will.id.is_some() && will.unsigned.is_none());
    let as_will = will.as_will();
    assert_eq!((as_will.qos, as_will.retain), (Qos::AtLeastOnce, true));
    let sent = published(&will);
    let token = sent.token();
    let expected = [
        user("a", "1"),
        Property::ContentType("text/plain"),
        user("edgeseal", &token),
    ];
    assert_eq!(sent, sent.clone().only(&expected));
    assert_eq!(as_will.properties.will_delay_interval(), Some(10));
    let got = two.receives(&sent);
    assert_eq!((got.word, got.sender()), (Some("will"), "one"));
    assert_eq!(got.packet().payload, b"gone");
}

#[test]
fn the_delay_is_never_shortened() {
    let mut one = Side::new(1, vec![]);
    for (theirs, ours, expected) in [
        (None, 10, Some(10)),
        (Some(60), 10, Some(60)),
        (None, 0, None),
        (Some(3), 0, Some(3)),
    ] {
        let mut wanted = message("site/a", b"gone", &[]);
        if let Some(theirs) = theirs {
            wanted = wanted.and(Property::WillDelayInterval(theirs));
        }
        let will = signed(&mut one, &wanted, ours).unwrap();
        assert_eq!(will.as_will().properties.will_delay_interval(), expected);
    }
}

#[test]
fn on_version_3_a_will_is_an_envelope() {
    let (mut one, mut two) = both(Vec::new);
    (one.upstream, two.upstream) = (Version::V311, Version::V311);
    let will = signed(&mut one, &message("site/a", b"gone", &[user("a", "1")]), 10).unwrap();
    assert!(will.as_will().properties.is_empty());
    let sent = published(&will);
    assert!(sent.payload.starts_with(b"ES1 "));
    let got = two.receives(&sent);
    assert_eq!(
        (got.word, got.packet().payload),
        (Some("will"), b"gone".to_vec())
    );
    let deletion = signed(&mut one, &message("site/a", b"", &[]).with_retain(), 10).unwrap();
    assert!(
        !deletion.as_will().retain,
        "an envelope would be retained in its place"
    );
}

#[test]
fn a_will_that_deletes_is_a_property_and_stays_empty() {
    let mut one = Side::new(
        1,
        vec![rule("#", |rule: &mut Rule| {
            rule.outgoing.form = Form::Envelope
        })],
    );
    let will = signed(&mut one, &message("site/a", b"", &[]).with_retain(), 10).unwrap();
    assert!(will.as_will().payload.is_empty() && will.as_will().retain);
    assert_eq!(published(&will).values("edgeseal").len(), 1);
}

#[test]
fn a_rule_may_forbid_wills() {
    let mut one = Side::new(1, vec![]);
    let sent = published(&signed(&mut one, &message("site/a", b"gone", &[]), 10).unwrap());
    let mut two = Side::new(
        2,
        vec![rule("#", |rule: &mut Rule| {
            rule.incoming = super::incoming(|settings| settings.accept = AcceptedKinds::MESSAGE);
        })],
    );
    assert_eq!(two.receives(&sent).outcome, "header-typ");
}

#[test]
fn what_may_not_be_a_will_is_refused_before_the_broker_knows() {
    let mut one = Side::new(
        1,
        vec![rule("relay/#", |rule: &mut Rule| {
            rule.outgoing.relay = true
        })],
    );
    for (wanted, expected) in [
        (message("long/a", b"", &[]), "kind-not-granted 0x87"),
        (message("other/a", b"", &[]), "topic-not-granted 0x87"),
        (message("edgeseal/a", b"", &[]), "topic-not-listed 0x87"),
        (message("relay/a", b"", &[]), "unsigned 0x87"),
    ] {
        assert_eq!(signed(&mut one, &wanted, 10).unwrap_err(), expected);
    }
    one.upstream = Version::V311;
    let large = message("site/a", &[0; 65_300], &[]);
    assert_eq!(
        signed(&mut one, &large, 10).unwrap_err(),
        "packet-size 0x95"
    );
    one.synchronized = false;
    let why = signed(&mut one, &message("site/a", b"", &[]), 10).unwrap_err();
    assert_eq!(why, "failed clock-unsynchronized");
}

#[test]
fn wills_that_are_not_ours_to_sign() {
    let mut one = Side::new(
        1,
        vec![
            rule("relay/#", |rule: &mut Rule| rule.outgoing.relay = true),
            rule("open/#", |rule: &mut Rule| rule.mode = Mode::Pass),
            rule("watch/#", |rule: &mut Rule| rule.mode = Mode::Observe),
        ],
    );
    let forged = |topic: &str| {
        let list = [
            user("edgeseal", "x"),
            user("edgeseal-verdict", "verified"),
            user("a", "1"),
        ];
        message(topic, b"gone", &list)
    };
    let theirs = |topic: &str| message(topic, b"gone", &[user("edgeseal", "x"), user("a", "1")]);
    for topic in ["relay/a", "open/a"] {
        let will = signed(&mut one, &forged(topic), 10).unwrap();
        assert_eq!((published(&will), will.id), (theirs(topic), None));
        assert_eq!(will.as_will().properties.will_delay_interval(), Some(10));
    }
    one.engine.set_signing(Signing::Blocked {
        why: SignBlock::NoIdentity,
        kid: None,
    });
    let will = signed(&mut one, &forged("watch/a"), 10).unwrap();
    assert_eq!(will.unsigned, Some("no-identity"));
    assert_eq!(
        published(&will),
        message("watch/a", b"gone", &[user("a", "1")])
    );
    one.upstream = Version::V311;
    let will = signed(&mut one, &forged("relay/a"), 10).unwrap();
    assert_eq!(will.as_will().payload, b"ES1 x\ngone");
}
