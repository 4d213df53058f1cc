//! A small domain as a bundle that can be wrong in one place, and the vectors of the file, of
//! signatures, and of order.

use super::{Named, Vector};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::document::{DocumentType, sign};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::words::Words;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Payloads, who signs them, and what is done to the lines afterwards.
#[derive(Clone)]
pub struct Bundle {
    pub roots: Vec<Signed>,
    pub manifest: Signed,
    pub shard: Value,
}

/// A payload, and the seeds of the keys that sign it.
#[derive(Clone)]
pub struct Signed {
    pub payload: Value,
    pub by: Vec<u8>,
}

/// A public key as documents have it.
pub fn jwk(seed: u8) -> Value {
    let key = key(seed);
    let x = BASE64URL_NOPAD.encode(&key.public().octets());
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": key.public().id().to_string(), "x": x })
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub fn document(kind: DocumentType, payload: &[u8], by: &[u8]) -> Vec<u8> {
    let keys: Vec<SigningKey> = by.iter().map(|seed| key(*seed)).collect();
    sign(kind, payload, &keys.iter().collect::<Vec<_>>())
}

/// A root document of this version: keys 1 and 2 of which both sign, registrar key 3.
pub fn root(version: u64) -> Signed {
    let payload = json!({
        "format": 1, "domain": "farm", "version": version, "iat": 1_790_000_000_u64, "exp": 1_890_000_000_u64,
        "root": { "threshold": 2, "keys": [jwk(1), jwk(2)] },
        "registrar": { "threshold": 1, "keys": [jwk(3)] },
    });
    let by = vec![1, 2];
    Signed { payload, by }
}

impl Bundle {
    /// As it should be.
    pub fn honest() -> Self {
        let manifest = json!({
            "format": 1, "domain": "farm", "root_version": 1, "sequence": 7,
            "iat": 1_799_000_000_u64, "exp": 1_801_000_000_u64,
            "roles": [{ "name": "pump", "grants": [{ "publish": ["site/{device}/#"], "audiences": ["domain"] }] }],
            "groups": ["pumps"], "shards": [],
        });
        let device = |id: &str, seed: u8| {
            json!({
                "id": id, "state": "active", "roles": ["pump"], "groups": ["pumps"],
                "keys": [{ "jwk": jwk(seed), "state": "active", "not_before": 1_790_000_000_u64 }],
            })
        };
        Self {
            roots: vec![root(1)],
            manifest: Signed {
                payload: manifest,
                by: vec![3],
            },
            shard: json!({ "format": 1, "index": 0, "of": 1, "devices": [device("pump-1", 4), device("pump-2", 5)] }),
        }
    }

    pub fn root(mut self, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.roots[0].payload);
        self
    }

    pub fn manifest(mut self, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.manifest.payload);
        self
    }

    pub fn shard(mut self, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.shard);
        self
    }

    pub fn next(mut self, root: Signed) -> Self {
        self.roots.push(root);
        self
    }

    /// The file's lines: header, roots, manifest, shard. The manifest names the shard, unless it
    /// says what its shards are.
    pub fn lines(&self) -> Vec<String> {
        let shard = self.shard.to_string();
        let mut manifest = self.manifest.payload.clone();
        if manifest["shards"] == json!([]) {
            manifest["shards"] = json!([BASE64URL_NOPAD.encode(&Sha256::digest(&shard))]);
        }
        let line = |octets| String::from_utf8(octets).unwrap();
        let header = json!({ "edgeseal_bundle": 1, "roots": self.roots.len(), "shards": 1 });
        let roots = self.roots.iter().map(|root| {
            line(document(
                DocumentType::Root,
                root.payload.to_string().as_bytes(),
                &root.by,
            ))
        });
        let manifest = manifest.to_string();
        let manifest = document(
            DocumentType::Manifest,
            manifest.as_bytes(),
            &self.manifest.by,
        );
        let mut lines = vec![header.to_string()];
        lines.extend(roots);
        lines.extend([line(manifest), shard]);
        lines
    }

    pub fn text(&self) -> String {
        self.lines().join("\n") + "\n"
    }

    /// Under the words of its first root.
    pub fn vector(&self, name: &str, expect: &str, title: &str) -> Named {
        of_lines(name, expect, title, self.lines())
    }

    /// For a device that has applied another bundle.
    pub fn after(&self, applied: &Self, name: &str, expect: &str, title: &str) -> Named {
        let mut vector = Vector::new(expect, title, self.text().as_bytes());
        vector.applied = Some(applied.text());
        (name.to_owned(), vector)
    }
}

/// A bundle of these lines, under the words of its first root.
pub fn of_lines(name: &str, expect: &str, title: &str, lines: Vec<String>) -> Named {
    let words = Words::of_root(lines[1].as_bytes()).to_string();
    let mut vector = Vector::new(expect, title, (lines.join("\n") + "\n").as_bytes());
    vector.words = Some(words);
    (name.to_owned(), vector)
}

pub fn vectors() -> Vec<Named> {
    let mut all = file();
    all.extend(signatures());
    all.extend(order());
    all
}

fn file() -> Vec<Named> {
    let honest = Bundle::honest();
    let lines = honest.lines();
    let with = |place: usize, text: &str| {
        let mut lines = lines.clone();
        lines[place] = text.to_owned();
        lines
    };
    let mut longer = lines.clone();
    longer.push(String::new());
    let (_, mut cut) = honest.vector("", "bundle-truncated", "without the last line end");
    cut.text = cut.text.map(|text| text.trim_end().to_owned());
    let (_, mut unpinned) = honest.vector("", "first-root-not-pinned", "no words were typed");
    unpinned.words = None;
    let (_, mut other_words) = honest.vector("", "root-words", "the words of another root");
    other_words.words = Some(Words::of_root(b"another").to_string());
    let (_, mut empty) = honest.vector("", "bundle-truncated", "nothing at all");
    empty.text = Some(String::new());
    let (_, mut latin) = honest.vector("", "bundle-header", "a first line that is not UTF-8");
    latin.text = None;
    latin.octets_b64 = Some(data_encoding::BASE64.encode(b"{\"edgeseal_bundle\xe4\":1}\n"));
    let first = |name, title, text: &str| of_lines(name, "bundle-header", title, with(0, text));
    let long = " ".repeat((64 << 10) + 1);
    vec![
        honest.vector("honest", "accepted", "as it should be"),
        first("header-no-json", "a first line that is no JSON", "bundle"),
        first(
            "header-format",
            "another format of bundle",
            r#"{"edgeseal_bundle":2,"roots":1,"shards":1}"#,
        ),
        first(
            "header-roots",
            "more roots than allowed",
            r#"{"edgeseal_bundle":1,"roots":257,"shards":1}"#,
        ),
        first(
            "header-negative",
            "a number below 0",
            r#"{"edgeseal_bundle":1,"roots":-1,"shards":1}"#,
        ),
        first(
            "header-twice",
            "a member twice",
            r#"{"edgeseal_bundle":1,"roots":1,"roots":1,"shards":1}"#,
        ),
        first(
            "header-unknown",
            "a member that is not known",
            r#"{"edgeseal_bundle":1,"roots":1,"shards":1,"x":1}"#,
        ),
        of_lines(
            "line-long",
            "bundle-line",
            "a root of more than 65,536 octets",
            with(1, &long),
        ),
        of_lines(
            "trailing",
            "bundle-trailing",
            "a line after the last",
            longer,
        ),
        ("cut-off".into(), cut),
        ("empty".into(), empty),
        ("not-utf8".into(), latin),
        ("unpinned".into(), unpinned),
        ("other-words".into(), other_words),
    ]
}

fn signatures() -> Vec<Named> {
    [signature_headers(), signature_members(), signers()].concat()
}

fn signature_headers() -> Vec<Named> {
    vec![
        altered_header("alg-none", "header-alg", "alg none", "EdDSA", "none"),
        altered_header(
            "alg-other",
            "header-alg",
            "the other name of the algorithm",
            "EdDSA",
            "Ed25519",
        ),
        altered_header(
            "typ-other",
            "header-typ",
            "a root's typ",
            "manifest+json",
            "root+json",
        ),
        altered_header(
            "kid-short",
            "header-kid",
            "kid is no thumbprint",
            r#""kid":""#,
            r#""kid":"a"#,
        ),
        altered_header(
            "header-more",
            "header-members",
            "a member more",
            r#""kid""#,
            r#""jku":"x","kid""#,
        ),
        altered_header(
            "header-without-kid",
            "header-members",
            "no kid",
            r#""kid""#,
            r#""kit""#,
        ),
        altered_header(
            "header-twice-alg",
            "duplicate-member",
            "alg twice",
            r#""alg""#,
            r#""alg":"EdDSA","alg""#,
        ),
    ]
}

fn signature_members() -> Vec<Named> {
    let first = &"/signatures/0";
    vec![
        altered_manifest(
            "header-unprotected",
            "header-unprotected",
            "an unprotected header",
            &|d| {
                d.pointer_mut(first).unwrap()["header"] = json!({ "kid": "a" });
            },
        ),
        altered_manifest("signature-stripped", "threshold", "no signature", &|d| {
            d["signatures"] = json!([])
        }),
        altered_manifest(
            "signature-twice",
            "duplicate-signature",
            "one key signed twice",
            &|d| {
                let again = d["signatures"][0].clone();
                d["signatures"].as_array_mut().unwrap().push(again);
            },
        ),
        altered_manifest("signature-zero", "signature", "64 octets of zero", &|d| {
            d.pointer_mut(first).unwrap()["signature"] = BASE64URL_NOPAD.encode(&[0; 64]).into();
        }),
        altered_manifest("signature-short", "encoding", "63 octets", &|d| {
            d.pointer_mut(first).unwrap()["signature"] = BASE64URL_NOPAD.encode(&[0; 63]).into();
        }),
        altered_manifest(
            "payload-padded",
            "encoding",
            "a payload with padding",
            &|d| {
                d["payload"] = format!("{}=", d["payload"].as_str().unwrap()).into();
            },
        ),
        altered_manifest(
            "payload-altered",
            "signature",
            "a payload altered after signing",
            &|d| {
                let text = d["payload"].as_str().unwrap();
                let octets = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
                let text = String::from_utf8(octets)
                    .unwrap()
                    .replace(r#""sequence":7"#, r#""sequence":8"#);
                d["payload"] = BASE64URL_NOPAD.encode(text.as_bytes()).into();
            },
        ),
        altered_manifest(
            "member-unknown",
            "malformed",
            "a member that is not known",
            &|d| d["x"] = json!(1),
        ),
    ]
}

fn signers() -> Vec<Named> {
    let honest = Bundle::honest();
    let seventeen: Vec<u8> = std::iter::once(3).chain(40..56).collect();
    let mut one_root_key = honest.clone();
    one_root_key.roots[0].by = vec![1];
    vec![
        signed_by("signatures-17", "too-many", "17 signatures", &seventeen),
        signed_by(
            "signer-stranger",
            "threshold",
            "signed by a key that does not count",
            &[9],
        ),
        signed_by(
            "signer-root-key",
            "threshold",
            "a manifest signed by root keys",
            &[1, 2],
        ),
        one_root_key.vector(
            "root-one-of-two",
            "threshold",
            "a root signed by one key where two must",
        ),
    ]
}

fn altered_manifest(name: &str, expect: &str, title: &str, change: &dyn Fn(&mut Value)) -> Named {
    let mut lines = Bundle::honest().lines();
    let mut document: Value = serde_json::from_str(&lines[2]).unwrap();
    change(&mut document);
    lines[2] = document.to_string();
    of_lines(name, expect, title, lines)
}

fn altered_header(
    name: &str,
    expect: &str,
    title: &str,
    from: &'static str,
    to: &'static str,
) -> Named {
    altered_manifest(name, expect, title, &|document| {
        let payload = document["payload"].as_str().unwrap().to_owned();
        let signature = &mut document["signatures"][0];
        let octets = BASE64URL_NOPAD
            .decode(signature["protected"].as_str().unwrap().as_bytes())
            .unwrap();
        let text = String::from_utf8(octets).unwrap();
        assert!(text.contains(from));
        let protected = BASE64URL_NOPAD.encode(text.replacen(from, to, 1).as_bytes());
        let input = format!("{protected}.{payload}");
        signature["signature"] = BASE64URL_NOPAD
            .encode(&key(3).sign(input.as_bytes()))
            .into();
        signature["protected"] = protected.into();
    })
}

fn signed_by(name: &str, expect: &str, title: &str, by: &[u8]) -> Named {
    let mut bundle = Bundle::honest();
    bundle.manifest.by = by.to_vec();
    bundle.vector(name, expect, title)
}

fn order() -> Vec<Named> {
    [sequences(), next_roots()].concat()
}

fn sequences() -> Vec<Named> {
    let honest = Bundle::honest();
    let other = Bundle::honest().manifest(|m| m["groups"] = json!(["pumps", "sheds"]));
    vec![
        honest.after(&honest, "again", "accepted", "the same bundle again"),
        with_sequence(8).after(&honest, "newer", "accepted", "the next sequence"),
        with_sequence(6).after(
            &honest,
            "older",
            "rollback",
            "a sequence below the one applied",
        ),
        other.after(
            &honest,
            "conflicting",
            "conflict",
            "another manifest of the same sequence",
        ),
        under_second_root().after(
            &honest,
            "second-root",
            "accepted",
            "the next root, and a manifest under it",
        ),
        honest.after(
            &under_second_root(),
            "older-root",
            "rollback",
            "a manifest under the root before",
        ),
        Bundle::honest().next(root(2)).after(
            &honest,
            "manifest-of-old-root",
            "accepted",
            "a new root, and the manifest held",
        ),
        with_sequence(8).next(root(2)).after(
            &honest,
            "manifest-names-old-root",
            "manifest-root-version",
            "a new manifest that names the root before",
        ),
    ]
}

fn next_roots() -> Vec<Named> {
    let honest = Bundle::honest();
    let mut elsewhere = root(2);
    elsewhere.payload["domain"] = "barn".into();
    let mut new_keys = root(2);
    new_keys.payload["root"]["keys"] = json!([jwk(1), jwk(6)]);
    let mut without_shard = honest.lines();
    without_shard.pop();
    without_shard[0] = r#"{"edgeseal_bundle":1,"roots":1,"shards":0}"#.into();
    vec![
        Bundle::honest()
            .next(root(3))
            .manifest(|m| {
                m["root_version"] = 3.into();
            })
            .vector("root-skipped", "root-version", "version 3 after version 1"),
        Bundle::honest()
            .root(|r| r["exp"] = 1_890_000_001_u64.into())
            .after(
                &honest,
                "root-conflicting",
                "root-conflict",
                "another root of the version held",
            ),
        Bundle::honest().next(root_by(2, &[1])).vector(
            "root-below-threshold",
            "threshold",
            "a next root signed by one key",
        ),
        Bundle::honest().next(root_by(2, &[7, 8])).vector(
            "root-by-strangers",
            "threshold",
            "a next root signed by strangers",
        ),
        Bundle::honest()
            .next(new_keys)
            .manifest(|m| {
                m["root_version"] = 2.into();
            })
            .vector(
                "root-not-by-itself",
                "threshold",
                "a next root not signed by its own threshold",
            ),
        Bundle::honest()
            .next(elsewhere)
            .manifest(|m| {
                m["root_version"] = 2.into();
                m["domain"] = "barn".into();
            })
            .vector(
                "root-of-other-domain",
                "domain",
                "a next root of another domain, and a manifest of it",
            ),
        Bundle::honest().manifest(of_domain("barn")).vector(
            "manifest-of-other-domain",
            "domain",
            "a manifest of another domain",
        ),
        naming_shard(&"0".repeat(43)).vector(
            "shard-unnamed",
            "shard-hash",
            "a shard that the manifest does not name",
        ),
        of_lines(
            "shard-left-out",
            "shard-missing",
            "no shard in the file",
            without_shard,
        ),
    ]
}

fn with_sequence(n: u64) -> Bundle {
    Bundle::honest().manifest(move |m| m["sequence"] = n.into())
}

fn root_by(version: u64, by: &[u8]) -> Signed {
    let mut root = root(version);
    root.by = by.to_vec();
    root
}

fn under_second_root() -> Bundle {
    Bundle::honest()
        .next(root(2))
        .manifest(|m| m["root_version"] = 2.into())
}

fn of_domain(name: &'static str) -> impl Fn(&mut Value) {
    move |document: &mut Value| document["domain"] = name.into()
}

fn naming_shard(digest: &str) -> Bundle {
    let digest = digest.to_owned();
    Bundle::honest().manifest(move |m| m["shards"] = json!([digest]))
}
