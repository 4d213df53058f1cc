//! The vectors of what travels beside the documents: requests with a join token, join files, requests
//! for rotation, answers, status tokens, and the two tokens that prove a clone.
//!
//! The registrar's key has the seed 3, its clock shows 1,800,000,000. The registry has one device,
//! `pump-1`, whose key has the seed 4. The one-time key has the seed 31.

use super::bundles::{document, jwk};
use super::{Named, Vector};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::carrier::Answer;
use edgeseal_trust::clone::prove;
use edgeseal_trust::document::{Authority, DocumentType};
use edgeseal_trust::enrollment::{EnrollmentRequest, JoinFile, KeyOwner, RotationRequest};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey};
use edgeseal_trust::status::VerifiedStatus;
use edgeseal_trust::time::UnixTime;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;

/// The folders of `tests/vectors`, each with its vectors.
pub fn corpus() -> [(&'static str, Vec<Named>); 6] {
    [
        ("join", joined()),
        ("join_file", join_files()),
        ("rotation", rotations()),
        ("answer", answers()),
        ("status", statuses()),
        ("clone", clones()),
    ]
}

pub fn judge(folder: &str, octets: &[u8]) -> &'static str {
    let judged = match folder {
        "join" => judge_join(octets),
        "join_file" => JoinFile::read(octets).map(drop).map_err(|why| why.code()),
        "rotation" => {
            let owner = |kid| (kid == key(4).public().id()).then(owner);
            let judged = RotationRequest::verify(octets, &farm(), owner);
            judged.map(drop).map_err(|why| why.code())
        }
        "answer" => Answer::read(octets).map(drop).map_err(|why| why.code()),
        "status" => {
            let peer = |kid| (kid == key(4).public().id()).then(peer);
            let judged = VerifiedStatus::verify(octets, &pump(), peer, &farm());
            judged.map(drop).map_err(|why| why.code())
        }
        _ => {
            let text = std::str::from_utf8(octets).unwrap();
            let (first, second) = text.split_once('\n').unwrap();
            let judged = prove(first, second.trim_end(), key(4).public(), &farm());
            judged.map(drop).map_err(|why| why.code())
        }
    };
    judged.err().unwrap_or("accepted")
}

fn judge_join(octets: &[u8]) -> Result<(), &'static str> {
    let registrar = Authority::new(1, vec![key(3).public().clone()]).unwrap();
    let request = EnrollmentRequest::verify(octets).map_err(|why| why.code())?;
    let now = UnixTime::from_seconds(NOW);
    let judged = request.judge_join(&registrar, &farm(), now);
    judged.map(drop).map_err(|why| why.code())
}

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

fn pump() -> DeviceId {
    DeviceId::parse("pump-1").unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn owner() -> KeyOwner {
    let key = key(4).public().clone();
    KeyOwner {
        device: pump(),
        key,
    }
}

fn peer() -> PeerKey {
    PeerKey {
        key: key(4).public().clone(),
        state: KeyState::Active,
        not_before: UnixTime::from_seconds(NOW - 1000),
        retired_at: None,
        device: Arc::new(Device {
            id: pump(),
            state: DeviceState::Active,
            roles: Box::default(),
            groups: Box::default(),
        }),
    }
}

/// A token by hand (RFC 7515 section 7.1).
fn token(typ: &str, claims: &Value, seed: u8) -> String {
    let kid = key(seed).public().id();
    let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#);
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims.to_string()));
    let signature = key(seed).sign(input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

type Change<'a> = &'a dyn Fn(&mut Value);

fn set(member: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |object| object[member] = value.clone()
}

fn without(member: &'static str) -> impl Fn(&mut Value) {
    move |object| drop(object.as_object_mut().unwrap().remove(member))
}

fn same(_: &mut Value) {}

fn named(name: &str, expect: &str, title: &str, octets: &[u8]) -> Named {
    (name.to_owned(), Vector::new(expect, title, octets))
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

fn joined() -> Vec<Named> {
    let asks = |name, expect, title, change: Change<'_>, by: &[u8]| {
        named(name, expect, title, &request(&honest_token(), change, by))
    };
    let with = |name, expect, title, change: Change<'_>| {
        let token = join_token(change, JOIN, 3);
        named(name, expect, title, &request(&token, &same, &[5, 31]))
    };
    let other_type = join_token(&same, "edgeseal-msg+jwt", 3);
    let by_root = join_token(&same, JOIN, 1);
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
        with(
            "token-domain",
            "join-domain",
            "a token of another domain",
            &set("iss", "barn".into()),
        ),
        with(
            "token-expired",
            "join-expired",
            "expires now",
            &set("exp", NOW.into()),
        ),
        with(
            "token-iat-later",
            "accepted",
            "issued in the registrar's future",
            &|c| {
                c["iat"] = (NOW + 50).into();
            },
        ),
        with(
            "token-lifetime",
            "join-lifetime",
            "of 366 days and a second",
            &|c| {
                c["exp"] = (NOW - 100 + 366 * 86_400 + 1).into();
            },
        ),
        with(
            "token-backwards",
            "join-lifetime",
            "expires before it is issued",
            &set("iat", (NOW + 200).into()),
        ),
        with("token-open", "accepted", "for any device and board", &|c| {
            without("device")(c);
            without("serial")(c);
        }),
        with(
            "token-claim-more",
            "join-claims",
            "a claim more",
            &set("admin", true.into()),
        ),
        with(
            "token-claim-less",
            "join-claims",
            "no roles",
            &without("roles"),
        ),
        with(
            "token-id-short",
            "join-claims",
            "an id of 120 bits",
            &set("jti", "BwcHBwcHBwcHBwcHBwcH".into()),
        ),
        with(
            "token-role-twice",
            "join-claims",
            "a role twice",
            &set("roles", json!(["pump", "pump"])),
        ),
        with(
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

fn join_files() -> Vec<Named> {
    let root = |by: &[u8]| {
        let payload = json!({
            "format": 1, "domain": "farm", "version": 1, "iat": NOW - 1000, "exp": NOW + 1000,
            "root": { "threshold": 1, "keys": [jwk(1)] },
            "registrar": { "threshold": 1, "keys": [jwk(3)] },
        });
        let octets = document(DocumentType::Root, payload.to_string().as_bytes(), by);
        Value::from(String::from_utf8(octets).unwrap())
    };
    let file = |change: Change<'_>| {
        let mut file = json!({
            "edgeseal_join": 1, "root": root(&[1]),
            "broker": { "url": "mqtts://broker.example:8883", "username": "joiner", "password": "x" },
            "token": honest_token(), "seed": BASE64URL_NOPAD.encode(&[31; 32]),
        });
        change(&mut file);
        file.to_string()
    };
    let with = |name, expect, title, change: Change<'_>| {
        named(name, expect, title, file(change).as_bytes())
    };
    let barn = join_token(&set("iss", "barn".into()), JOIN, 3);
    let expired = join_token(
        &|c| {
            c["iat"] = 1.into();
            c["exp"] = 2.into();
        },
        JOIN,
        3,
    );
    let honest = file(&same);
    vec![
        with("honest", "accepted", "as it should be", &same),
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
        with(
            "token-expired",
            "accepted",
            "a token long expired: the registrar judges that",
            &set("token", expired.into()),
        ),
        with(
            "format",
            "join-file-form",
            "format 2",
            &set("edgeseal_join", 2.into()),
        ),
        with(
            "member-more",
            "join-file-form",
            "a member more",
            &set("x", 1.into()),
        ),
        with(
            "broker-member",
            "join-file-form",
            "a member more of the broker",
            &|f| f["broker"]["port"] = 1.into(),
        ),
        with(
            "broker-null",
            "join-file-form",
            "null for the certificates",
            &|f| f["broker"]["ca"] = Value::Null,
        ),
        with("url-empty", "join-file-form", "no URL", &|f| {
            f["broker"]["url"] = "".into()
        }),
        with(
            "root-unsigned",
            "join-file-root",
            "a root that nobody signed",
            &set("root", root(&[])),
        ),
        with(
            "root-stranger",
            "join-file-root",
            "a root signed by another key",
            &set("root", root(&[2])),
        ),
        with(
            "token-signer",
            "join-file-token",
            "a token that is not the registrar's",
            &set("token", join_token(&same, JOIN, 9).into()),
        ),
        with(
            "token-domain",
            "join-file-domain",
            "a token of another domain",
            &set("token", barn.into()),
        ),
        with(
            "seed-other",
            "join-file-seed-mismatch",
            "the seed of another key",
            &set("seed", BASE64URL_NOPAD.encode(&[32; 32]).into()),
        ),
        with(
            "seed-short",
            "join-file-seed",
            "31 octets",
            &set("seed", BASE64URL_NOPAD.encode(&[31; 31]).into()),
        ),
    ]
}

fn rotations() -> Vec<Named> {
    let payload = |change: Change<'_>| {
        let mut payload = json!({
            "format": 1, "domain": "farm", "device": "pump-1", "old": key(4).public().id(),
            "jwk": jwk(5), "iat": NOW,
        });
        change(&mut payload);
        payload.to_string()
    };
    let with = |name, expect, title, change: Change<'_>, by: &[u8]| {
        let octets = document(DocumentType::Rotation, payload(change).as_bytes(), by);
        named(name, expect, title, &octets)
    };
    let enrollment = document(DocumentType::Request, payload(&same).as_bytes(), &[5, 4]);
    vec![
        with("honest", "accepted", "as it should be", &same, &[5, 4]),
        with(
            "without-iat",
            "accepted",
            "no clock",
            &without("iat"),
            &[5, 4],
        ),
        with(
            "old-alone",
            "threshold",
            "not signed by the new key",
            &same,
            &[4],
        ),
        with(
            "new-alone",
            "threshold",
            "not signed by the old key",
            &same,
            &[5],
        ),
        with(
            "one-key",
            "duplicate-authority-key",
            "the old key as new key",
            &set("jwk", jwk(4)),
            &[4],
        ),
        with(
            "other-old",
            "rotation-unknown-key",
            "a key that is not known",
            &set("old", key(6).public().id().to_string().into()),
            &[5, 6],
        ),
        with(
            "other-device",
            "rotation-device",
            "the key of another device",
            &set("device", "pump-2".into()),
            &[5, 4],
        ),
        with(
            "other-domain",
            "rotation-domain",
            "for another domain",
            &set("domain", "barn".into()),
            &[5, 4],
        ),
        with(
            "format",
            "format-unknown",
            "format 2",
            &set("format", 2.into()),
            &[5, 4],
        ),
        with(
            "member-more",
            "malformed",
            "asks for a role",
            &set("roles", json!(["admin"])),
            &[5, 4],
        ),
        with(
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

fn answers() -> Vec<Named> {
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

fn statuses() -> Vec<Named> {
    let claims = |change: Change<'_>| {
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
    };
    let with = |name, expect, title, change: Change<'_>| {
        let token = token(STATUS, &claims(change), 4);
        named(name, expect, title, token.as_bytes())
    };
    let honest = token(STATUS, &claims(&same), 4);
    let (input, _) = honest.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", BASE64URL_NOPAD.encode(&[0; 64]));
    let stranger = token(STATUS, &claims(&same), 9);
    let message = token(MESSAGE, &claims(&same), 4);
    vec![
        with("honest", "accepted", "as it should be", &same),
        with("least", "accepted", "no more than there must be", &|c| {
            for name in ["refused", "offered", "clone"] {
                without(name)(c);
            }
            c["counts"] = json!({});
            c["notices"] = json!([]);
        }),
        with(
            "claim-later",
            "accepted",
            "a claim of a later version",
            &set("new", json!([1])),
        ),
        with("claim-less", "claims-json", "no sequence", &without("seq")),
        with(
            "claim-null",
            "claims-json",
            "null for what is refused",
            &set("refused", Value::Null),
        ),
        with(
            "notice-member",
            "claims-json",
            "a member more of a notice",
            &|c| c["notices"][0]["x"] = 1.into(),
        ),
        with(
            "clone-three",
            "claims-json",
            "three tokens",
            &set("clone", json!(["a", "b", "c"])),
        ),
        with("counts-33", "claim-value", "33 counters", &|c| {
            c["counts"] = (0..33).map(|n| (format!("c{n}"), Value::from(1))).collect();
        }),
        with("code", "claim-value", "a code with a blank", &|c| {
            c["refused"]["code"] = "not ours".into()
        }),
        with(
            "clock",
            "claim-value",
            "another state of the clock",
            &set("clk", "exact".into()),
        ),
        with(
            "jti",
            "claim-value",
            "a leading zero",
            &set("jti", "7.1.042".into()),
        ),
        with(
            "domain",
            "domain",
            "of another domain",
            &set("iss", "barn".into()),
        ),
        with(
            "audience",
            "audience",
            "for one device",
            &set("aud", "device:pump-1".into()),
        ),
        with(
            "subject",
            "subject",
            "of another device",
            &set("sub", "pump-2".into()),
        ),
        with(
            "too-early",
            "key-not-yet-valid",
            "before the key was valid",
            &set("iat", (NOW - 1001).into()),
        ),
        with(
            "lifetime",
            "lifetime",
            "of 366 days and a second",
            &set("exp", (NOW + 366 * 86_400 + 1).into()),
        ),
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

fn clones() -> Vec<Named> {
    let said = |typ: &str, seed: u8, change: Change<'_>| {
        let mut claims = json!({
            "iss": "farm", "sub": "pump-1", "aud": "domain:farm", "iat": NOW, "exp": NOW + 60,
            "jti": "7.1.42", "tsq": 12, "top": "site/pump-1/flow",
            "phs": BASE64URL_NOPAD.encode(&[1; 32]),
        });
        change(&mut claims);
        token(typ, &claims, seed)
    };
    let honest = said(MESSAGE, 4, &same);
    let other = || set("phs", BASE64URL_NOPAD.encode(&[2; 32]).into());
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
            &other(),
        ),
        with(
            "topic",
            "accepted",
            "another topic under one id",
            &set("top", "site/pump-1/level".into()),
        ),
        with("expired", "accepted", "one of them long expired", &|c| {
            other()(c);
            c["iat"] = 1.into();
            c["exp"] = 61.into();
        }),
        beside(
            "retained",
            "accepted",
            "a retained statement under the same id",
            &said("edgeseal-retained+jwt", 4, &other()),
        ),
        with(
            "signed-anew",
            "clone-same-content",
            "one message signed twice",
            &set("iat", (NOW + 5).into()),
        ),
        with("other-id", "clone-different-ids", "two ids", &|c| {
            other()(c);
            c["jti"] = "7.1.43".into();
        }),
        with(
            "other-domain",
            "domain",
            "of another domain",
            &set("iss", "barn".into()),
        ),
        with("other-subject", "claim-value", "of another device", &|c| {
            other()(c);
            c["sub"] = "pump-2".into();
        }),
        beside(
            "other-key",
            "clone-different-keys",
            "by another key",
            &said(MESSAGE, 5, &other()),
        ),
        beside("forged", "signature", "a signature of zeros", &forged),
        beside(
            "login",
            "header-typ",
            "a login token",
            &said("edgeseal-login+jwt", 4, &other()),
        ),
    ]
}

const JOIN: &str = "edgeseal-join+jwt";
const STATUS: &str = "edgeseal-status+jwt";
const MESSAGE: &str = "edgeseal-msg+jwt";
