//! Answers, status tokens, and the two tokens that prove a clone.

use super::{Change, MESSAGE, NOW, named, same, set, token, without};
use crate::Named;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

pub fn answers() -> Vec<Named> {
    let with = |name, expect, title, change: Change<'_>| {
        let mut answer = json!({
            "format": 1, "request": "ab".repeat(32), "state": "rejected", "reason": "not ours",
            "words": "abandon abandon abandon abandon abandon abandon abandon abandon",
        });
        change(&mut answer);
        named(name, expect, title, answer.to_string().as_bytes())
    };
    vec![
        with("honest", "accepted", "as it should be", &same),
        with("pending", "accepted", "waits for a person", &|a| {
            a["state"] = "pending".into();
            without("reason")(a);
            without("words")(a);
        }),
        with(
            "state",
            "malformed",
            "another state",
            &set("state", "shred".into()),
        ),
        with(
            "format",
            "format-unknown",
            "format 2",
            &set("format", 2.into()),
        ),
        with(
            "digest",
            "malformed",
            "a digest in upper case",
            &set("request", "AB".repeat(32).into()),
        ),
        with(
            "reason-lines",
            "text",
            "a reason on two lines",
            &set("reason", "not\nours".into()),
        ),
        with(
            "reason-long",
            "text",
            "a reason of 257 octets",
            &set("reason", "x".repeat(257).into()),
        ),
        with(
            "words",
            "malformed",
            "seven words",
            &set("words", ["zoo"; 7].join(" ").into()),
        ),
        with(
            "words-case",
            "malformed",
            "words in upper case",
            &set("words", ["ZOO"; 8].join(" ").into()),
        ),
        with(
            "member-more",
            "malformed",
            "a member more",
            &set("kid", "x".into()),
        ),
        with(
            "size",
            "size",
            "more than 4,096 octets",
            &set("x", "x".repeat(4096).into()),
        ),
    ]
}

pub fn statuses() -> Vec<Named> {
    [status_forms(), status_values(), status_tokens()].concat()
}

fn status_forms() -> Vec<Named> {
    vec![
        with_status("honest", "accepted", "as it should be", &same),
        with_status("least", "accepted", "no more than there must be", &|c| {
            for name in ["refused", "offered", "clone"] {
                without(name)(c);
            }
            c["counts"] = json!({});
            c["notices"] = json!([]);
        }),
        with_status(
            "claim-later",
            "accepted",
            "a claim of a later version",
            &set("new", json!([1])),
        ),
        with_status("claim-less", "claims-json", "no sequence", &without("seq")),
        with_status(
            "claim-null",
            "claims-json",
            "null for what is refused",
            &set("refused", Value::Null),
        ),
        with_status(
            "notice-member",
            "claims-json",
            "a member more of a notice",
            &|c| c["notices"][0]["x"] = 1.into(),
        ),
        with_status(
            "clone-three",
            "claims-json",
            "three tokens",
            &set("clone", json!(["a", "b", "c"])),
        ),
        with_status("counts-33", "claims-json", "33 counters", &|c| {
            c["counts"] = (0..33).map(|n| (format!("c{n}"), Value::from(1))).collect();
        }),
    ]
}

fn status_values() -> Vec<Named> {
    vec![
        with_status("code", "claim-value", "a code with a blank", &|c| {
            c["refused"]["code"] = "not ours".into()
        }),
        with_status(
            "clock",
            "claim-value",
            "another state of the clock",
            &set("clk", "exact".into()),
        ),
        with_status(
            "jti",
            "claim-value",
            "a leading zero",
            &set("jti", "7.1.042".into()),
        ),
        with_status(
            "domain",
            "domain",
            "of another domain",
            &set("iss", "barn".into()),
        ),
        with_status(
            "audience",
            "audience",
            "for one device",
            &set("aud", "device:pump-1".into()),
        ),
        with_status(
            "subject",
            "subject",
            "of another device",
            &set("sub", "pump-2".into()),
        ),
        with_status(
            "too-early",
            "key-not-yet-valid",
            "before the key was valid",
            &set("iat", (NOW - 1001).into()),
        ),
        with_status(
            "lifetime",
            "lifetime",
            "of 366 days and a second",
            &set("exp", (NOW + 366 * 86_400 + 1).into()),
        ),
    ]
}

fn status_tokens() -> Vec<Named> {
    let honest = token(STATUS, &status_claims(&same), 4);
    let (input, _) = honest.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", BASE64URL_NOPAD.encode(&[0; 64]));
    let stranger = token(STATUS, &status_claims(&same), 9);
    let message = token(MESSAGE, &status_claims(&same), 4);
    vec![
        named("typ-message", "header-typ", "a message", message.as_bytes()),
        named(
            "signature",
            "signature",
            "64 octets of zero",
            forged.as_bytes(),
        ),
        named(
            "stranger",
            "unknown-key",
            "by a key that is not known",
            stranger.as_bytes(),
        ),
        named(
            "size",
            "size",
            "more than 20,480 octets",
            "a".repeat(20_481).as_bytes(),
        ),
    ]
}

fn status_claims(change: Change<'_>) -> Value {
    let mut claims = json!({
        "iss": "farm", "sub": "pump-1", "aud": "domain:farm", "iat": NOW, "exp": NOW + 86_400,
        "jti": "7.1.42", "seq": 12, "root": 1, "clk": "synchronized", "ver": "0.1.0",
        "start": NOW - 3600, "counts": { "accepted": 10, "replay": 2 },
        "refused": { "code": "replay", "sender": "pump-2", "at": NOW - 5 },
        "offered": { "code": "rollback", "root": 1, "seq": 11 },
        "notices": [{ "code": "epoch-back", "device": "pump-2", "at": NOW - 6 }],
        "clone": ["a.b.c", "d.e.f"],
    });
    change(&mut claims);
    claims
}

fn with_status(name: &str, expect: &str, title: &str, change: Change<'_>) -> Named {
    let token = token(STATUS, &status_claims(change), 4);
    named(name, expect, title, token.as_bytes())
}

pub fn clones() -> Vec<Named> {
    let honest = said(MESSAGE, 4, &same);
    let beside = |name, expect, title, second: &str| {
        named(
            name,
            expect,
            title,
            format!("{honest}\n{second}\n").as_bytes(),
        )
    };
    let with = |name, expect, title, change: Change<'_>| {
        beside(name, expect, title, &said(MESSAGE, 4, change))
    };
    let (input, _) = honest.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", BASE64URL_NOPAD.encode(&[0; 64]));
    vec![
        with(
            "payload",
            "accepted",
            "another payload under one id",
            &other_payload(),
        ),
        with(
            "topic",
            "accepted",
            "another topic under one id",
            &set("top", "site/pump-1/level".into()),
        ),
        with("expired", "accepted", "one of them long expired", &|c| {
            other_payload()(c);
            c["iat"] = 1.into();
            c["exp"] = 61.into();
        }),
        beside(
            "retained",
            "accepted",
            "a retained statement under the same id",
            &said("edgeseal-retained+jwt", 4, &other_payload()),
        ),
        with(
            "signed-anew",
            "clone-same-content",
            "one message signed twice",
            &set("iat", (NOW + 5).into()),
        ),
        with("other-id", "clone-different-ids", "two ids", &|c| {
            other_payload()(c);
            c["jti"] = "7.1.43".into();
        }),
        with(
            "other-domain",
            "domain",
            "of another domain",
            &set("iss", "barn".into()),
        ),
        with("other-subject", "claim-value", "of another device", &|c| {
            other_payload()(c);
            c["sub"] = "pump-2".into();
        }),
        beside(
            "other-key",
            "clone-different-keys",
            "by another key",
            &said(MESSAGE, 5, &other_payload()),
        ),
        beside("forged", "signature", "a signature of zeros", &forged),
        beside(
            "login",
            "header-typ",
            "a login token",
            &said("edgeseal-login+jwt", 4, &other_payload()),
        ),
    ]
}

fn said(typ: &str, seed: u8, change: Change<'_>) -> String {
    let mut claims = json!({
        "iss": "farm", "sub": "pump-1", "aud": "domain:farm", "iat": NOW, "exp": NOW + 60,
        "jti": "7.1.42", "tsq": 12, "top": "site/pump-1/flow",
        "phs": BASE64URL_NOPAD.encode(&[1; 32]),
    });
    change(&mut claims);
    token(typ, &claims, seed)
}

fn other_payload() -> impl Fn(&mut Value) {
    set("phs", BASE64URL_NOPAD.encode(&[2; 32]).into())
}

const STATUS: &str = "edgeseal-status+jwt";
