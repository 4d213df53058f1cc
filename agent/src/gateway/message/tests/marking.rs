//! What a program gets of a message, and what is said of it.

use super::{Got, Side, audience, both, incoming, message, rule, user};
use crate::gateway::packet::{Property, Publish, Version};
use crate::gateway::rules::{AcceptedKinds, Mode, Rule};
use bytes::BytesMut;
use edgeseal_trust::token::Kind;
use std::num::NonZeroU32;

fn words(got: Got) -> (Option<&'static str>, Vec<String>, bool) {
    let word = got.word;
    let packet = got.packet();
    (word, packet.values("edgeseal-verdict"), packet.retain)
}

#[test]
fn a_program_of_version_5_is_told_who_sent_it() {
    let (mut one, mut two) = both(Vec::new);
    let identifier = Property::SubscriptionIdentifier(NonZeroU32::new(3).unwrap());
    let list = [
        user("a", "1"),
        Property::ResponseTopic("reply/a"),
        user("b", "2"),
    ];
    let mut sent = one.sent(&message("site/a", b"21", &list)).and(identifier);
    sent = sent.and(Property::MessageExpiryInterval(7));
    sent.dup = true;
    two.time += 2;
    let expected = [
        user("a", "1"),
        Property::ResponseTopic("reply/a"),
        user("b", "2"),
        identifier,
        Property::MessageExpiryInterval(7),
        user("edgeseal-sender", "one"),
        user("edgeseal-roles", "sensor,zone"),
        user("edgeseal-age-ms", "2000"),
        user("edgeseal-verdict", "verified"),
    ];
    assert_eq!(two.receives(&sent).packet(), sent.clone().only(&expected));
}

#[test]
fn a_program_of_version_3_gets_the_message_alone() {
    let (mut one, mut two) = both(Vec::new);
    two.program = Version::V311;
    let sent = one.sent(&message("site/a", b"21", &[user("a", "1")]));
    assert_eq!(two.receives(&sent).packet(), message("site/a", b"21", &[]));
}

#[test]
fn the_word_is_the_one_that_allows_least() {
    let rules = || {
        vec![
            rule("site/state", |rule| {
                rule.outgoing.kind = Kind::Retained;
                rule.incoming = incoming(|settings| {
                    settings.accept = AcceptedKinds::by_default(Kind::Retained);
                });
            }),
            rule("cmd/#", |rule| {
                rule.outgoing.audience = audience("device:three", "cmd/#");
                rule.incoming = incoming(|settings| settings.any_audience = true);
            }),
            rule("vouch/#", |rule| rule.outgoing.vouch = true),
        ]
    };
    let (mut one, mut two) = both(rules);
    let mut told = |topic: &str, retain: bool| {
        let mut sent = one.sent(&message(topic, b"21", &[]));
        sent.retain = retain;
        let (word, values, retain) = words(two.receives(&sent));
        assert_eq!(values, [word.unwrap()]);
        (values.join(" "), retain)
    };
    let said = |word: &str, retain: bool| (word.to_owned(), retain);
    assert_eq!(told("site/a", false), said("verified", false));
    assert_eq!(
        told("site/a", true),
        said("verified", true),
        "RETAIN is the broker's word"
    );
    assert_eq!(told("vouch/a", false), said("vouched", false));
    assert_eq!(told("cmd/a", false), said("observed", false));
    assert_eq!(told("site/state", true), said("retained", true));
    assert_eq!(
        told("site/state", false),
        said("retained", true),
        "it may be old"
    );
}

#[test]
fn a_young_statement_may_be_an_event() {
    let rules = || {
        vec![rule("site/#", |rule| {
            rule.outgoing.kind = Kind::Retained;
            rule.incoming = incoming(|settings| {
                settings.accept = AcceptedKinds::by_default(Kind::Retained);
                settings.max_age_seconds = Some(10);
            });
        })]
    };
    let (mut one, mut two) = both(rules);
    let sent = one.sent(&message("site/a", b"21", &[]));
    let (word, _, retain) = words(two.receives(&sent));
    assert_eq!((word, retain), (Some("verified"), false));
    // Every SUBSCRIBE sends it again: now it is a state.
    let (word, _, retain) = words(two.receives(&sent));
    assert_eq!((word, retain), (Some("retained"), true));
}

#[test]
fn a_rule_that_observes_marks_and_tells_the_code() {
    let rules = || vec![rule("#", |rule: &mut Rule| rule.mode = Mode::Observe)];
    let (mut one, mut two) = both(rules);
    let unsigned = message(
        "site/a",
        b"21",
        &[user("edgeseal-sender", "one"), user("a", "1")],
    );
    let got = two.receives(&unsigned);
    assert_eq!(
        (got.outcome, got.refused, got.first.is_none()),
        ("delivered", Some("unsigned"), true)
    );
    let marked = [
        user("a", "1"),
        user("edgeseal-verdict", "unverified"),
        user("edgeseal-code", "unsigned"),
    ];
    assert_eq!(got.packet(), unsigned.clone().only(&marked));
    let sent = one.sent(&message("site/a", b"21", &[]));
    let got = two.receives(&sent);
    assert_eq!((got.word, got.refused), (Some("verified"), None));
    assert_eq!(got.packet().values("edgeseal").len(), 0);
    let got = two.receives(&sent);
    assert_eq!(
        (got.word, got.refused, got.recorded.len()),
        (Some("unverified"), Some("replay"), 0)
    );
    let envelope = Side::new(1, rules())
        .on_v311()
        .sent(&message("site/a", b"21", &[]));
    let got = two.receives(&envelope);
    assert_eq!(
        (got.word, got.refused),
        (Some("unverified"), Some("replay"))
    );
    assert_eq!(got.packet().payload, b"21", "nobody wants the envelope");
    two.program = Version::V311;
    assert_eq!(
        two.receives(&unsigned).packet(),
        message("site/a", b"21", &[])
    );
}

#[test]
fn what_is_said_is_left_out_where_the_program_has_no_room_for_it() {
    let (mut one, mut two) = both(Vec::new);
    let length = |publish: &Publish<'_>| {
        let mut octets = BytesMut::new();
        publish.write(Version::V5, &mut octets).unwrap();
        u32::try_from(octets.len()).unwrap()
    };
    let mut next = || one.sent(&message("site/a", &[7; 100], &[user("a", "1")]));
    let whole = two.receives(&next()).packet();
    two.program_max = length(&whole.publish());
    assert_eq!(two.receives(&next()).packet(), whole);
    two.program_max -= 1;
    let bare = two.receives(&next()).packet();
    assert_eq!(bare, whole.clone().only(&[user("a", "1")]));
    two.program_max = length(&bare.publish());
    assert_eq!(two.receives(&next()).outcome, "delivered");
    two.program_max -= 1;
    assert_eq!(two.receives(&next()).outcome, "too-large");
}

#[test]
fn the_sender_may_be_in_the_topic() {
    let rules = || {
        vec![
            rule("watch/#", |rule| rule.mode = Mode::Observe),
            rule("open/#", |rule| rule.mode = Mode::Pass),
            rule("verified/open/#", |rule| rule.mode = Mode::Pass),
            rule("verified/watch/#", |rule| rule.mode = Mode::Observe),
        ]
    };
    let (mut one, mut two) = both(rules);
    two.sender_in_topic = true;
    for program in [Version::V5, Version::V311] {
        two.program = program;
        let sent = one.sent(&message("site/a", b"21", &[]));
        assert_eq!(two.receives(&sent).packet().topic, "verified/one/site/a");
    }
    for topic in ["watch/a", "open/a"] {
        let got = two.receives(&message(topic, b"21", &[])).packet();
        assert_eq!(got.topic, topic, "nobody is said to have sent it");
    }
    for topic in ["verified/open/a", "verified/watch/a"] {
        let got = two.receives(&message(topic, b"21", &[]));
        assert_eq!(got.outcome, "topic-verified", "{topic}");
    }
}

#[test]
fn the_level_of_verified_senders_means_nothing_elsewhere() {
    let rules = || vec![rule("#", |rule| rule.mode = Mode::Pass)];
    let mut two = Side::new(2, rules());
    for topic in ["verified/one/site/a", "verified/"] {
        assert_eq!(
            two.receives(&message(topic, b"21", &[])).outcome,
            "topic-verified"
        );
    }
    for topic in ["verified", "verifiedx/one", "a/verified/one"] {
        assert_eq!(
            two.receives(&message(topic, b"21", &[])).outcome,
            "delivered"
        );
    }
}
