//! What the broker gets of a program's message.

use super::{Side, audience, both, filter, message, rule, user};
use crate::engine::Signing;
use crate::gateway::packet::{Property, Version};
use crate::gateway::rules::{AcceptedKinds, Form, Mode};
use crate::wire::Qos;
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::token::{Kind, TokenId};
use serde_json::Value;
use std::num::NonZeroU16;

/// A part of a token: 0 is the header, 1 the claims.
fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).unwrap();
    let octets = BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
    serde_json::from_slice(&octets).unwrap()
}

fn claims(token: &str) -> Value {
    part(token, 1)
}

fn enveloped(payload: &[u8]) -> (String, Vec<u8>) {
    let text = payload.strip_prefix(b"ES1 ").unwrap();
    let end = text.iter().position(|octet| *octet == b'\n').unwrap();
    let token = String::from_utf8(text[..end].to_owned()).unwrap();
    (token, text[end + 1..].to_owned())
}

#[test]
fn the_token_is_the_last_property_and_the_others_keep_their_order() {
    let mut one = Side::new(1, vec![]);
    let mut published = message(
        "site/a",
        b"21",
        &[
            Property::PayloadFormatIndicator(true),
            user("b", "2"),
            user("edgeseal", "forged"),
            Property::MessageExpiryInterval(7),
            user("edgeseal-sender", "two"),
            Property::TopicAlias(NonZeroU16::MIN),
            user("a", "1"),
            Property::CorrelationData(b"c"),
            Property::ResponseTopic("reply/a"),
            user("edgeseal-", ""),
            Property::ContentType("text/plain"),
            user("edgesealed", "mine"),
            user("b", "2"),
        ],
    );
    published.dup = true;
    let sent = one.sent(&published);
    let token = sent.token();
    let expected = published.clone().only(&[
        Property::PayloadFormatIndicator(true),
        user("b", "2"),
        Property::MessageExpiryInterval(7),
        user("a", "1"),
        Property::CorrelationData(b"c"),
        Property::ResponseTopic("reply/a"),
        Property::ContentType("text/plain"),
        user("edgesealed", "mine"),
        user("b", "2"),
        user("edgeseal", &token),
    ]);
    assert_eq!(sent, expected);
    let claims = claims(&token);
    for claim in ["rsp", "cor", "cty", "upr"] {
        assert!(claims.get(claim).is_some(), "{claim}");
    }
    assert_eq!(claims["aud"], "domain:farm");
    assert_eq!(claims["jti"], "5.1.1");
    assert_eq!(part(&token, 0)["typ"], "edgeseal-msg+jwt");
}

#[test]
fn quality_of_service_picks_the_stream() {
    let mut one = Side::new(1, vec![]);
    let sent = one.sent(&message("site/a", b"21", &[]).at_most_once());
    assert_eq!(claims(&sent.token())["jti"], "5.0.1");
    assert_eq!((sent.qos, sent.packet_id), (Qos::AtMostOnce, None));
    let mut twice = message("site/a", b"21", &[]);
    twice.qos = Qos::ExactlyOnce;
    assert_eq!(claims(&one.sent(&twice).token())["jti"], "5.1.1");
}

#[test]
fn where_properties_are_lost_an_envelope_carries_the_token() {
    let (mut one, mut two) = both(Vec::new);
    (one.upstream, two.upstream) = (Version::V311, Version::V311);
    let published = message(
        "site/a",
        b"21",
        &[Property::ResponseTopic("reply/a"), user("a", "1")],
    );
    let sent = one.sent(&published);
    let (token, payload) = enveloped(&sent.payload);
    assert_eq!(payload, b"21");
    assert_eq!((sent.qos, sent.packet_id), (Qos::AtLeastOnce, Some(9)));
    let claims = claims(&token);
    assert!(
        claims.get("rsp").is_none() && claims.get("upr").is_none(),
        "{claims}"
    );
    let got = two.receives(&sent);
    assert_eq!((got.word, got.sender()), (Some("verified"), "one"));
    assert_eq!(got.packet().payload, b"21");
}

#[test]
fn a_rule_may_ask_for_an_envelope_and_properties_are_bound_still() {
    let rules = || vec![rule("site/#", |rule| rule.outgoing.form = Form::Envelope)];
    let (mut one, mut two) = both(rules);
    let published = message(
        "site/a",
        b"ES1 x.y.z\n",
        &[user("a", "1"), user("edgeseal", "no")],
    );
    let sent = one.sent(&published);
    assert_eq!(
        sent.list(),
        published.clone().only(&[user("a", "1")]).list()
    );
    let (token, payload) = enveloped(&sent.payload);
    assert_eq!(payload, published.payload, "wrapped like any other");
    assert!(claims(&token).get("upr").is_some());
    let mut altered = sent.clone();
    altered.properties = super::properties(&[user("a", "2")]);
    assert_eq!(two.receives(&altered).outcome, "property-altered");
    let got = two.receives(&sent).packet();
    assert_eq!(
        got.payload, published.payload,
        "one outer envelope is taken off"
    );
}

#[test]
fn the_rule_says_what_is_signed_and_for_how_long() {
    let rules = || {
        vec![
            rule("site/state", |rule| {
                rule.outgoing.kind = Kind::Retained;
                rule.outgoing.lifetime_seconds = Some(31_536_000);
            }),
            rule("site/short", |rule| {
                rule.outgoing.lifetime_seconds = Some(5)
            }),
            rule("site/long", |rule| {
                rule.outgoing.lifetime_seconds = Some(3600)
            }),
            rule("long/a", |rule| rule.outgoing.lifetime_seconds = Some(3600)),
            rule("vouch/a", |rule| rule.outgoing.vouch = true),
        ]
    };
    let mut one = Side::new(1, rules());
    let mut lifetime = |topic: &str| {
        let token = one.sent(&message(topic, b"21", &[])).token();
        let claims = claims(&token);
        let (iat, exp) = (
            claims["iat"].as_u64().unwrap(),
            claims["exp"].as_u64().unwrap(),
        );
        let typ = part(&token, 0)["typ"].as_str().unwrap().to_owned();
        (typ, exp - iat, claims.get("vch").is_some())
    };
    let message = |seconds| ("edgeseal-msg+jwt".to_owned(), seconds, false);
    assert_eq!(
        lifetime("site/state"),
        ("edgeseal-retained+jwt".to_owned(), 7200, false)
    );
    assert_eq!(lifetime("site/short"), message(5));
    assert_eq!(lifetime("site/long"), message(300));
    assert_eq!(lifetime("long/a"), message(3600));
    assert_eq!(lifetime("long/b"), message(60));
    assert_eq!(
        lifetime("vouch/a"),
        ("edgeseal-msg+jwt".to_owned(), 60, true)
    );
}

#[test]
fn a_deletion_is_a_message_and_travels_as_property() {
    let rules = || {
        vec![rule("site/#", |rule| {
            rule.outgoing.kind = Kind::Retained;
            rule.outgoing.form = Form::Envelope;
            rule.outgoing.lifetime_seconds = Some(31_536_000);
        })]
    };
    let mut one = Side::new(1, rules());
    let sent = one.sent(&message("site/a", b"", &[]).with_retain());
    assert_eq!((sent.retain, sent.payload.len()), (true, 0));
    assert_eq!(part(&sent.token(), 0)["typ"], "edgeseal-msg+jwt");
    assert_eq!(claims(&sent.token())["exp"], super::NOW + 60);
}

#[test]
fn where_only_an_envelope_is_possible_a_deletion_is_two_packets() {
    let rules = || vec![rule("site/#", |rule| rule.outgoing.kind = Kind::Retained)];
    let mut one = Side::new(1, rules()).on_v311();
    let mut published = message("site/a", b"", &[]).with_retain();
    published.dup = true;
    let (outcome, sent) = one.sends(&published);
    assert_eq!(outcome, "forwarded");
    let [envelope, bare] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(enveloped(&envelope.payload).1, b"");
    assert_eq!(
        (envelope.retain, envelope.dup, envelope.packet_id),
        (false, true, Some(9))
    );
    assert_eq!(
        *bare,
        message("site/a", b"", &[]).with_retain().at_most_once()
    );

    let mut two = Side::new(
        2,
        vec![rule("site/#", |rule| {
            rule.incoming =
                super::incoming(|s| s.accept = AcceptedKinds::by_default(Kind::Retained));
        })],
    )
    .on_v311();
    assert_eq!(two.receives(envelope).packet().payload, b"");
    assert_eq!(
        two.receives(bare).outcome,
        "unsigned",
        "receivers ignore the second"
    );
}

#[test]
fn the_audience_may_be_named_by_the_topic() {
    let rules = || {
        vec![rule("cmd/#", |rule| {
            rule.outgoing.audience = audience("device:{2}", "cmd/#");
        })]
    };
    let (mut one, mut two) = both(rules);
    let sent = one.sent(&message("cmd/two", b"on", &[]));
    assert_eq!(claims(&sent.token())["aud"], "device:two");
    assert_eq!(two.receives(&sent).word, Some("verified"));
    for topic in ["cmd/Two", "cmd", "cmd/"] {
        let (outcome, packets) = one.tries(&message(topic, b"on", &[]), |_| {});
        assert_eq!(
            (outcome, packets.len()),
            (("audience", None, 0x90), 0),
            "{topic}"
        );
    }
}

#[test]
fn what_the_lists_lack_is_refused_and_what_nobody_can_tell_is_not() {
    let mut one = Side::new(1, vec![]);
    one.permissions.publish = vec![filter("site/{device}/#"), filter("other/#")];
    let not_listed = ("topic-not-listed", None, 0x87);
    for (topic, expected) in [
        ("site/one/a", ("forwarded", None, 0)),
        ("site/two/a", not_listed),
        ("edgeseal/farm/manifest", not_listed),
        ("other/a", ("topic-not-granted", None, 0x87)),
        (&"a".repeat(1025), ("topic-name", None, 0x90)),
    ] {
        let (outcome, packets) = one.tries(&message(topic, b"21", &[]), |_| {});
        assert_eq!(outcome, expected, "{topic}");
        assert_eq!(packets.len(), usize::from(expected.0 == "forwarded"));
    }
    one.engine.set_in_force(None);
    for topic in ["site/one/a", "site/two/a"] {
        assert_eq!(one.sends(&message(topic, b"21", &[])).0, "no-manifest");
    }
    assert_eq!(one.sends(&message("other/a", b"21", &[])).0, "no-manifest");
}

#[test]
fn what_may_not_be_signed_tells_why_in_mqtt() {
    let rules = || {
        vec![
            rule("cmd/#", |_| {}),
            rule("site/#", |rule| rule.outgoing.vouch = true),
        ]
    };
    let mut one = Side::new(1, rules());
    let long = "r/".repeat(600);
    for (published, expected) in [
        (
            message("cmd/two", b"", &[]),
            ("audience-not-granted", None, 0x87),
        ),
        (
            message("site/a", b"", &[]),
            ("vouch-not-granted", None, 0x87),
        ),
        (
            message("long/a", b"", &[Property::ResponseTopic("secret")]),
            ("response-not-granted", None, 0x87),
        ),
        (
            message("long/a", b"", &[Property::ResponseTopic(&long)]),
            ("response-topic", None, 0x90),
        ),
        (
            message(&format!("long/{}", "\u{1}".repeat(1000)), b"", &[]),
            ("size", None, 0x95),
        ),
    ] {
        let (outcome, packets) = one.tries(&published, |_| {});
        assert_eq!((outcome, packets.len()), (expected, 0), "{published:?}");
    }
}

#[test]
fn a_packet_is_no_longer_than_the_broker_takes() {
    for form in [Form::Property, Form::Envelope] {
        let rules = || vec![rule("site/#", |rule| rule.outgoing.form = form)];
        let mut one = Side::new(1, rules());
        let published = message("site/a", &[7; 500], &[user("a", "1")]);
        let mut octets = bytes::BytesMut::new();
        let sent = one.sent(&published);
        sent.publish().write(Version::V5, &mut octets).unwrap();
        one.broker_max = u32::try_from(octets.len()).unwrap();
        assert_eq!(one.sends(&published).0, "forwarded");
        one.broker_max -= 1;
        let (outcome, packets) = one.tries(&published, |_| {});
        assert_eq!((outcome, packets.len()), (("packet-size", None, 0x95), 0));
        // Without room for the payload alone no id is used.
        let used = claims_id(&mut one, form);
        one.broker_max = 499;
        assert_eq!(one.sends(&published).0, "packet-size");
        one.broker_max = u32::MAX;
        assert_eq!(claims_id(&mut one, form), used + 1);
    }
}

/// The counter of one more message.
fn claims_id(one: &mut Side, form: Form) -> u64 {
    one.broker_max = u32::MAX;
    let sent = one.sent(&message("site/a", b"", &[]));
    let token = match form {
        Form::Envelope => enveloped(&sent.payload).0,
        Form::Property => sent.token(),
    };
    let jti = claims(&token)["jti"].as_str().unwrap().to_owned();
    TokenId::parse(&jti).unwrap().counter
}

#[test]
fn a_message_that_is_sent_again_keeps_its_id_and_no_other_gets_it() {
    let (mut one, mut two) = both(Vec::new);
    let published = message("site/a", b"21", &[]);
    let sent = one.sent(&published);
    let id = TokenId::parse(claims(&sent.token())["jti"].as_str().unwrap()).unwrap();
    one.time += 200;
    let mut again = published.clone();
    again.dup = true;
    let (_, packets) = one.tries(&again, |context| context.resend = Some(id));
    assert_eq!(claims(&packets[0].token())["jti"], "5.1.1");
    assert_eq!(claims(&packets[0].token())["iat"], super::NOW + 200);
    two.time += 200;
    assert_eq!(two.receives(&packets[0]).outcome, "delivered");
    let (_, other) = one.tries(&message("site/a", b"22", &[]), |context| {
        context.resend = Some(id);
    });
    assert_eq!(claims(&other[0].token())["jti"], "5.1.2");
    let forgotten = TokenId { epoch: 4, ..id };
    let (_, other) = one.tries(&published, |context| context.resend = Some(forgotten));
    assert_eq!(claims(&other[0].token())["jti"], "5.1.3");
}

#[test]
fn a_device_that_cannot_sign_fails_and_refuses_nothing() {
    let mut one = Side::new(1, vec![]);
    one.synchronized = false;
    let (outcome, packets) = one.sends(&message("site/a", b"21", &[]));
    assert_eq!((outcome, packets.len()), ("clock-unsynchronized", 0));
}

#[test]
fn a_rule_that_observes_signs_where_it_can() {
    let observe = |rule: &mut crate::gateway::rules::Rule| rule.mode = Mode::Observe;
    let rules = || vec![rule("#", observe)];
    let mut one = Side::new(1, rules());
    assert_eq!(
        one.sent(&message("site/a", b"21", &[]))
            .values("edgeseal")
            .len(),
        1
    );
    let forged = message(
        "other/a",
        b"21",
        &[
            user("edgeseal", "x"),
            user("a", "1"),
            user("edgeseal-age-ms", "0"),
        ],
    );
    let (outcome, packets) = one.tries(&forged, |_| {});
    assert_eq!(outcome, ("forwarded", Some("topic-not-granted"), 0));
    assert_eq!(packets, [forged.clone().only(&[user("a", "1")])]);
    let large = message("site/a", &[0; 100], &[]);
    let (outcome, packets) = one.tries(&large, |context| context.max_packet_octets = 150);
    assert_eq!(outcome, ("forwarded", Some("packet-size"), 0));
    assert_eq!(packets, [large]);
    one.engine.set_signing(Signing::Blocked {
        why: crate::engine::SignBlock::NoIdentity,
        kid: None,
    });
    let (outcome, packets) = one.tries(&message("site/a", b"21", &[]), |_| {});
    assert_eq!(outcome, ("forwarded", Some("no-identity"), 0));
    assert_eq!(packets, [message("site/a", b"21", &[])]);
    let refused = one.tries(&message("site/a", &[0; 100], &[]), |context| {
        context.max_packet_octets = 100;
    });
    assert_eq!(refused.0, ("packet-size", None, 0x95));
}
