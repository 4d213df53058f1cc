//! What roots and manifests may say.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::super::fixture::{key, manifest, root, shards, signed};
use super::super::{Authority, DocumentType, Signed};
use super::{code, judge_manifest, judge_root};
use crate::document::{Manifest, Root};
use crate::grant::Grant;
use crate::id::{GroupName, RoleName};
use crate::key::SigningKey;
use crate::limits;
use crate::time::UnixTime;
use data_encoding::BASE64URL_NOPAD;

type Change = fn(&str) -> String;

/// The code of a root, rightly signed, after a change to its payload.
fn root_code(change: impl Fn(&str) -> String) -> &'static str {
    let payload = String::from_utf8(root(1).to_payload().unwrap()).unwrap();
    let changed = change(&payload);
    code(judge_root(&signed(
        DocumentType::Root,
        changed.as_bytes(),
        &[1, 2],
    )))
}

fn manifest_code(change: impl Fn(&str) -> String) -> &'static str {
    let content = manifest(1, 7, &shards(&[], 2));
    let payload = String::from_utf8(content.to_payload().unwrap()).unwrap();
    let changed = change(&payload);
    code(judge_manifest(&signed(
        DocumentType::Manifest,
        changed.as_bytes(),
        &[11],
    )))
}

#[test]
fn a_payload_has_one_form() {
    let unchanged: [fn(&str) -> String; 3] = [
        |p| p.to_owned(),
        |p| format!(" {p}\n"),
        |p| {
            p.replace(r#","version":1"#, "")
                .replacen('{', r#"{"version":1,"#, 1)
        },
    ];
    for change in unchanged {
        assert_eq!(root_code(change), "accepted");
    }
    let changes: [(Change, &str); 12] = [
        (
            |p| p.replacen('{', r#"{"version":1,"#, 1),
            "duplicate-member",
        ),
        (
            |p| p.replace(r#""crv""#, r#""crv":"Ed25519","crv""#),
            "duplicate-member",
        ),
        (|p| p.replacen('{', r#"{"x":1,"#, 1), "malformed"),
        (|p| p.replace(r#""crv""#, r#""y":"","crv""#), "malformed"),
        (
            |p| p.replace(r#""format":1"#, r#""format":2,"news":[]"#),
            "format-unknown",
        ),
        (|p| p.replace(r#""format":1,"#, ""), "format-unknown"),
        (
            |p| p.replace(r#""format":1"#, r#""format":"1""#),
            "format-unknown",
        ),
        (
            |p| p.replace(r#""version":1"#, r#""version":1.0"#),
            "malformed",
        ),
        (
            |p| p.replace(r#""version":1"#, r#""version":-1"#),
            "malformed",
        ),
        (
            |p| p.replace(r#""version":1"#, r#""version":null"#),
            "malformed",
        ),
        (|p| p.replace("farm", "Farm"), "malformed"),
        (|p| format!("[{p}]"), "malformed"),
    ];
    for (change, expected) in changes {
        assert_eq!(root_code(change), expected);
    }
}

#[test]
fn a_root_keeps_its_rules() {
    let changes: [(Change, &str); 5] = [
        (|p| p.replace(r#""version":1"#, r#""version":0"#), "zero"),
        (|p| p.replace("1800000000", "1700000000"), "expiry"),
        (|p| p.replace("1800000000", "1700000001"), "accepted"),
        (
            |p| p.replace(r#""threshold":2"#, r#""threshold":0"#),
            "threshold-impossible",
        ),
        (
            |p| p.replace(r#""threshold":1"#, r#""threshold":3"#),
            "threshold-impossible",
        ),
    ];
    for (change, expected) in changes {
        assert_eq!(root_code(change), expected);
    }
    let bad = Root {
        version: 0,
        ..root(1)
    };
    assert_eq!(code(bad.to_payload()), "zero");
}

#[test]
fn an_authority_lists_each_key_once_and_can_reach_its_threshold() {
    let keys = |count: u8| -> Vec<_> { (1..=count).map(|n| key(n).public().clone()).collect() };
    let new = |threshold, keys| code(Authority::new(threshold, keys));
    assert_eq!(new(1, keys(1)), "accepted");
    assert_eq!(new(3, keys(3)), "accepted");
    assert_eq!(new(4, keys(3)), "threshold-impossible");
    assert_eq!(new(0, keys(3)), "threshold-impossible");
    assert_eq!(new(0, keys(0)), "threshold-impossible");
    assert_eq!(new(1, keys(0)), "threshold-impossible");
    assert_eq!(new(16, keys(16)), "accepted");
    assert_eq!(new(1, keys(17)), "too-many");
    let twice = [keys(2), keys(1)].concat();
    assert_eq!(new(2, twice), "duplicate-authority-key");
    assert_eq!(
        root_code(|p| {
            let one = key(1).public().clone();
            let two = key(2).public().clone();
            let name = |k: &crate::key::VerifyingKey| k.id().to_string();
            let x = |k: &crate::key::VerifyingKey| BASE64URL_NOPAD.encode(&k.octets());
            p.replace(&name(&two), &name(&one))
                .replace(&x(&two), &x(&one))
        }),
        "duplicate-authority-key"
    );
}

#[test]
fn a_key_in_a_document_is_judged_like_any_other() {
    let x = BASE64URL_NOPAD.encode(&key(1).public().octets());
    let kid = key(1).public().id().to_string();
    let zero = BASE64URL_NOPAD.encode(&[0; 32]);
    for (from, to, expected) in [
        (r#""kty":"OKP""#, r#""kty":"EC""#.to_owned(), "key-kty"),
        (
            r#""crv":"Ed25519""#,
            r#""crv":"X25519""#.to_owned(),
            "key-crv",
        ),
        (x.as_str(), zero, "key-small-order"),
        (x.as_str(), x[1..].to_owned(), "key-length"),
        (x.as_str(), format!("!{}", &x[1..]), "key-malformed"),
        (x.as_str(), String::new(), "key-length"),
        (x.as_str(), format!("{x}="), "key-malformed"),
        (
            kid.as_str(),
            key(9).public().id().to_string(),
            "key-thumbprint",
        ),
        (kid.as_str(), "x".to_owned(), "key-thumbprint"),
        (
            r#""kty":"OKP""#,
            r#""kty":"OKP","d":"AAAA""#.to_owned(),
            "key-private",
        ),
        (r#""kty":"OKP","#, String::new(), "malformed"),
    ] {
        assert_eq!(root_code(|p| p.replacen(from, &to, 1)), expected, "{to}");
    }
}

#[test]
fn a_manifest_keeps_its_rules() {
    let changes: [(Change, &str); 10] = [
        (|p| p.to_owned(), "accepted"),
        (|p| p.replace(r#""sequence":7"#, r#""sequence":0"#), "zero"),
        (
            |p| p.replace(r#""root_version":1"#, r#""root_version":0"#),
            "zero",
        ),
        (|p| p.replace("1800000000", "1699999999"), "expiry"),
        (
            |p| p.replace(r#""shed""#, r#""shed","shed""#),
            "duplicate-name",
        ),
        (|p| p.replace(r#""grants""#, r#""grant""#), "malformed"),
        (
            |p| p.replace("site/{device}/temp", "edgeseal/x"),
            "malformed",
        ),
        (
            |p| p.replace(r#""groups":["shed"]"#, r#""groups":["a/b"]"#),
            "malformed",
        ),
        (
            |p| {
                p.replace(
                    r#"{"publish":["site/{device}/temp"],"audiences":["domain"]}"#,
                    r#"[["a"],["domain"]]"#,
                )
            },
            "malformed",
        ),
        (
            |p| p.replace(r#""shards":[""#, r#""shards":["A"#),
            "malformed",
        ),
    ];
    for (change, expected) in changes {
        assert_eq!(manifest_code(change), expected);
    }
}

fn check(change: impl FnOnce(&mut Manifest)) -> &'static str {
    let mut content = manifest(1, 7, &shards(&[], 2));
    change(&mut content);
    let written = content.to_payload();
    if let Ok(payload) = &written {
        assert_eq!(Manifest::from_payload(payload).unwrap(), content);
    }
    code(written)
}

#[test]
fn grants_stay_below_the_ceilings() {
    let day = 86_400;
    let with = |grant: Grant| {
        check(|m| {
            let topics = m.roles[0].grants[0].clone();
            m.roles[0].grants[0] = Grant {
                publish: topics.publish,
                audiences: topics.audiences,
                ..grant
            };
        })
    };
    let message = |lifetime_seconds| Grant {
        lifetime_seconds,
        ..Grant::default()
    };
    let retained = |retained_seconds| Grant {
        retained_seconds,
        ..Grant::default()
    };
    let will = |will_seconds| Grant {
        will_seconds,
        ..Grant::default()
    };
    for (grant, expected) in [
        (message(Some(30 * day)), "accepted"),
        (message(Some(30 * day + 1)), "grant-ceiling"),
        (message(Some(0)), "grant-ceiling"),
        (retained(Some(365 * day)), "accepted"),
        (retained(Some(365 * day + 1)), "grant-ceiling"),
        (retained(Some(0)), "grant-ceiling"),
        (will(Some(30 * day)), "accepted"),
        (will(Some(30 * day + 1)), "grant-ceiling"),
        (will(Some(0)), "grant-ceiling"),
    ] {
        assert_eq!(with(grant.clone()), expected, "{grant:?}");
    }
}

#[test]
fn a_manifest_is_bounded() {
    let roles = |count: usize| {
        check(|m| {
            let role = m.roles[0].clone();
            let name = |n| RoleName::parse(&format!("r{n}")).unwrap();
            m.roles = (0..count)
                .map(|n| crate::registry::Role {
                    name: name(n),
                    ..role.clone()
                })
                .collect();
        })
    };
    assert_eq!(roles(limits::ROLES), "accepted");
    assert_eq!(roles(limits::ROLES + 1), "too-many");
    let groups = |count: usize| {
        check(|m| {
            let name = |n| GroupName::parse(&format!("g{n}")).unwrap();
            m.groups = (0..count).map(name).collect();
        })
    };
    assert_eq!(groups(limits::ROLES), "accepted");
    assert_eq!(groups(limits::ROLES + 1), "too-many");
    let grants =
        |count: usize| check(|m| m.roles[0].grants = vec![m.roles[0].grants[0].clone(); count]);
    assert_eq!(grants(limits::GRANTS), "accepted");
    assert_eq!(grants(limits::GRANTS + 1), "too-many");
    assert_eq!(
        check(|m| m.roles.push(m.roles[0].clone())),
        "duplicate-name"
    );
    assert_eq!(check(|m| m.shards[1] = m.shards[0]), "duplicate-name");
    for (count, expected) in [
        (0, "shard-count"),
        (1, "accepted"),
        (3, "shard-count"),
        (4096, "accepted"),
        (8192, "shard-count"),
    ] {
        let found = check(|m| {
            let digest = |n: u32| crate::document::Digest::of(&n.to_be_bytes());
            m.shards = (0..count).map(digest).collect();
        });
        assert_eq!(found, expected, "{count}");
    }
    assert_eq!(
        check(|m| m.expires_at = UnixTime::from_seconds(0)),
        "expiry"
    );
}

#[test]
fn the_largest_manifest_fits_its_limit() {
    let mut content = manifest(1, u64::MAX, &[]);
    content.shards = (0..limits::SHARDS)
        .map(|n| crate::document::Digest::of(&n.to_be_bytes()))
        .collect();
    let keys: Vec<SigningKey> = (1..=16).map(key).collect();
    let payload = content.to_payload().unwrap();
    let octets = crate::document::sign(
        DocumentType::Manifest,
        &payload,
        &keys.iter().collect::<Vec<_>>(),
    );
    assert!(octets.len() < limits::MANIFEST_OCTETS / 2);
    assert_eq!(code(judge_manifest(&octets)), "accepted");
}
