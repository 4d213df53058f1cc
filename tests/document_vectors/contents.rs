//! The vectors of what roots and manifests say.

use super::Named;
use super::bundles::{Bundle, document, jwk, of_lines};
use edgeseal_trust::document::DocumentType;
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    let mut all = roots();
    all.extend(manifests());
    all.extend(texts());
    all
}

fn roots() -> Vec<Named> {
    let root = |name, expect, title, change: &dyn Fn(&mut Value)| {
        Bundle::honest().root(change).vector(name, expect, title)
    };
    vec![
        root(
            "root-format",
            "format-unknown",
            "a root of format 2",
            &|r| r["format"] = 2.into(),
        ),
        root("root-version-zero", "zero", "version 0", &|r| {
            r["version"] = 0.into()
        }),
        root("root-expiry", "expiry", "exp is iat", &|r| {
            r["exp"] = r["iat"].clone()
        }),
        root(
            "root-threshold-zero",
            "threshold-impossible",
            "a threshold of 0",
            &|r| {
                r["root"]["threshold"] = 0.into();
            },
        ),
        root(
            "root-threshold-high",
            "threshold-impossible",
            "a threshold above the keys",
            &|r| {
                r["registrar"]["threshold"] = 2.into();
            },
        ),
        root(
            "root-key-twice",
            "duplicate-authority-key",
            "one key listed twice",
            &|r| {
                r["root"]["keys"] = json!([jwk(1), jwk(1), jwk(2)]);
            },
        ),
        root("root-keys-17", "too-many", "17 registrar keys", &|r| {
            r["registrar"]["keys"] = (30..47).map(jwk).collect();
        }),
        root(
            "root-key-private",
            "key-private",
            "a private key in a root",
            &|r| {
                r["root"]["keys"][0]["d"] = "AA".into();
            },
        ),
        root(
            "root-key-thumbprint",
            "key-thumbprint",
            "a kid of another key",
            &|r| {
                r["root"]["keys"][0]["kid"] = jwk(9)["kid"].clone();
            },
        ),
        root(
            "root-without-registrar",
            "malformed",
            "no registrar",
            &|r| {
                r.as_object_mut().unwrap().remove("registrar");
            },
        ),
    ]
}

fn manifests() -> Vec<Named> {
    [manifest_members(), grant_members()].concat()
}

fn manifest_members() -> Vec<Named> {
    vec![
        manifest(
            "manifest-format-text",
            "format-unknown",
            "a format that is text",
            &|m| m["format"] = "1".into(),
        ),
        manifest(
            "manifest-without-format",
            "format-unknown",
            "no format",
            &|m| {
                m.as_object_mut().unwrap().remove("format");
            },
        ),
        manifest("manifest-sequence-zero", "zero", "sequence 0", &|m| {
            m["sequence"] = 0.into()
        }),
        manifest(
            "manifest-sequence-negative",
            "malformed",
            "a sequence below 0",
            &|m| m["sequence"] = json!(-1),
        ),
        manifest("manifest-expiry", "expiry", "exp before iat", &|m| {
            m["exp"] = 1.into()
        }),
        manifest(
            "manifest-group-twice",
            "duplicate-name",
            "a group twice",
            &|m| m["groups"] = json!(["pumps", "pumps"]),
        ),
        manifest("manifest-groups-257", "too-many", "257 groups", &|m| {
            m["groups"] = names("g", 257)
        }),
        manifest("manifest-name", "malformed", "a group in capitals", &|m| {
            m["groups"] = json!(["PUMPS"])
        }),
        manifest(
            "manifest-name-path",
            "malformed",
            "a group that is a path",
            &|m| m["groups"] = json!(["../pumps"]),
        ),
        manifest("manifest-shards-3", "shard-count", "three shards", &|m| {
            m["shards"] = json!(["A".repeat(43), "E".repeat(43), "I".repeat(43)]);
        }),
        manifest(
            "manifest-shard-twice",
            "duplicate-name",
            "one shard twice",
            &|m| {
                m["shards"] = json!(["A".repeat(43), "A".repeat(43)]);
            },
        ),
        manifest(
            "manifest-shard-digest",
            "malformed",
            "a digest in capitals",
            &|m| m["shards"] = json!(["A".repeat(64)]),
        ),
        manifest(
            "manifest-null",
            "malformed",
            "null for a member that may be left out",
            &|m| {
                m["roles"][0]["manifest_age_seconds"] = Value::Null;
            },
        ),
    ]
}

fn grant_members() -> Vec<Named> {
    vec![
        grant(
            "grant-lifetime",
            "grant-ceiling",
            "a lifetime above 30 days",
            "lifetime_seconds",
            2_592_001.into(),
        ),
        grant(
            "grant-lifetime-zero",
            "grant-ceiling",
            "a lifetime of 0",
            "lifetime_seconds",
            0.into(),
        ),
        grant(
            "grant-retained",
            "grant-ceiling",
            "retained above a year",
            "retained_seconds",
            31_536_001.into(),
        ),
        grant(
            "grant-will",
            "grant-ceiling",
            "a will above 30 days",
            "will_seconds",
            2_592_001.into(),
        ),
        grant(
            "grant-filter",
            "malformed",
            "a filter with # in the middle",
            "publish",
            json!(["site/#/temp"]),
        ),
        grant(
            "grant-audience",
            "malformed",
            "an audience of no kind",
            "audiences",
            json!(["everybody"]),
        ),
        grant(
            "grant-vouch-text",
            "malformed",
            "vouch as a text",
            "vouch",
            "true".into(),
        ),
    ]
}

fn manifest(name: &str, expect: &str, title: &str, change: &dyn Fn(&mut Value)) -> Named {
    Bundle::honest()
        .manifest(change)
        .vector(name, expect, title)
}

fn grant(name: &str, expect: &str, title: &str, member: &'static str, value: Value) -> Named {
    manifest(name, expect, title, &|m| {
        m["roles"][0]["grants"][0][member] = value.clone()
    })
}

fn names(prefix: &str, count: u32) -> Value {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

/// Manifests whose text is wrong, not their values.
fn texts() -> Vec<Named> {
    let written = |name, expect, title, change: &dyn Fn(&str) -> Vec<u8>| {
        let mut lines = Bundle::honest().lines();
        let payload = Bundle::honest().manifest.payload.to_string();
        let signed = document(DocumentType::Manifest, &change(&payload), &[3]);
        lines[2] = String::from_utf8(signed).unwrap();
        of_lines(name, expect, title, lines)
    };
    vec![
        written(
            "text-duplicate",
            "duplicate-member",
            "sequence twice",
            &|text| text.replacen("{", r#"{"sequence":7,"#, 1).into_bytes(),
        ),
        written(
            "text-duplicate-deep",
            "duplicate-member",
            "a member of a grant twice",
            &|text| {
                text.replacen(r#""publish":"#, r#""publish":["a"],"publish":"#, 1)
                    .into_bytes()
            },
        ),
        written(
            "text-duplicate-escaped",
            "duplicate-member",
            "a member twice, once with an escape",
            &|text| text.replacen("{", r#"{"\u0073equence":7,"#, 1).into_bytes(),
        ),
        written(
            "text-array",
            "malformed",
            "an array for the object",
            &|text| format!("[{text}]").into_bytes(),
        ),
        written("text-cut-off", "malformed", "half of it", &|text| {
            text.as_bytes()[..text.len() / 2].to_vec()
        }),
        written(
            "text-trailing",
            "malformed",
            "something behind it",
            &|text| format!("{text}{{}}").into_bytes(),
        ),
        written(
            "text-deep",
            "malformed",
            "a thousand lists in each other",
            &|_| {
                format!(
                    "{{\"format\":1,\"x\":{}{}}}",
                    "[".repeat(1_000),
                    "]".repeat(1_000)
                )
                .into_bytes()
            },
        ),
        written(
            "text-not-utf8",
            "malformed",
            "octets that are not UTF-8",
            &|text| {
                let mut octets = text.as_bytes().to_vec();
                octets[2] = 0xff;
                octets
            },
        ),
        written("text-empty", "malformed", "nothing", &|_| Vec::new()),
    ]
}
