//! Which messages of the broker are delivered.

use super::{Seen, Side, both, filter, incoming, key, message, peer, properties, rule, user};
use crate::engine::{InForce, KeyLookup, KeySource, KeyTicket, Step};
use crate::gateway::message::{EngineNotary, Notary};
use crate::gateway::packet::{Property, Version};
use crate::gateway::rules::{AcceptedKinds, Mode, Rule};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::token::{AsPublished, Kind, ReceiveRule, Received};
use std::sync::Arc;

fn takes(kinds: &[Kind]) -> impl Fn(&mut Rule) {
    let kinds = kinds.to_owned();
    move |rule| {
        let none = AcceptedKinds::NONE;
        let accept = kinds.iter().fold(none, |accept, kind| accept.with(*kind));
        rule.incoming = incoming(|settings| settings.accept = accept);
    }
}

fn signs(kind: Kind) -> impl Fn(&mut Rule) {
    move |rule| rule.outgoing.kind = kind
}

#[test]
fn a_message_is_accepted_once() {
    let (mut one, mut two) = both(Vec::new);
    let sent = one.sent(&message("site/a", b"21", &[]));
    let got = two.receives(&sent);
    assert_eq!(
        (got.outcome, got.word, got.sender()),
        ("delivered", Some("verified"), "one")
    );
    let first = got.first.clone().unwrap();
    assert_eq!(got.recorded, [first]);
    let replay = two.receives(&sent);
    assert_eq!((replay.outcome, replay.sender()), ("replay", "one"));
    assert!(replay.recorded.is_empty());
    let sent = one.sent(&message("site/a", b"21", &[]).at_most_once());
    let got = two.receives(&sent);
    assert_eq!(
        (got.outcome, got.first.is_none(), got.recorded.len()),
        ("delivered", true, 0)
    );
}

#[test]
fn the_token_says_which_of_the_accepted_kinds_it_is() {
    let statement = || Side::new(1, vec![rule("#", signs(Kind::Retained))]);
    let sent = Side::new(1, vec![]).sent(&message("site/a", b"21", &[]));
    let retained = statement().sent(&message("site/a", b"21", &[]));
    for (kinds, of_message, of_retained) in [
        (vec![Kind::Message], "delivered", "header-typ"),
        (vec![Kind::Retained], "header-typ", "delivered"),
        (
            vec![Kind::Message, Kind::Retained],
            "delivered",
            "delivered",
        ),
        (vec![Kind::Will], "header-typ", "header-typ"),
    ] {
        let mut two = Side::new(2, vec![rule("site/#", takes(&kinds))]);
        assert_eq!(two.receives(&sent).outcome, of_message, "{kinds:?}");
        assert_eq!(two.receives(&retained).outcome, of_retained, "{kinds:?}");
    }
}

#[test]
fn what_has_no_token_or_none_of_ours_is_told_apart() {
    let mut two = Side::new(2, vec![]);
    let login = Side::new(1, vec![]);
    drop(login);
    for (payload, token, code) in [
        (&b"21"[..], None, "unsigned"),
        (b"ES1 ", None, "unsigned"),
        (b"ES1 a.b.c", None, "unsigned"),
        (b"ES1 a.b.c\n21", None, "encoding"),
        (b"es1 a.b.c\n21", None, "unsigned"),
        (b"21", Some(""), "shape"),
        (b"21", Some("a"), "shape"),
        (b"21", Some("e30.e30.e30"), "encoding"),
    ] {
        let mut sent = message("site/a", payload, &[]);
        if let Some(token) = token {
            sent = sent.and(user("edgeseal", token));
        }
        let got = two.receives(&sent);
        assert_eq!((got.outcome, got.sender()), (code, "nobody"), "{sent:?}");
    }
}

#[test]
fn a_deletion_is_the_newest_statement_however_it_arrives() {
    let rules = || {
        vec![rule("site/#", |rule| {
            signs(Kind::Retained)(rule);
            takes(&[Kind::Retained])(rule);
        })]
    };
    for version in [Version::V5, Version::V311] {
        let (mut one, mut two) = both(rules);
        (one.upstream, two.upstream) = (version, version);
        let older = one.sent(&message("site/a", b"21", &[]));
        let deletion = one
            .sends(&message("site/a", b"", &[]).with_retain())
            .1
            .remove(0);
        let mut live = deletion.clone();
        live.retain = false; // as whoever had subscribed before gets it
        let got = two.receives(&live);
        assert_eq!((got.outcome, got.word), ("delivered", Some("verified")));
        assert_eq!(got.packet().payload, b"");
        assert_eq!(two.receives(&older.with_retain()).outcome, "superseded");
    }
    // A message with a payload is not taken.
    let (_, mut two) = both(rules);
    let sent = Side::new(1, vec![]).sent(&message("site/a", b"21", &[]));
    assert_eq!(two.receives(&sent).outcome, "header-typ");
}

#[test]
fn an_empty_message_on_a_topic_of_messages_is_a_message() {
    let (mut one, mut two) = both(|| vec![rule("site/#", takes(&[Kind::Message]))]);
    let empty = one.sent(&message("site/a", b"", &[]));
    assert_eq!(two.receives(&empty).outcome, "delivered");
}

#[test]
fn commands_are_messages_alone() {
    let rules = || {
        vec![rule("site/#", |rule| {
            rule.incoming = incoming(|settings| {
                settings.command = true;
                settings.accept = AcceptedKinds::by_default(Kind::Retained);
            });
        })]
    };
    let mut two = Side::new(2, rules());
    let mut one = Side::new(1, vec![rule("#", signs(Kind::Retained))]);
    assert_eq!(
        two.receives(&one.sent(&message("site/a", b"on", &[])))
            .outcome,
        "header-typ"
    );
    let mut one = Side::new(1, vec![]);
    assert_eq!(
        two.receives(&one.sent(&message("site/a", b"on", &[])))
            .outcome,
        "delivered"
    );
}

#[test]
fn a_bridge_may_have_changed_the_topic() {
    let bridged = |rule: &mut Rule| {
        rule.incoming = incoming(|settings| {
            settings.as_published = Some(AsPublished {
                remove: "far/".to_owned(),
                add: String::new(),
            });
        });
    };
    let mut two = Side::new(2, vec![rule("far/#", bridged)]);
    let mut sent = Side::new(1, vec![]).sent(&message("site/a", b"21", &[]));
    sent.topic = "far/site/a".to_owned();
    assert_eq!(two.receives(&sent).packet().topic, "far/site/a");
    sent.topic = "far/site/b".to_owned();
    assert_eq!(two.receives(&sent).outcome, "topic");
}

#[test]
fn user_properties_that_are_not_bound_are_not_delivered() {
    let unbound = |rule: &mut Rule| {
        rule.incoming = incoming(|settings| settings.bind_user_properties = false);
    };
    let list = [
        user("a", "1"),
        Property::ContentType("text/plain"),
        user("b", "2"),
    ];
    let sent = Side::new(1, vec![]).sent(&message("site/a", b"21", &list));
    let mut changed = sent.clone();
    changed.properties = properties(&[
        Property::ContentType("text/plain"),
        user("broker", "was here"),
        user("edgeseal", &sent.token()),
    ]);
    assert_eq!(
        Side::new(2, vec![]).receives(&changed).outcome,
        "property-altered"
    );
    let added = sent.clone().and(user("broker", "was here"));
    assert_eq!(
        Side::new(2, vec![]).receives(&added).outcome,
        "property-altered"
    );
    for arrived in [changed, added, sent] {
        let got = Side::new(2, vec![rule("site/#", unbound)])
            .receives(&arrived)
            .packet();
        assert_eq!(
            got.values("broker").len() + got.values("a").len() + got.values("b").len(),
            0
        );
        assert_eq!(
            got.properties.as_properties().content_type(),
            Some("text/plain")
        );
        assert_eq!(got.values("edgeseal-verdict"), ["verified"]);
    }
}

#[test]
fn a_failure_is_no_rejection_and_a_rule_that_observes_delivers() {
    let rules = || vec![rule("site/b", |rule| rule.mode = Mode::Observe)];
    let (mut one, mut two) = both(rules);
    two.synchronized = false;
    let sent = one.sent(&message("site/a", b"21", &[]));
    let got = two.receives(&sent);
    assert_eq!(
        (got.outcome, got.recorded.len()),
        ("clock-unsynchronized", 0)
    );
    let observed = one.sent(&message("site/b", b"21", &[]));
    let got = two.receives(&observed);
    assert_eq!((got.outcome, got.word), ("delivered", Some("unverified")));
    assert_eq!(got.refused, Some("clock-unsynchronized"));
    two.synchronized = true;
    assert_eq!(two.receives(&sent).outcome, "delivered", "it passes");
}

#[test]
fn nothing_is_delivered_that_the_list_lacks() {
    let (mut one, mut two) = both(Vec::new);
    let sent = one.sent(&message("site/one/a", b"21", &[]));
    two.permissions.subscribe = vec![filter("site/{device}/#")];
    assert_eq!(two.receives(&sent).outcome, "topic-not-listed");
    two.permissions.subscribe = vec![filter("site/+/a")];
    assert_eq!(two.receives(&sent).outcome, "delivered");
    let own = message("edgeseal/farm/manifest", b"{}", &[]);
    two.permissions.subscribe = vec![filter("#")];
    assert_eq!(two.receives(&own).outcome, "topic-not-listed");
    let long = message(&"a".repeat(1025), b"", &[]);
    assert_eq!(two.receives(&long).outcome, "topic-name");
    // Without a name of its own this device cannot tell.
    two.permissions.subscribe = vec![filter("site/{device}/#")];
    two.engine.set_in_force(None);
    assert_eq!(two.receives(&sent).outcome, "no-manifest");
}

/// Keys that are never in memory.
struct Slow;

impl KeySource for Slow {
    fn lookup(&self, _: KeyId) -> KeyLookup {
        KeyLookup::NeedsLoad
    }
}

fn slow(two: &mut Side) {
    let in_force = super::in_force(2);
    two.engine.set_in_force(Some(InForce {
        keys: Box::new(Slow),
        ..in_force
    }));
}

/// The ticket for the key of a message.
fn ticket(two: &mut Side, sent: &Seen) -> KeyTicket {
    let consumer: ConsumerId = "other".into();
    let rule = ReceiveRule::default();
    let token = sent.token();
    let received = Received {
        topic: sent.topic.as_bytes(),
        payload: &sent.payload,
        properties: None,
        retain: false,
        consumer: &consumer,
        rule: &rule,
    };
    let now = two.now();
    let mut notary = EngineNotary {
        engine: &mut two.engine,
        now,
    };
    match notary.judge(token.as_bytes(), &received, None, &mut |_| {}) {
        Step::NeedsKey(ticket) => ticket,
        Step::Done(done) => panic!("{done:?}"),
    }
}

#[test]
fn a_key_that_is_not_in_memory_is_asked_for_first() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let (mut one, mut two) = both(|| vec![rule("site/#", |rule| rule.mode = mode)]);
        slow(&mut two);
        let sent = one.sent(&message("site/a", b"21", &[]));
        let got = two.receives(&sent);
        assert_eq!((got.outcome, got.recorded.len()), ("needs-key", 0));
        let loaded = ticket(&mut two, &sent).loaded(Ok(Some(Arc::new(peer(1, "one")))));
        let got = two.receives_with(&sent, None, Some(&loaded));
        assert_eq!((got.word, got.sender()), (Some("verified"), "one"));
        // Roles of what is handed on again are looked up too.
        let first = got.first.unwrap();
        assert_eq!(
            two.receives_with(&sent, Some(&first), None).outcome,
            "needs-key"
        );
        let again = two
            .receives_with(&sent, Some(&first), Some(&loaded))
            .packet();
        assert_eq!(again.values("edgeseal-roles"), ["sensor,zone"]);
        let nothing = ticket(&mut two, &sent).loaded(Ok(None));
        let sent = one.sent(&message("site/a", b"21", &[]));
        let got = two.receives_with(&sent, None, Some(&nothing));
        let refused = (got.outcome, got.refused);
        match mode {
            Mode::Enforce => assert_eq!(refused, ("unknown-key", None)),
            _ => assert_eq!(refused, ("delivered", Some("unknown-key"))),
        }
    }
    assert_ne!(key(1).public().id(), key(2).public().id());
}
