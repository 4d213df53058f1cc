//! The vectors of public keys as JWK.

use super::bundles::{jwk, key};
use super::{Named, Vector};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    let mut all = members();
    all.extend(points());
    all.extend(texts());
    all
}

fn changed(name: &str, expect: &str, title: &str, change: &dyn Fn(&mut Value)) -> Named {
    let mut jwk = jwk(7);
    change(&mut jwk);
    (
        name.to_owned(),
        Vector::new(expect, title, jwk.to_string().as_bytes()),
    )
}

fn members() -> Vec<Named> {
    [kinds(), secrets_and_names()].concat()
}

fn kinds() -> Vec<Named> {
    vec![
        changed("honest", "accepted", "as it should be", &|_| {}),
        without("honest-without-kid", "accepted", "without kid", "kid"),
        set(
            "honest-use",
            "accepted",
            "for signatures",
            "use",
            "sig".into(),
        ),
        set(
            "honest-other",
            "accepted",
            "a member that others define",
            "x5t",
            "a".into(),
        ),
        set("kty-rsa", "key-kty", "kty RSA", "kty", "RSA".into()),
        set("kty-oct", "key-kty", "a symmetric key", "kty", "oct".into()),
        set("kty-number", "key-kty", "kty as a number", "kty", 7.into()),
        without("without-kty", "key-kty", "no kty", "kty"),
        set(
            "crv-ed448",
            "key-crv",
            "another curve",
            "crv",
            "Ed448".into(),
        ),
        set(
            "crv-x25519",
            "key-crv",
            "a curve for key agreement",
            "crv",
            "X25519".into(),
        ),
        without("without-crv", "key-crv", "no crv", "crv"),
        set("alg-hs256", "key-alg", "alg HS256", "alg", "HS256".into()),
        set("alg-none", "key-alg", "alg none", "alg", "none".into()),
        set("use-enc", "key-use", "for encryption", "use", "enc".into()),
        set("key-ops", "key-use", "key_ops", "key_ops", json!(["sign"])),
    ]
}

fn secrets_and_names() -> Vec<Named> {
    let padded = format!("{}=", jwk(7)["x"].as_str().unwrap());
    vec![
        set("private", "key-private", "a private key", "d", "AA".into()),
        set("private-null", "key-private", "d is null", "d", Value::Null),
        set(
            "kid-other",
            "key-thumbprint",
            "the kid of another key",
            "kid",
            super::bundles::jwk(9)["kid"].clone(),
        ),
        set(
            "kid-short",
            "key-malformed",
            "kid is no thumbprint",
            "kid",
            "a".into(),
        ),
        set(
            "kid-null",
            "key-malformed",
            "kid is null",
            "kid",
            Value::Null,
        ),
        set(
            "x-padded",
            "key-malformed",
            "x with padding",
            "x",
            padded.into(),
        ),
        set("x-number", "key-malformed", "x as a number", "x", 7.into()),
        without("without-x", "key-malformed", "no x", "x"),
    ]
}

fn set(name: &str, expect: &str, title: &str, member: &'static str, value: Value) -> Named {
    changed(name, expect, title, &|jwk| jwk[member] = value.clone())
}

fn without(name: &str, expect: &str, title: &str, member: &'static str) -> Named {
    changed(name, expect, title, &|jwk| {
        jwk.as_object_mut().unwrap().remove(member);
    })
}

fn points() -> Vec<Named> {
    let x = |name: &str, expect, title: &str, octets: &[u8]| {
        let x = BASE64URL_NOPAD.encode(octets);
        changed(name, expect, title, &|jwk| {
            *jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        })
    };
    let good = key(7).public().octets();
    let mut above_p = [0xff; 32];
    (above_p[0], above_p[31]) = (0xee, 0x7f); // p + 1, which is 1 again
    let mixed = CompressedEdwardsY(good).decompress().unwrap() + EIGHT_TORSION[1];
    let mut off_curve = good;
    while CompressedEdwardsY(off_curve).decompress().is_some() {
        off_curve[0] = off_curve[0].wrapping_add(1);
    }
    let mut all = vec![
        x("length-0", "key-length", "no octet", &[]),
        x("length-31", "key-length", "31 octets", &good[1..]),
        x(
            "length-33",
            "key-length",
            "33 octets",
            &[&good[..], &[0]].concat(),
        ),
        x(
            "non-canonical",
            "key-non-canonical",
            "the other encoding of a point",
            &above_p,
        ),
        x(
            "mixed-order",
            "key-mixed-order",
            "a point with a part of small order",
            mixed.compress().as_bytes(),
        ),
        x(
            "not-a-point",
            "key-not-a-point",
            "no point of the curve",
            &off_curve,
        ),
    ];
    for (number, point) in EIGHT_TORSION.iter().enumerate() {
        let (name, title) = (
            format!("small-order-{number}"),
            format!("point {number} of small order"),
        );
        all.push(x(
            &name,
            "key-small-order",
            &title,
            point.compress().as_bytes(),
        ));
    }
    all
}

fn texts() -> Vec<Named> {
    let good = jwk(7).to_string();
    let text = |name: &str, title, octets: &[u8]| {
        (name.to_owned(), Vector::new("key-malformed", title, octets))
    };
    vec![
        text("empty", "nothing", b""),
        text("cut-off", "half of it", &good.as_bytes()[..good.len() / 2]),
        text("array", "a list of one key", format!("[{good}]").as_bytes()),
        text("trailing", "two keys", format!("{good}{good}").as_bytes()),
        text(
            "duplicate-x",
            "x twice",
            good.replacen("{", r#"{"x":"AA","#, 1).as_bytes(),
        ),
        text("not-utf8", "octets that are not UTF-8", b"{\"kty\xff\":1}"),
        text(
            "deep",
            "a thousand lists in each other",
            format!("{{\"a\":{}", "[".repeat(1_000)).as_bytes(),
        ),
    ]
}
