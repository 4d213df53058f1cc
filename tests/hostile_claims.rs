//! Signed tokens whose time or JSON was made to confuse a verifier, against a model of the profile.
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
    Kind, ReceiveRule, Received, Receiver, Unsynchronized, Unverified, Verdict, verify,
};
use support::domain::{self, Domain, NOW};
use support::forge::{Forge, PAYLOAD, TOPIC, object, sign};

#[test]
fn time_is_judged_as_in_arithmetic_without_bounds() {
    let most = u64::MAX;
    let points = [
        0,
        9,
        11,
        300,
        NOW - 301,
        NOW - 11,
        NOW - 10,
        NOW - 1,
        NOW,
        NOW + 10,
        NOW + 11,
        NOW + 299,
        most - 300,
        most - 61,
        most - 10,
        most,
    ];
    let mut domain = Domain::new();
    domain.view.expires_at = UnixTime::from_seconds(most);
    domain.view.root_expires_at = UnixTime::from_seconds(most);
    domain
        .keys
        .values_mut()
        .for_each(|key| key.not_before = UnixTime::from_seconds(0));
    for (iat, exp) in points.iter().flat_map(|iat| points.map(|exp| (*iat, exp))) {
        let token = Forge::honest()
            .claim("iat", &iat.to_string())
            .claim("exp", &exp.to_string());
        let token = token.token();
        for now in points {
            for (leeway, floor) in [0, 10, 60, most]
                .into_iter()
                .flat_map(|l| [(l, 0), (l, NOW)])
            {
                let clock = match now < floor {
                    true => ClockState::BehindFloor,
                    false => ClockState::Synchronized,
                };
                let at = Now {
                    time: UnixTime::from_seconds(now),
                    clock,
                    floor: UnixTime::from_seconds(floor),
                };
                let (issued, expires, time) = (u128::from(iat), u128::from(exp), u128::from(now));
                let tolerance = u128::from(leeway.min(60));
                let in_time = issued <= time + tolerance && time < expires + tolerance;
                let good = now >= floor
                    && exp >= floor
                    && in_time
                    && expires > issued
                    && expires - issued <= 300;
                let verified = judged(&domain, &token, leeway, &at) == "verified";
                let said = format!("iat {iat} exp {exp} now {now} leeway {leeway} floor {floor}");
                // At the very end of time it may refuse what the model accepts, never the reverse.
                assert!(good || !verified, "{said}");
                assert!(verified || !good || now > most - 61, "{said}");
            }
        }
    }
}

#[test]
fn claims_are_one_strict_json_object() {
    let domain = Domain::new();
    let honest = Forge::honest();
    let (header, claims) = (object(&honest.header), object(&honest.claims));
    let open = String::from_utf8(claims.clone()).unwrap();
    let open = open.strip_suffix('}').unwrap();
    let with = |member: &str| format!("{open},{member}}}").into_bytes();
    let raw = |octets: &[u8]| [open.as_bytes(), b",\"x\":\"", octets, b"\"}"].concat();
    let deep = format!(r#""x":{}{}"#, "[".repeat(17), "]".repeat(17));
    let cases = [
        (with(r#""x":1"#), "verified"),
        (with(r#""\u0061ud":"device:x""#), "duplicate-member"),
        (
            with(r#""x":[{"a":{"b":1,"\u0062":2}}]"#),
            "duplicate-member",
        ),
        (with(r#""x":"\ud800""#), "claims-json"),
        (with(r#""x":"\udc00\ud800""#), "claims-json"),
        (with(r#""\ud800":1"#), "claims-json"),
        (with(r#""x":1e400"#), "claims-json"),
        (with(&deep), "claims-json"),
        (with("\"x\":1/**/"), "claims-json"),
        (with("\u{a0}\"x\":1"), "claims-json"),
        (raw(b"\xed\xa0\x80"), "claims-json"),
        (raw(b"\xc0\x80"), "claims-json"),
        ([b"\xef\xbb\xbf", &claims[..]].concat(), "claims-json"),
        ([&claims[..], b"\0"].concat(), "claims-json"),
    ];
    let now = Now {
        time: UnixTime::from_seconds(NOW),
        clock: ClockState::Synchronized,
        floor: domain.view.issued_at,
    };
    for (claims, code) in cases {
        let token = sign(&header, &claims, &domain::key(honest.seed));
        let text = String::from_utf8_lossy(&claims);
        assert_eq!(judged(&domain, &token, 10, &now), code, "{text}");
    }
}

fn judged(domain: &Domain, token: &str, leeway_seconds: u64, now: &Now) -> &'static str {
    let parsed = Unverified::parse(token.as_bytes(), Kind::Message.typ()).unwrap();
    let received = Received {
        topic: TOPIC.as_bytes(),
        payload: PAYLOAD,
        properties: None,
        retain: false,
        consumer: &ConsumerId::from("c"),
        rule: &ReceiveRule::default(),
    };
    let receiver = Receiver {
        trust: &domain.view,
        device: None,
        groups: &[],
        leeway_seconds,
        grace_seconds: u64::MAX,
        unsynchronized: Unsynchronized::Refuse,
    };
    let key = domain.keys.get(&parsed.kid());
    match verify(&parsed, key, &received, &receiver, now, None, &mut ()) {
        Ok(Verdict::Verified(_)) => "verified",
        Ok(Verdict::Rejected(why)) => why.code(),
        Err(failure) => failure.code(),
    }
}
