//! Requests with a join token, join files, and requests for rotation.

use super::{Change, MESSAGE, NOW, key, named, same, set, token, without};
use crate::Named;
use crate::bundles::{document, jwk};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::document::DocumentType;
use serde_json::{Value, json};

pub fn joined() -> Vec<Named> {
    [join_requests(), join_claims(), join_times(), join_forms()].concat()
}

fn join_requests() -> Vec<Named> {
    let other_one_time = set("one_time", jwk(32));
    let bare = |p: &mut Value| {
        without("join")(p);
        without("one_time")(p);
    };
    vec![
        asks("honest", "accepted", "as it should be", &same, &[5, 31]),
        asks("without-token", "join-absent", "no join token", &bare, &[5]),
        asks(
            "one-signature",
            "threshold",
            "not signed by the one-time key",
            &same,
            &[5],
        ),
        asks(
            "other-signature",
            "threshold",
            "signed by the one-time key alone",
            &same,
            &[31],
        ),
        asks(
            "other-one-time",
            "join-one-time-key",
            "with a one-time key of its own",
            &other_one_time,
            &[5, 32],
        ),
        asks(
            "one-key",
            "duplicate-authority-key",
            "the one-time key as new key",
            &set("jwk", jwk(31)),
            &[31],
        ),
        asks(
            "without-device",
            "malformed",
            "a join token and no device",
            &without("device"),
            &[5, 31],
        ),
        asks(
            "without-domain",
            "malformed",
            "a join token and no domain",
            &without("domain"),
            &[5, 31],
        ),
        asks(
            "without-one-time",
            "malformed",
            "a join token and no one-time key",
            &without("one_time"),
            &[5, 31],
        ),
    ]
}

fn join_claims() -> Vec<Named> {
    vec![
        asks(
            "other-device",
            "join-device",
            "for another device",
            &set("device", "pump-2".into()),
            &[5, 31],
        ),
        asks(
            "other-serial",
            "join-serial",
            "on another board",
            &set("serial", "x".into()),
            &[5, 31],
        ),
        asks(
            "other-domain",
            "join-domain",
            "for another domain",
            &set("domain", "barn".into()),
            &[5, 31],
        ),
    ]
}

fn join_times() -> Vec<Named> {
    vec![
        with_token(
            "token-domain",
            "join-domain",
            "a token of another domain",
            &set("iss", "barn".into()),
        ),
        with_token(
            "token-expired",
            "join-expired",
            "expires now",
            &set("exp", NOW.into()),
        ),
        with_token(
            "token-iat-later",
            "accepted",
            "issued in the registrar's future",
            &|c| {
                c["iat"] = (NOW + 50).into();
            },
        ),
        with_token(
            "token-lifetime",
            "join-lifetime",
            "of 366 days and a second",
            &|c| {
                c["exp"] = (NOW - 100 + 366 * 86_400 + 1).into();
            },
        ),
        with_token(
            "token-backwards",
            "join-lifetime",
            "expires before it is issued",
            &set("iat", (NOW + 200).into()),
        ),
        with_token("token-open", "accepted", "for any device and board", &|c| {
            without("device")(c);
            without("serial")(c);
        }),
    ]
}

fn join_forms() -> Vec<Named> {
    let other_type = join_token(&same, MESSAGE, 3);
    let by_root = join_token(&same, JOIN, 1);
    vec![
        with_token(
            "token-claim-more",
            "join-claims",
            "a claim more",
            &set("admin", true.into()),
        ),
        with_token(
            "token-claim-less",
            "join-claims",
            "no roles",
            &without("roles"),
        ),
        with_token(
            "token-id-short",
            "join-claims",
            "an id of 120 bits",
            &set("jti", "BwcHBwcHBwcHBwcHBwcH".into()),
        ),
        with_token(
            "token-role-twice",
            "join-claims",
            "a role twice",
            &set("roles", json!(["pump", "pump"])),
        ),
        with_token(
            "token-null",
            "join-claims",
            "null for the device",
            &set("device", Value::Null),
        ),
        named(
            "token-typ",
            "join-token",
            "a token of another type",
            &request(&other_type, &same, &[5, 31]),
        ),
        named(
            "token-text",
            "join-token",
            "no token at all",
            &request("x", &same, &[5, 31]),
        ),
        named(
            "token-signer",
            "join-unknown-registrar",
            "a token that a root key signed",
            &request(&by_root, &same, &[5, 31]),
        ),
    ]
}

fn asks(name: &str, expect: &str, title: &str, change: Change<'_>, by: &[u8]) -> Named {
    named(name, expect, title, &request(&honest_token(), change, by))
}

fn with_token(name: &str, expect: &str, title: &str, change: Change<'_>) -> Named {
    let token = join_token(change, JOIN, 3);
    named(name, expect, title, &request(&token, &same, &[5, 31]))
}

pub fn join_files() -> Vec<Named> {
    [join_file_forms(), join_file_contents()].concat()
}

fn join_file_forms() -> Vec<Named> {
    let expired = join_token(
        &|c| {
            c["iat"] = 1.into();
            c["exp"] = 2.into();
        },
        JOIN,
        3,
    );
    let honest = join_file(&same);
    vec![
        with_join_file("honest", "accepted", "as it should be", &same),
        named(
            "spaced",
            "accepted",
            "with blanks and line ends around it",
            format!(" {honest}\r\n").as_bytes(),
        ),
        named(
            "cut-off",
            "join-file-form",
            "half of it",
            &honest.as_bytes()[..honest.len() / 2],
        ),
        named(
            "twice",
            "join-file-form",
            "the seed twice",
            honest.replacen('{', r#"{"seed":"x","#, 1).as_bytes(),
        ),
        with_join_file(
            "token-expired",
            "accepted",
            "a token long expired: the registrar judges that",
            &set("token", expired.into()),
        ),
        with_join_file(
            "format",
            "join-file-form",
            "format 2",
            &set("edgeseal_join", 2.into()),
        ),
        with_join_file(
            "member-more",
            "join-file-form",
            "a member more",
            &set("x", 1.into()),
        ),
        with_join_file(
            "broker-member",
            "join-file-form",
            "a member more of the broker",
            &|f| f["broker"]["port"] = 1.into(),
        ),
        with_join_file(
            "broker-null",
            "join-file-form",
            "null for the certificates",
            &|f| f["broker"]["ca"] = Value::Null,
        ),
        with_join_file("url-empty", "join-file-form", "no URL", &|f| {
            f["broker"]["url"] = "".into()
        }),
    ]
}

fn join_file_contents() -> Vec<Named> {
    let barn = join_token(&set("iss", "barn".into()), JOIN, 3);
    vec![
        with_join_file(
            "root-unsigned",
            "join-file-root",
            "a root that nobody signed",
            &set("root", join_root(&[])),
        ),
        with_join_file(
            "root-stranger",
            "join-file-root",
            "a root signed by another key",
            &set("root", join_root(&[2])),
        ),
        with_join_file(
            "token-signer",
            "join-file-token",
            "a token that is not the registrar's",
            &set("token", join_token(&same, JOIN, 9).into()),
        ),
        with_join_file(
            "token-domain",
            "join-file-domain",
            "a token of another domain",
            &set("token", barn.into()),
        ),
        with_join_file(
            "seed-other",
            "join-file-seed-mismatch",
            "the seed of another key",
            &set("seed", BASE64URL_NOPAD.encode(&[32; 32]).into()),
        ),
        with_join_file(
            "seed-short",
            "join-file-seed",
            "31 octets",
            &set("seed", BASE64URL_NOPAD.encode(&[31; 31]).into()),
        ),
    ]
}

fn join_root(by: &[u8]) -> Value {
    let payload = json!({
        "format": 1, "domain": "farm", "version": 1, "iat": NOW - 1000, "exp": NOW + 1000,
        "root": { "threshold": 1, "keys": [jwk(1)] },
        "registrar": { "threshold": 1, "keys": [jwk(3)] },
    });
    let octets = document(DocumentType::Root, payload.to_string().as_bytes(), by);
    Value::from(String::from_utf8(octets).unwrap())
}

fn join_file(change: Change<'_>) -> String {
    let mut file = json!({
        "edgeseal_join": 1, "root": join_root(&[1]),
        "broker": { "url": "mqtts://broker.example:8883", "username": "joiner", "password": "x" },
        "token": honest_token(), "seed": BASE64URL_NOPAD.encode(&[31; 32]),
    });
    change(&mut file);
    file.to_string()
}

fn with_join_file(name: &str, expect: &str, title: &str, change: Change<'_>) -> Named {
    named(name, expect, title, join_file(change).as_bytes())
}

pub fn rotations() -> Vec<Named> {
    [rotation_signers(), rotation_contents()].concat()
}

fn rotation_signers() -> Vec<Named> {
    vec![
        with_rotation("honest", "accepted", "as it should be", &same, &[5, 4]),
        with_rotation(
            "without-iat",
            "accepted",
            "no clock",
            &without("iat"),
            &[5, 4],
        ),
        with_rotation(
            "old-alone",
            "threshold",
            "not signed by the new key",
            &same,
            &[4],
        ),
        with_rotation(
            "new-alone",
            "threshold",
            "not signed by the old key",
            &same,
            &[5],
        ),
        with_rotation(
            "one-key",
            "duplicate-authority-key",
            "the old key as new key",
            &set("jwk", jwk(4)),
            &[4],
        ),
        with_rotation(
            "other-old",
            "rotation-unknown-key",
            "a key that is not known",
            &set("old", key(6).public().id().to_string().into()),
            &[5, 6],
        ),
    ]
}

fn rotation_contents() -> Vec<Named> {
    let enrollment = document(
        DocumentType::Request,
        rotation_payload(&same).as_bytes(),
        &[5, 4],
    );
    vec![
        with_rotation(
            "other-device",
            "rotation-device",
            "the key of another device",
            &set("device", "pump-2".into()),
            &[5, 4],
        ),
        with_rotation(
            "other-domain",
            "rotation-domain",
            "for another domain",
            &set("domain", "barn".into()),
            &[5, 4],
        ),
        with_rotation(
            "format",
            "format-unknown",
            "format 2",
            &set("format", 2.into()),
            &[5, 4],
        ),
        with_rotation(
            "member-more",
            "malformed",
            "asks for a role",
            &set("roles", json!(["admin"])),
            &[5, 4],
        ),
        with_rotation(
            "private",
            "key-private",
            "a private key in it",
            &|p| p["jwk"]["d"] = "AA".into(),
            &[5, 4],
        ),
        named(
            "typ-request",
            "header-typ",
            "the typ of an enrollment request",
            &enrollment,
        ),
    ]
}

fn rotation_payload(change: Change<'_>) -> String {
    let mut payload = json!({
        "format": 1, "domain": "farm", "device": "pump-1", "old": key(4).public().id(),
        "jwk": jwk(5), "iat": NOW,
    });
    change(&mut payload);
    payload.to_string()
}

fn with_rotation(name: &str, expect: &str, title: &str, change: Change<'_>, by: &[u8]) -> Named {
    let octets = document(
        DocumentType::Rotation,
        rotation_payload(change).as_bytes(),
        by,
    );
    named(name, expect, title, &octets)
}

fn join_token(change: Change<'_>, typ: &str, by: u8) -> String {
    let mut claims = json!({
        "iss": "farm", "jti": "BwcHBwcHBwcHBwcHBwcHBw", "iat": NOW - 100, "exp": NOW + 100,
        "cnf": { "jkt": key(31).public().id() }, "roles": ["pump"], "groups": ["pumps"],
        "device": "pump-1", "serial": "10000000abcdef01",
    });
    change(&mut claims);
    token(typ, &claims, by)
}

fn honest_token() -> String {
    join_token(&same, JOIN, 3)
}

fn request(token: &str, change: Change<'_>, by: &[u8]) -> Vec<u8> {
    let mut payload = json!({
        "format": 1, "domain": "farm", "device": "pump-1", "jwk": jwk(5),
        "serial": "10000000abcdef01", "join": token, "one_time": jwk(31),
    });
    change(&mut payload);
    document(DocumentType::Request, payload.to_string().as_bytes(), by)
}

const JOIN: &str = "edgeseal-join+jwt";
