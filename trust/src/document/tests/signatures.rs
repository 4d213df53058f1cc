//! The signed form, and thresholds.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::super::fixture::{authority, key, root, signed, signed_root};
use super::super::{DocumentType, Unverified, add_signatures, sign, verify};
use super::{code, judge_root};
use crate::document::{Document, Root};
use crate::limits;
use data_encoding::BASE64URL_NOPAD;

/// A document with one signature whose header is `header`, signed rightly by root key 1.
fn with_header(header: &str) -> Vec<u8> {
    with_header_octets(header.as_bytes())
}

fn with_header_octets(header: &[u8]) -> Vec<u8> {
    let payload = BASE64URL_NOPAD.encode(&root(1).to_payload().unwrap());
    let protected = BASE64URL_NOPAD.encode(header);
    let signature = key(1).sign(format!("{protected}.{payload}").as_bytes());
    let signature = BASE64URL_NOPAD.encode(&signature);
    format!(
        r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#
    )
    .into_bytes()
}

fn judge_one(octets: &[u8]) -> &'static str {
    code(Document::<Root>::verified(octets, &authority(1, &[1, 2])))
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap()
}

#[test]
fn a_threshold_is_met_by_different_keys_only() {
    let payload = root(1).to_payload().unwrap();
    let by = |seeds: &[u8]| code(judge_root(&signed(DocumentType::Root, &payload, seeds)));
    assert_eq!(by(&[1, 2]), "accepted");
    assert_eq!(by(&[3, 1]), "accepted");
    assert_eq!(by(&[1, 2, 3]), "accepted");
    assert_eq!(by(&[]), "threshold");
    assert_eq!(by(&[1]), "threshold");
    assert_eq!(by(&[1, 1]), "duplicate-signature");
    // registrar and unknown keys do not count, and do no harm
    assert_eq!(by(&[1, 11, 12, 99]), "threshold");
    assert_eq!(by(&[99, 1, 11, 2]), "accepted");
}

#[test]
fn a_wrong_signature_by_a_key_that_counts_refuses_although_enough_others_are_right() {
    let payload = root(1).to_payload().unwrap();
    let good = text(signed(DocumentType::Root, &payload, &[1, 2, 3]));
    let other = text(signed(DocumentType::Root, b"{}", &[3]));
    let signature = |document: &str| {
        let at = document.rfind(r#""signature":""#).unwrap();
        document[at..].to_owned()
    };
    let wrong = good.replace(&signature(&good), &signature(&other));
    assert_eq!(code(judge_root(wrong.as_bytes())), "signature");
    // the same by a key that does not count is passed over
    let good = text(signed(DocumentType::Root, &payload, &[1, 2, 99]));
    let other = text(signed(DocumentType::Root, b"{}", &[99]));
    let wrong = good.replace(&signature(&good), &signature(&other));
    assert_eq!(code(judge_root(wrong.as_bytes())), "accepted");
}

#[test]
fn signatures_can_be_stripped_or_missing_but_never_count_then() {
    let good = text(signed_root(&root(1), &[1, 2]));
    let at = good.find(r#","signatures""#).unwrap();
    for (stripped, expected) in [
        (format!(r#"{},"signatures":[]}}"#, &good[..at]), "threshold"),
        (format!("{}}}", &good[..at]), "malformed"),
        (
            format!(r#"{},"signatures":null}}"#, &good[..at]),
            "malformed",
        ),
        (
            format!(r#"{},"signatures":{{}}}}"#, &good[..at]),
            "malformed",
        ),
    ] {
        assert_eq!(
            code(judge_root(stripped.as_bytes())),
            expected,
            "{stripped}"
        );
    }
}

#[test]
fn at_most_sixteen_signatures_are_looked_at() {
    let payload = root(1).to_payload().unwrap();
    let seeds: Vec<u8> = (1..=17).collect();
    let document = |count: usize| signed(DocumentType::Root, &payload, &seeds[..count]);
    assert_eq!(code(judge_root(&document(limits::SIGNATURES))), "accepted");
    assert_eq!(
        code(judge_root(&document(limits::SIGNATURES + 1))),
        "too-many"
    );
    let one_more = key(17);
    let full = document(limits::SIGNATURES);
    assert_eq!(
        code(add_signatures(&full, DocumentType::Root, &[&one_more])),
        "too-many"
    );
}

#[test]
fn signatures_are_added_one_place_after_the_other() {
    let first = signed_root(&root(1), &[1]);
    assert_eq!(code(judge_root(&first)), "threshold");
    let (one, two) = (key(1), key(2));
    let both = add_signatures(&first, DocumentType::Root, &[&two]).unwrap();
    assert_eq!(code(judge_root(&both)), "accepted");
    let again = add_signatures(&both, DocumentType::Root, &[&one, &two]).unwrap();
    assert_eq!(again, both);
    assert_eq!(both, signed_root(&root(1), &[1, 2]));
    let manifest = add_signatures(&both, DocumentType::Manifest, &[&one]);
    assert_eq!(code(manifest), "header-typ");
}

#[test]
fn a_protected_header_is_exactly_alg_typ_and_kid() {
    let kid = key(1).public().id();
    let header = |alg: &str, typ: &str| format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#);
    let typ = "edgeseal-root+json";
    assert_eq!(judge_one(&with_header(&header("EdDSA", typ))), "accepted");
    for alg in ["none", "None", "HS256", "Ed25519", "eddsa", ""] {
        assert_eq!(judge_one(&with_header(&header(alg, typ))), "header-alg");
    }
    for typ in [
        "edgeseal-manifest+json",
        "edgeseal-request+json",
        "edgeseal-msg+jwt",
        "JWT",
        "edgeseal-root+JSON",
        "",
    ] {
        assert_eq!(judge_one(&with_header(&header("EdDSA", typ))), "header-typ");
    }
    let rest = format!(r#""typ":"{typ}","kid":"{kid}""#);
    for (header, expected) in [
        (format!("{{{rest}}}"), "header-members"),
        (
            format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
            "header-members",
        ),
        (
            format!(r#"{{"alg":"EdDSA","typ":"{typ}"}}"#),
            "header-members",
        ),
        (
            format!(r#"{{"alg":"EdDSA","crit":["x"],{rest}}}"#),
            "header-members",
        ),
        (
            format!(r#"{{"alg":"EdDSA","b64":"false",{rest}}}"#),
            "header-members",
        ),
        (
            format!(r#"{{"alg":"EdDSA","jwk":"x",{rest}}}"#),
            "header-members",
        ),
        (format!(r#"{{"alg":["EdDSA"],{rest}}}"#), "header-members"),
        (
            format!(r#"{{"alg":"EdDSA","alg":"EdDSA",{rest}}}"#),
            "duplicate-member",
        ),
        (
            format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"x"}}"#),
            "header-kid",
        ),
        (
            format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}="}}"#),
            "header-kid",
        ),
        (format!(r#"[{{"alg":"EdDSA",{rest}}}]"#), "header-members"),
        (String::new(), "header-members"),
    ] {
        assert_eq!(judge_one(&with_header(&header)), expected, "{header}");
    }
    assert_eq!(
        judge_one(&with_header_octets(b"{\"alg\":\"\xff\"}")),
        "header-members"
    );
}

#[test]
fn an_unprotected_header_is_refused_whatever_it_says() {
    let good = text(signed_root(&root(1), &[1, 2]));
    for header in ["{}", r#"{"alg":"EdDSA"}"#, "1", "[]"] {
        let with = good.replacen(
            r#"{"protected""#,
            &format!(r#"{{"header":{header},"protected""#),
            1,
        );
        assert_eq!(code(judge_root(with.as_bytes())), "header-unprotected");
    }
    let with = good.replacen(r#"{"protected""#, r#"{"header":null,"protected""#, 1);
    assert_eq!(code(judge_root(with.as_bytes())), "malformed");
}

#[test]
fn base64url_has_one_spelling() {
    let good = text(signed_root(&root(1), &[1, 2]));
    let ends = |name: &str| {
        let at = good.find(&format!(r#""{name}":""#)).unwrap();
        let start = at + name.len() + 4;
        start + good[start..].find('"').unwrap()
    };
    for name in ["payload", "protected", "signature"] {
        let end = ends(name);
        for tail in ["=", "==", "A", " ", "+", "/", "\\n"] {
            let spoilt = format!("{}{tail}{}", &good[..end], &good[end..]);
            let code = code(judge_root(spoilt.as_bytes()));
            // one character more can be the beginning of another octet: then the octets differ
            let refused = ["encoding", "malformed", "signature", "header-members"];
            assert!(refused.contains(&code), "{name}{tail}: {code}");
        }
    }
    // 64 octets end in a character with four bits to spare: set, they are another spelling
    let end = ends("signature");
    let last = good.as_bytes()[end - 1];
    let next = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = next.iter().position(|c| *c == last).unwrap();
    let spoilt = format!(
        "{}{}{}",
        &good[..end - 1],
        char::from(next[place + 1]),
        &good[end..]
    );
    assert_eq!(code(judge_root(spoilt.as_bytes())), "encoding");
}

#[test]
fn the_outer_form_is_strict() {
    let good = text(signed_root(&root(1), &[1, 2]));
    let with = |from: &str, to: &str| code(judge_root(good.replacen(from, to, 1).as_bytes()));
    assert_eq!(
        with(r#"{"payload""#, r#"{"payload":"","payload""#),
        "duplicate-member"
    );
    assert_eq!(with(r#"{"payload""#, r#"{"x":1,"payload""#), "malformed");
    assert_eq!(
        with(r#"{"protected""#, r#"{"x":1,"protected""#),
        "malformed"
    );
    assert_eq!(with(r#""payload""#, r#""payloads""#), "malformed");
    let parts: Vec<&str> = good.split('"').collect();
    let array = format!(r#"["{}",[["{}","{}"]]]"#, parts[3], parts[9], parts[13]);
    assert_eq!(code(judge_root(array.as_bytes())), "malformed");
    let inner = format!(
        r#"{{"payload":"{}","signatures":[["{}","{}"]]}}"#,
        parts[3], parts[9], parts[13]
    );
    assert_eq!(code(judge_root(inner.as_bytes())), "malformed");
    for hostile in [
        String::new(),
        "null".into(),
        format!("{good}{good}"),
        format!("{good}x"),
        format!("\u{feff}{good}"),
        "[".repeat(60_000),
        format!(r#"{{"payload":{}"#, r#"{"a":"#.repeat(10_000)),
        format!(
            r#"{{"payload":"","signatures":{}{}}}"#,
            "[".repeat(100),
            "]".repeat(100)
        ),
    ] {
        assert_eq!(
            code(judge_root(hostile.as_bytes())),
            "malformed",
            "{hostile:.60}"
        );
    }
    let mut octets = good.clone().into_bytes();
    octets[20] = 0xff;
    assert_eq!(code(judge_root(&octets)), "malformed");
}

#[test]
fn a_document_has_at_most_the_octets_of_its_kind() {
    for kind in [
        DocumentType::Manifest,
        DocumentType::Request,
        DocumentType::Root,
    ] {
        let mut octets = sign(kind, b"{}", &[&key(1)]);
        octets.resize(kind.octets(), b' ');
        assert_eq!(code(Unverified::parse(&octets, kind)), "accepted");
        octets.push(b' ');
        assert_eq!(code(Unverified::parse(&octets, kind)), "size");
    }
}

#[test]
fn the_payload_is_out_of_reach_without_the_signatures() {
    let octets = signed_root(&root(1), &[1]);
    let document = Unverified::parse(&octets, DocumentType::Root).unwrap();
    assert_eq!(code(verify(&document, &authority(2, &[1, 2]))), "threshold");
    assert_eq!(
        verify(&document, &authority(1, &[1, 2])).unwrap(),
        root(1).to_payload().unwrap()
    );
    let kids: Vec<_> = document.kids().collect();
    assert_eq!(kids, [key(1).public().id()]);
}
