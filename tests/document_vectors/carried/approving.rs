//! Approvals, of which two of the registrar keys with the seeds 3 and 5 must sign.

use super::{Change, key, named, same, set, without};
use crate::Named;
use crate::bundles::document;
use edgeseal_trust::document::DocumentType;
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    [files(), signatures(), contents(), subjects()].concat()
}

/// A device `door-1`, with the key of seed 4, gets the role `door`.
fn payload(change: Change<'_>) -> Value {
    let mut payload = json!({
        "format": 1, "domain": "farm", "root_version": 1, "number": 7, "needed": 2,
        "device": { "id": "door-1", "kid": key(4).public().id().to_string(), "roles": ["door"] },
    });
    change(&mut payload);
    payload
}

fn signed(by: &[u8], change: Change<'_>) -> Vec<u8> {
    let payload = payload(change).to_string();
    document(DocumentType::Approval, payload.as_bytes(), by)
}

fn with(name: &str, expect: &str, title: &str, change: Change<'_>) -> Named {
    named(name, expect, title, &signed(BOTH, change))
}

fn files() -> Vec<Named> {
    let good = signed(BOTH, &same);
    let manifest = payload(&same).to_string();
    let manifest = document(DocumentType::Manifest, manifest.as_bytes(), BOTH);
    let long = [vec![b' '; 262_145 - good.len()], good.clone()].concat();
    vec![
        named("honest", "accepted", "as it should be", &good),
        named("empty", "malformed", "nothing", b""),
        named(
            "cut-off",
            "malformed",
            "half of it",
            &good[..good.len() / 2],
        ),
        named(
            "cut-off-end",
            "malformed",
            "all but its last octet",
            &good[..good.len() - 1],
        ),
        named(
            "twice",
            "malformed",
            "two of them on one line",
            &[good.clone(), good.clone()].concat(),
        ),
        named(
            "not-utf8",
            "malformed",
            "octets that are not UTF-8",
            b"\xff\xfe{}",
        ),
        named("size", "size", "262,145 octets", &long),
        named("typ-manifest", "header-typ", "a manifest's typ", &manifest),
    ]
}

fn signatures() -> Vec<Named> {
    let by = |name, expect, title, by: &[u8]| named(name, expect, title, &signed(by, &same));
    let altered = |name, title, which: usize, change: Change<'_>| {
        let mut object: Value = serde_json::from_slice(&signed(BOTH, &same)).unwrap();
        change(match which {
            0 => &mut object,
            which => &mut object["signatures"][which - 1],
        });
        named(name, "signature", title, object.to_string().as_bytes())
    };
    let other = payload(&|p| p["device"]["id"] = "door-2".into()).to_string();
    let other = data_encoding::BASE64URL_NOPAD.encode(other.as_bytes());
    let elsewhere: Value =
        serde_json::from_slice(&signed(BOTH, &set("domain", "barn".into()))).unwrap();
    let elsewhere = elsewhere["signatures"][1]["signature"].clone();
    vec![
        by("unsigned", "threshold", "signed by nobody", &[]),
        by("one", "threshold", "signed by one of two", &[3]),
        by(
            "one-twice",
            "duplicate-signature",
            "signed by one, twice",
            &[3, 3],
        ),
        by(
            "stranger",
            "threshold",
            "one of two, and a key that is none of theirs",
            &[3, 9],
        ),
        by(
            "stranger-more",
            "accepted",
            "both, and a key that is none of theirs",
            &[3, 5, 9],
        ),
        altered(
            "payload",
            "another device under the same signatures",
            0,
            &set("payload", other.into()),
        ),
        altered(
            "signature",
            "the second signature is of zeros",
            2,
            &set("signature", "A".repeat(86).into()),
        ),
        altered(
            "signature-of-another-domain",
            "the second signature is of the same approval in another domain",
            2,
            &set("signature", elsewhere),
        ),
    ]
}

fn contents() -> Vec<Named> {
    vec![
        with(
            "format",
            "format-unknown",
            "format 2",
            &set("format", 2.into()),
        ),
        with("number", "zero", "number 0", &set("number", 0.into())),
        with(
            "needed",
            "zero",
            "no approval is needed",
            &set("needed", 0.into()),
        ),
        with(
            "root-version",
            "zero",
            "root version 0",
            &set("root_version", 0.into()),
        ),
        with(
            "number-negative",
            "malformed",
            "a negative number",
            &set("number", (-1).into()),
        ),
        with(
            "needed-long",
            "malformed",
            "more approvals than 32 bits count",
            &set("needed", (1_u64 << 32).into()),
        ),
        with(
            "domain-name",
            "malformed",
            "a domain in upper case",
            &set("domain", "FARM".into()),
        ),
        with(
            "member-more",
            "malformed",
            "a member more",
            &set("by", "anna".into()),
        ),
        with(
            "without-number",
            "malformed",
            "no number",
            &without("number"),
        ),
    ]
}

fn subjects() -> Vec<Named> {
    let rule = json!({ "role": { "name": "door" }, "approvals": 0 });
    let roles = |name, expect, title, roles: Value| {
        with(name, expect, title, &|p| {
            p["device"]["roles"] = roles.clone()
        })
    };
    let many: Vec<String> = (0..100).map(|number| format!("role-{number:03}")).collect();
    let granting = rule.clone();
    vec![
        with("rule", "accepted", "the rule of a role ends", &|p| {
            without("device")(p);
            p["rule"] = rule.clone();
        }),
        with("rule-and-device", "malformed", "two subjects", &|p| {
            p["rule"] = rule.clone();
        }),
        with(
            "rule-grants-empty",
            "malformed",
            "an empty list where none belongs",
            &|p| {
                without("device")(p);
                p["rule"] = rule.clone();
                p["rule"]["role"]["grants"] = json!([]);
            },
        ),
        with("nothing", "malformed", "no subject", &without("device")),
        with("rule-grant", "malformed", "a grant that is none", &|p| {
            without("device")(p);
            p["rule"] = granting.clone();
            p["rule"]["role"]["grants"] = json!([{ "publish": "#" }]);
        }),
        roles("roles-none", "malformed", "no role", json!([])),
        roles(
            "roles-order",
            "malformed",
            "roles that are not sorted",
            json!(["door", "barn"]),
        ),
        roles(
            "roles-twice",
            "duplicate-name",
            "a role twice",
            json!(["door", "door"]),
        ),
        roles("roles-many", "too-many", "100 roles", json!(many)),
        with("device-name", "malformed", "an id with a slash", &|p| {
            p["device"]["id"] = "door/1".into();
        }),
        with("kid", "malformed", "a kid that is cut off", &|p| {
            p["device"]["kid"] = "fT5ZK4wI3eWuNbpsyjknoXEKPQ7hkYL2yt".into();
        }),
    ]
}

const BOTH: &[u8] = &[3, 5];
