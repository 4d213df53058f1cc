//! Messages whose tokens are not ours: relayed, or under a rule that passes.

use super::{Seen, Side, both, message, rule, user};
use crate::gateway::packet::{Property, Version};
use crate::gateway::rules::{Form, Mode, Rule};
use std::num::NonZeroU16;

fn relays(rule: &mut Rule) {
    rule.outgoing.relay = true;
}

/// A message that `one` has signed.
fn signed(payload: &[u8]) -> Seen {
    Side::new(1, vec![]).sent(&message("site/a", payload, &[user("a", "1")]))
}

#[test]
fn what_carries_a_token_is_relayed_as_it_is() {
    let rules = || vec![rule("site/#", relays)];
    let mut two = Side::new(2, rules());
    let sent = signed(b"21");
    let carried = sent.clone().and(user("edgeseal-sender", "two"));
    assert_eq!(two.sent(&carried), sent);
    let mut envelope = Side::new(1, vec![]).on_v311();
    let envelope = envelope.sent(&message("site/a", b"21", &[]));
    assert_eq!(two.sent(&envelope), envelope);
}

#[test]
fn a_relayed_token_is_put_into_an_envelope_where_properties_are_lost() {
    let (mut one, mut two) = both(|| vec![rule("site/#", relays)]);
    (one.upstream, two.upstream) = (Version::V311, Version::V311);
    let relayed = one.sent(&signed(b"21"));
    assert!(relayed.payload.starts_with(b"ES1 "));
    assert_eq!(two.receives(&relayed).packet().payload, b"21");
    let deletion = Side::new(1, vec![]).sent(&message("site/a", b"", &[]).with_retain());
    assert_eq!(one.sends(&deletion).1.len(), 2);
}

#[test]
fn what_carries_none_or_two_is_not_relayed() {
    let mut one = Side::new(1, vec![rule("site/#", relays)]);
    let twice = message(
        "site/a",
        b"21",
        &[user("edgeseal", "a"), user("edgeseal", "b")],
    );
    for (published, code) in [
        (message("site/a", b"21", &[]), "unsigned"),
        (message("site/a", b"ES1 no line feed", &[]), "unsigned"),
        (message("site/a", b"ES1 not a token\n", &[]), "unsigned"),
        (message("site/a", b"ES1 \n", &[]), "unsigned"),
        (twice, "token-twice"),
    ] {
        let (outcome, packets) = one.tries(&published, |_| {});
        assert_eq!(
            (outcome, packets.len()),
            ((code, None, 0x87), 0),
            "{published:?}"
        );
    }
}

#[test]
fn a_rule_that_observes_sends_what_it_cannot_relay_unsigned() {
    let mut one = Side::new(
        1,
        vec![rule("site/#", |rule| {
            relays(rule);
            rule.mode = Mode::Observe;
        })],
    );
    let twice = message(
        "site/a",
        b"21",
        &[user("edgeseal", "a"), user("edgeseal", "b")],
    );
    let (outcome, packets) = one.tries(&twice, |_| {});
    assert_eq!(outcome, ("forwarded", Some("token-twice"), 0));
    assert_eq!(packets, [message("site/a", b"21", &[])]);
}

#[test]
fn a_rule_that_passes_takes_our_marks_away_and_leaves_the_token() {
    let passes = |rule: &mut Rule| {
        rule.mode = Mode::Pass;
        rule.outgoing.form = Form::Envelope;
    };
    let (mut one, mut two) = both(|| vec![rule("site/#", passes)]);
    let published = message(
        "site/a",
        b"ES1 a.b.c\n21",
        &[
            Property::TopicAlias(NonZeroU16::MIN),
            user("edgeseal-verdict", "verified"),
            user("edgeseal", "x"),
            user("a", "1"),
            user("edgeseal", "y"),
        ],
    );
    let left =
        published
            .clone()
            .only(&[user("edgeseal", "x"), user("a", "1"), user("edgeseal", "y")]);
    assert_eq!(one.sent(&published), left);
    let got = two.receives(&published);
    assert_eq!(
        (got.outcome, got.word, got.first.is_none()),
        ("delivered", None, true)
    );
    assert_eq!(got.packet(), left);
    // Nothing has to be judged.
    two.synchronized = false;
    assert_eq!(two.receives(&published).outcome, "delivered");
    two.program_max = 20;
    assert_eq!(two.receives(&published).outcome, "too-large");
}
