//! Both sides of every rule of a status.

use super::{Notice, Offered, Refused, STATUS_TYP, StatusDraft, StatusRefusal, VerifiedStatus};
use crate::clock::ClockState;
use crate::document::fixture::{ISSUED, key};
use crate::id::{DeviceId, TrustDomain};
use crate::key::KeyId;
use crate::limits;
use crate::registry::{Device, DeviceState, KeyState, PeerKey};
use crate::time::UnixTime;
use crate::token::{Kind, LOGIN_TYP, Minter, Rejection, TokenId, compact};
use std::collections::BTreeMap;
use std::sync::Arc;

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn draft() -> StatusDraft {
    StatusDraft {
        issued_at: ISSUED,
        expires_at: ISSUED.plus(86_400),
        id: TokenId::parse("7.1.42").unwrap(),
        sequence: 12,
        root_version: 1,
        clock: ClockState::Synchronized,
        version: "0.1.0".into(),
        started_at: ISSUED.minus(3600),
        counts: BTreeMap::from([("accepted".into(), 10), ("replay".into(), 2)]),
        last_refusal: Some(Refused {
            code: "replay".into(),
            sender: Some(device("pump-2")),
            at: ISSUED.minus(5),
        }),
        offered: Some(Offered {
            root_version: Some(1),
            sequence: Some(11),
            code: "rollback".into(),
        }),
        notices: vec![Notice {
            code: "epoch-back".into(),
            kid: Some(key(22).public().id()),
            device: Some(device("pump-2")),
            at: ISSUED.minus(6),
        }],
        clone: Some(["a.b.c".into(), "d.e.f".into()]),
    }
}

/// What has to be there, and no more.
fn least() -> StatusDraft {
    StatusDraft {
        counts: BTreeMap::new(),
        last_refusal: None,
        offered: None,
        notices: Vec::new(),
        clone: None,
        ..draft()
    }
}

fn peer() -> PeerKey {
    PeerKey {
        key: key(21).public().clone(),
        state: KeyState::Active,
        not_before: ISSUED.minus(86_400),
        retired_at: None,
        device: Arc::new(Device {
            id: device("pump-1"),
            state: DeviceState::Active,
            roles: Box::default(),
            groups: Box::default(),
        }),
    }
}

fn sign(draft: &StatusDraft) -> Result<String, StatusRefusal> {
    draft.sign(&key(21), &farm(), &device("pump-1"))
}

fn judge(octets: &[u8], peer: &PeerKey) -> Result<VerifiedStatus, Rejection> {
    let key_of = |kid: KeyId| (kid == peer.key.id()).then(|| peer.clone());
    VerifiedStatus::verify(octets, &device("pump-1"), key_of, &farm())
}

fn code(octets: &[u8], peer: &PeerKey) -> &'static str {
    judge(octets, peer)
        .err()
        .map_or("accepted", |why| why.code())
}

fn claims() -> String {
    let token = sign(&draft()).unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let octets = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes());
    String::from_utf8(octets.unwrap()).unwrap()
}

#[test]
fn a_status_is_read_back_as_it_was_signed() {
    for content in [draft(), least()] {
        let token = sign(&content).unwrap();
        let status = judge(token.as_bytes(), &peer()).unwrap();
        assert_eq!(status.content, content);
        assert_eq!(
            (status.device, status.kid),
            (device("pump-1"), key(21).public().id())
        );
        let minter = Minter::new(key(21), &farm(), device("pump-1"));
        assert_eq!(minter.mint_status(&content), Ok(token));
    }
}

#[test]
fn a_status_altered_or_cut_anywhere_is_refused() {
    let token = sign(&draft()).unwrap();
    for place in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[place] ^= 1;
        assert_ne!(code(&altered, &peer()), "accepted", "altered at {place}");
    }
    for length in 0..token.len() {
        assert_ne!(
            code(&token.as_bytes()[..length], &peer()),
            "accepted",
            "cut at {length}"
        );
    }
}

#[test]
fn only_its_own_key_in_its_own_state_says_a_devices_status() {
    let token = sign(&draft()).unwrap();
    let with = |change: fn(&mut PeerKey)| {
        let mut peer = peer();
        change(&mut peer);
        code(token.as_bytes(), &peer)
    };
    fn state(peer: &mut PeerKey, state: DeviceState) {
        let device = Device {
            state,
            ..(*peer.device).clone()
        };
        peer.device = Arc::new(device);
    }
    assert_eq!(with(|_| {}), "accepted");
    assert_eq!(with(|p| p.state = KeyState::Retiring), "accepted");
    assert_eq!(with(|p| p.state = KeyState::Revoked), "key-revoked");
    assert_eq!(with(|p| p.state = KeyState::Retired), "key-retired");
    let retired = |at: UnixTime| {
        let peer = PeerKey {
            state: KeyState::Retired,
            retired_at: Some(at),
            ..peer()
        };
        code(token.as_bytes(), &peer)
    };
    assert_eq!(retired(ISSUED.plus(1)), "accepted", "said before");
    assert_eq!(retired(ISSUED), "key-retired");
    assert_eq!(with(|p| p.not_before = ISSUED.plus(1)), "key-not-yet-valid");
    assert_eq!(with(|p| state(p, DeviceState::Revoked)), "device-revoked");
    assert_eq!(
        with(|p| state(p, DeviceState::Suspended)),
        "device-suspended"
    );
    assert_eq!(with(|p| state(p, DeviceState::Pending)), "device-pending");
    assert_eq!(with(|p| p.key = key(22).public().clone()), "unknown-key");
    let other = draft().sign(&key(22), &farm(), &device("pump-1")).unwrap();
    assert_eq!(code(other.as_bytes(), &peer()), "unknown-key");
}

#[test]
fn a_status_counts_on_its_own_topic_and_domain_only() {
    let of = |domain: &str, id: &str| {
        let domain = TrustDomain::parse(domain).unwrap();
        let token = draft().sign(&key(21), &domain, &device(id)).unwrap();
        code(token.as_bytes(), &peer())
    };
    assert_eq!(of("barn", "pump-1"), "domain");
    assert_eq!(of("farm", "pump-2"), "subject");
    // another device's honest status on this device's topic
    let token = sign(&draft()).unwrap();
    let moved = VerifiedStatus::verify(
        token.as_bytes(),
        &device("pump-2"),
        |_| Some(peer()),
        &farm(),
    );
    assert_eq!(moved.unwrap_err().code(), "subject");
    let audience = claims().replace("domain:farm", "device:pump-1");
    let token = compact(STATUS_TYP, audience.as_bytes(), &key(21));
    assert_eq!(code(token.as_bytes(), &peer()), "audience");
}

#[test]
fn a_token_of_another_type_is_no_status() {
    let retained = Kind::Retained.typ();
    for typ in [
        Kind::Message.typ(),
        retained,
        LOGIN_TYP,
        crate::enrollment::JOIN_TYP,
    ] {
        let token = compact(typ, claims().as_bytes(), &key(21));
        assert_eq!(code(token.as_bytes(), &peer()), "header-typ", "{typ}");
    }
}

#[test]
fn the_claims_are_strict_except_for_what_a_later_version_adds() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 16] = [
        (|c| c.replacen('{', r#"{"new":{"a":[1]},"#, 1), "accepted"),
        (|c| c.replacen('{', r#"{"new":null,"#, 1), "claims-json"),
        (
            |c| c.replacen('{', r#"{"iss":"farm","#, 1),
            "duplicate-member",
        ),
        (|c| c.replace(r#""seq":12"#, r#""seq":"12""#), "claims-json"),
        (|c| c.replace(r#""seq":12,"#, ""), "claims-json"),
        (|c| c.replace(r#""seq":12"#, r#""seq":-1"#), "claims-json"),
        (|c| c.replace("7.1.42", "7.1.042"), "claim-value"),
        (|c| c.replace("synchronized", "exact"), "claim-value"),
        (
            |c| c.replace(r#""replay":2"#, r#""Replay":2"#),
            "claim-value",
        ),
        (
            |c| c.replace(r#""replay":2"#, r#""accepted":2"#),
            "duplicate-member",
        ),
        (
            |c| c.replace(r#""ver":"0.1.0""#, r#""ver":"""#),
            "claim-value",
        ),
        (
            |c| c.replace(r#""ver":"0.1.0""#, r#""ver":"0 1""#),
            "claim-value",
        ),
        (
            |c| c.replace(r#""d.e.f"]"#, r#""d.e.f","g.h.i"]"#),
            "claims-json",
        ),
        (
            |c| c.replace(r#""sender":"pump-2""#, r#""sender":null"#),
            "claims-json",
        ),
        (
            |c| c.replace(r#"{"code":"rollback""#, r#"{"x":1,"code":"rollback""#),
            "claims-json",
        ),
        (
            |c| c.replace(r#""exp":1700086400"#, r#""exp":1700000000"#),
            "lifetime",
        ),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        let changed = change(&claims());
        assert_ne!(changed, claims(), "{number}");
        let token = compact(STATUS_TYP, changed.as_bytes(), &key(21));
        assert_eq!(code(token.as_bytes(), &peer()), expected, "{number}");
    }
}

#[test]
fn what_a_reader_would_refuse_is_not_signed() {
    let refused = |draft: StatusDraft| sign(&draft).unwrap_err().code();
    let end = ISSUED.plus(limits::STATUS_LIFETIME_SECONDS + 1);
    assert_eq!(
        refused(StatusDraft {
            expires_at: end,
            ..draft()
        }),
        "status-lifetime"
    );
    assert_eq!(
        refused(StatusDraft {
            expires_at: ISSUED,
            ..draft()
        }),
        "status-lifetime"
    );
    let counts = (0..33).map(|n| (format!("c{n}"), n)).collect();
    assert_eq!(
        refused(StatusDraft { counts, ..draft() }),
        "status-too-many"
    );
    let notices = vec![draft().notices[0].clone(); 9];
    assert_eq!(
        refused(StatusDraft { notices, ..draft() }),
        "status-too-many"
    );
    let counts = BTreeMap::from([("two words".into(), 1)]);
    assert_eq!(refused(StatusDraft { counts, ..draft() }), "status-text");
    assert_eq!(
        refused(StatusDraft {
            version: "x".repeat(65),
            ..draft()
        }),
        "status-text"
    );
    let clone = Some(["a".repeat(limits::TOKEN_OCTETS + 1), "b".into()]);
    assert_eq!(refused(StatusDraft { clone, ..draft() }), "status-text");
}

#[test]
fn the_fullest_status_of_all_can_be_published() {
    let name = "n".repeat(limits::NAME_OCTETS);
    let long = |n: usize| format!("{n:02}{}", "c".repeat(limits::CODE_OCTETS - 2));
    let (code, full) = (long(0), Some(device(&name)));
    let end = UnixTime::from_seconds(u64::MAX);
    let notice = Notice {
        code: code.clone(),
        kid: Some(key(1).public().id()),
        device: full.clone(),
        at: end,
    };
    let fullest = StatusDraft {
        issued_at: end.minus(1),
        expires_at: end,
        id: TokenId {
            epoch: u64::MAX,
            stream: crate::token::Stream::Reliable,
            counter: u64::MAX,
        },
        sequence: u64::MAX,
        root_version: u64::MAX,
        clock: ClockState::Unsynchronized,
        version: "v".repeat(limits::VERSION_OCTETS),
        started_at: end,
        counts: (0..limits::STATUS_COUNTS)
            .map(|n| (long(n), u64::MAX))
            .collect(),
        last_refusal: Some(Refused {
            code: code.clone(),
            sender: full,
            at: end,
        }),
        offered: Some(Offered {
            root_version: Some(u64::MAX),
            sequence: Some(u64::MAX),
            code,
        }),
        notices: vec![notice; limits::STATUS_NOTICES],
        clone: Some([(); 2].map(|()| "t".repeat(limits::TOKEN_OCTETS))),
    };
    let domain = TrustDomain::parse(&name).unwrap();
    let token = fullest.sign(&key(21), &domain, &device(&name)).unwrap();
    assert!(token.len() <= limits::STATUS_OCTETS, "{}", token.len());
}

#[test]
fn the_newer_of_two_is_known_by_iat_then_jti() {
    let read = |issued_at: UnixTime, id: &str| {
        let id = TokenId::parse(id).unwrap();
        let token = sign(&StatusDraft {
            issued_at,
            id,
            ..draft()
        })
        .unwrap();
        judge(token.as_bytes(), &peer()).unwrap()
    };
    let status = read(ISSUED, "7.1.42");
    assert!(!status.is_newer_than(&status));
    for (newer, id) in [
        (ISSUED.plus(1), "7.1.1"),
        (ISSUED, "7.1.43"),
        (ISSUED, "8.1.1"),
    ] {
        let newer = read(newer, id);
        assert!(newer.is_newer_than(&status));
        assert!(!status.is_newer_than(&newer));
    }
}
