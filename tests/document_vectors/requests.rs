//! The vectors of enrollment requests.

use super::bundles::{document, jwk};
use super::{Named, Vector};
use edgeseal_trust::document::DocumentType;
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    [files(), contents()].concat()
}

fn files() -> Vec<Named> {
    let good = document(DocumentType::Request, honest().to_string().as_bytes(), &[4]);
    let root = document(DocumentType::Root, honest().to_string().as_bytes(), &[4]);
    vec![
        written("honest", "accepted", "as it should be", &good),
        written(
            "honest-line-end",
            "accepted",
            "with a line end behind it",
            &[&good, b"\n".as_slice()].concat(),
        ),
        written(
            "cut-off",
            "malformed",
            "half of it",
            &good[..good.len() / 2],
        ),
        written("empty", "malformed", "nothing", b""),
        written(
            "not-utf8",
            "malformed",
            "octets that are not UTF-8",
            b"\xff\xfe{}",
        ),
        written(
            "size",
            "size",
            "16,385 octets",
            &[vec![b' '; 16_385 - good.len()], good.clone()].concat(),
        ),
        written("typ-root", "header-typ", "a root's typ", &root),
    ]
}

fn contents() -> Vec<Named> {
    vec![
        signed(
            "other-signer",
            "threshold",
            "signed by another key than the one in it",
            &[5],
            &|_| {},
        ),
        signed("unsigned", "threshold", "signed by nobody", &[], &|_| {}),
        signed(
            "format",
            "format-unknown",
            "format 2",
            &[4],
            &set("format", 2.into()),
        ),
        signed(
            "device-name",
            "malformed",
            "an id with a slash",
            &[4],
            &set("device", "pump/1".into()),
        ),
        signed(
            "domain-null",
            "malformed",
            "null for the domain",
            &[4],
            &set("domain", Value::Null),
        ),
        signed(
            "serial-empty",
            "text",
            "an empty serial",
            &[4],
            &set("serial", "".into()),
        ),
        signed(
            "role-asked",
            "malformed",
            "asks for a role",
            &[4],
            &set("roles", json!(["admin"])),
        ),
        signed(
            "private",
            "key-private",
            "a private key in it",
            &[4],
            &|p| p["jwk"]["d"] = "AA".into(),
        ),
        signed(
            "kid",
            "key-thumbprint",
            "the kid of another key",
            &[4],
            &|p| {
                p["jwk"]["kid"] = jwk(5)["kid"].clone();
            },
        ),
        signed("without-jwk", "malformed", "no key", &[4], &|p| {
            p.as_object_mut().unwrap().remove("jwk");
        }),
    ]
}

fn honest() -> Value {
    json!({
        "format": 1, "domain": "farm", "device": "pump-1", "jwk": jwk(4),
        "serial": "10000000abcdef01", "iat": 1_800_000_000_u64,
    })
}

fn written(name: &str, expect: &str, title: &str, octets: &[u8]) -> Named {
    (name.to_owned(), Vector::new(expect, title, octets))
}

fn signed(name: &str, expect: &str, title: &str, by: &[u8], change: &dyn Fn(&mut Value)) -> Named {
    let mut payload = honest();
    change(&mut payload);
    let octets = document(DocumentType::Request, payload.to_string().as_bytes(), by);
    written(name, expect, title, &octets)
}

fn set(member: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |p: &mut Value| p[member] = value.clone()
}
