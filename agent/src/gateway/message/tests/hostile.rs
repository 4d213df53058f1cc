//! What a broker may try.

use super::{Seen, Side, both, filter, message, rule, user};
use crate::gateway::packet::{Property, Version};
use crate::gateway::rules::{Mode, Rule};

const OURS: [&str; 7] = [
    "edgeseal-sender",
    "edgeseal-roles",
    "edgeseal-age-ms",
    "edgeseal-verdict",
    "edgeseal-code",
    "edgeseal-",
    "edgeseal-new",
];

fn signed(topic: &str, payload: &[u8]) -> Seen {
    Side::new(1, vec![]).sent(&message(topic, payload, &[user("a", "1")]))
}

#[test]
fn no_forged_mark_comes_through_in_any_mode() {
    for mode in [Mode::Enforce, Mode::Observe, Mode::Pass] {
        let (mut one, mut two) = both(|| vec![rule("#", |rule: &mut Rule| rule.mode = mode)]);
        for (sent, side) in [
            (signed("site/a", b"21"), &mut two),
            (message("site/a", b"21", &[]), &mut one),
        ] {
            let forged = OURS
                .iter()
                .fold(sent, |sent, name| sent.and(user(name, "forged")));
            // To the program,
            if let Some(got) = side.receives(&forged).packet {
                assert!(
                    !got.list().join(" ").contains("forged"),
                    "{mode:?}: {got:?}"
                );
            }
            // and to the broker.
            let sent = side.sent(&forged);
            assert!(
                !sent.list().join(" ").contains("forged"),
                "{mode:?}: {sent:?}"
            );
        }
    }
}

#[test]
fn two_tokens_are_none() {
    let sent = signed("site/a", b"21");
    let token = sent.token();
    let mut two = Side::new(2, vec![]);
    let twice = sent.clone().and(user("edgeseal", &token));
    assert_eq!(two.receives(&twice).outcome, "token-twice");
    let other = sent.clone().and(user("edgeseal", ""));
    assert_eq!(two.receives(&other).outcome, "token-twice");
    assert_eq!(
        two.receives(&sent).outcome,
        "delivered",
        "nothing was remembered"
    );
    let mut two = Side::new(
        2,
        vec![rule("#", |rule: &mut Rule| rule.mode = Mode::Observe)],
    );
    let got = two.receives(&twice);
    assert_eq!(
        (got.word, got.refused),
        (Some("unverified"), Some("token-twice"))
    );
    assert_eq!(got.packet().values("edgeseal").len(), 0);
}

#[test]
fn with_a_property_the_payload_is_opaque() {
    let sent = signed("site/a", b"21");
    let token = sent.token();
    let mut enveloped = sent.clone();
    enveloped.payload = [b"ES1 ", token.as_bytes(), b"\n21"].concat();
    let mut two = Side::new(2, vec![]);
    assert_eq!(two.receives(&enveloped).outcome, "payload");
    // And the other way: a signed payload that looks like an envelope stays what it is.
    let payload = [b"ES1 ", token.as_bytes(), b"\n22"].concat();
    let opaque = signed("site/a", &payload);
    assert_eq!(
        Side::new(2, vec![]).receives(&opaque).packet().payload,
        payload
    );
}

#[test]
fn one_envelope_is_opened_and_no_more() {
    let mut one = Side::new(1, vec![]).on_v311();
    let inner = one.sent(&message("site/a", b"21", &[]));
    let outer = one.sent(&message("site/a", &inner.payload, &[]));
    let mut two = Side::new(2, vec![]).on_v311();
    assert_eq!(two.receives(&outer).packet().payload, inner.payload);
    // An outer envelope of a stranger around a good one opens nothing.
    let mut wrapped = inner.clone();
    wrapped.payload = [b"ES1 a.b.c\n", &inner.payload[..]].concat();
    assert_eq!(two.receives(&wrapped).outcome, "encoding");
    let mut misused = inner.clone();
    misused.payload = [&inner.payload[..], b"1"].concat();
    assert_eq!(two.receives(&misused).outcome, "payload");
}

#[test]
fn a_token_is_of_one_topic_payload_and_set_of_properties() {
    let sent = signed("site/a", b"21");
    let with = |change: fn(&mut Seen)| {
        let mut changed = sent.clone();
        change(&mut changed);
        Side::new(2, vec![]).receives(&changed).outcome
    };
    assert_eq!(with(|m| m.topic = "site/b".to_owned()), "topic");
    assert_eq!(with(|m| m.payload = b"22".to_vec()), "payload");
    assert_eq!(
        with(|m| *m = m.clone().and(user("b", ""))),
        "property-altered"
    );
    assert_eq!(
        with(|m| *m = m.clone().and(Property::ResponseTopic("reply/evil"))),
        "property-unsigned"
    );
    let stripped = {
        let token = sent.token();
        sent.clone().only(&[user("edgeseal", &token)])
    };
    assert_eq!(
        Side::new(2, vec![]).receives(&stripped).outcome,
        "property-missing"
    );
    assert_eq!(with(|_| {}), "delivered");
}

#[test]
fn what_is_not_signed_is_the_brokers_word_and_changes_no_verdict() {
    let sent = signed("site/a", b"21");
    for version in [Version::V5, Version::V311] {
        let mut changed = sent.clone().and(Property::MessageExpiryInterval(1));
        (changed.dup, changed.retain) = (true, true);
        let mut two = Side::new(2, vec![]);
        two.program = version;
        let got = two.receives(&changed);
        assert_eq!(got.word, Some("verified"));
    }
}

#[test]
fn a_list_is_held_to_whatever_the_broker_sends() {
    let mut two = Side::new(
        2,
        vec![rule("open/#", |rule: &mut Rule| rule.mode = Mode::Pass)],
    );
    two.permissions.subscribe = vec![filter("site/#")];
    assert_eq!(
        two.receives(&message("open/a", b"21", &[])).outcome,
        "topic-not-listed"
    );
    assert_eq!(
        two.receives(&message("$SYS/a", b"21", &[])).outcome,
        "topic-not-listed"
    );
}
