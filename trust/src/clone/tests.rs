//! Whom a proof convinces, and whom a lie does not.
#![allow(clippy::arithmetic_side_effects)]

use super::{CloneProof, NoProof, prove};
use crate::document::fixture::{ISSUED, key};
use crate::id::{Audience, DeviceId, TrustDomain};
use crate::token::{Draft, Kind, LoginDraft, Minter, PayloadHash, Properties, TokenId, compact};

const TOPIC: &str = "site/pump-1/temp";

fn farm() -> TrustDomain {
    TrustDomain::parse("farm").unwrap()
}

/// What a token says.
#[derive(Clone, Copy)]
struct Said {
    typ: &'static str,
    domain: &'static str,
    device: &'static str,
    jti: &'static str,
    topic: &'static str,
    payload: &'static str,
    issued_at: u64,
}

const HONEST: Said = Said {
    typ: "edgeseal-msg+jwt",
    domain: "farm",
    device: "pump-1",
    jti: "7.1.42",
    topic: TOPIC,
    payload: "21.5",
    issued_at: 1_700_000_000,
};

const OTHER: Said = Said {
    payload: "99.9",
    ..HONEST
};

impl Said {
    fn signed(&self, seed: u8) -> String {
        let phs = PayloadHash::of(self.payload.as_bytes());
        let phs = data_encoding::BASE64URL_NOPAD.encode(phs.octets());
        let Self {
            domain,
            device,
            jti,
            topic,
            issued_at,
            ..
        } = *self;
        let exp = issued_at + 60;
        let claims = format!(
            r#"{{"iss":"{domain}","sub":"{device}","aud":"domain:farm","iat":{issued_at},"exp":{exp},"jti":"{jti}","tsq":1,"top":"{topic}","phs":"{phs}"}}"#
        );
        compact(self.typ, claims.as_bytes(), &key(seed))
    }
}

fn judge(first: &str, second: &str) -> Result<CloneProof, NoProof> {
    prove(first, second, key(21).public(), &farm())
}

fn code(first: &str, second: &str) -> &'static str {
    judge(first, second)
        .err()
        .map_or("proven", |why| why.code())
}

fn both(first: Said, second: Said) -> &'static str {
    code(&first.signed(21), &second.signed(21))
}

#[test]
fn one_id_with_two_contents_proves_a_clone() {
    let (first, second) = (HONEST.signed(21), OTHER.signed(21));
    let proof = judge(&first, &second).unwrap();
    assert_eq!(proof.kid, key(21).public().id());
    assert_eq!(proof.device, DeviceId::parse("pump-1").unwrap());
    assert_eq!(proof.id, TokenId::parse("7.1.42").unwrap());
    assert_eq!(proof.tokens, [first, second]);
    let elsewhere = Said {
        topic: "site/pump-1/level",
        ..HONEST
    };
    assert_eq!(both(HONEST, elsewhere), "proven");
    for typ in ["edgeseal-retained+jwt", "edgeseal-will+jwt"] {
        assert_eq!(both(HONEST, Said { typ, ..OTHER }), "proven");
        assert_eq!(
            both(Said { typ, ..HONEST }, Said { typ, ..OTHER }),
            "proven"
        );
    }
    // long expired, or from a clock that is wrong: a proof all the same
    for issued_at in [0, 4_000_000_000] {
        assert_eq!(both(HONEST, Said { issued_at, ..OTHER }), "proven");
    }
}

#[test]
fn what_an_honest_device_signs_proves_nothing() {
    assert_eq!(both(HONEST, HONEST), "clone-same-content");
    let anew = Said {
        issued_at: 1_700_000_050,
        ..HONEST
    };
    assert_eq!(both(HONEST, anew), "clone-same-content", "signed anew");
    for jti in ["7.1.43", "7.0.42", "8.1.42"] {
        assert_eq!(both(HONEST, Said { jti, ..OTHER }), "clone-different-ids");
    }
}

#[test]
fn nobody_else_can_make_a_proof() {
    let honest = HONEST.signed(21);
    let forged = OTHER.signed(99);
    for (first, second) in [(&honest, &forged), (&forged, &honest), (&forged, &forged)] {
        assert_eq!(code(first, second), "clone-different-keys");
    }
    // another signature under the right kid
    let other = OTHER.signed(21);
    let (input, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = honest.rsplit_once('.').unwrap();
    let stitched = format!("{input}.{signature}");
    assert_eq!(code(&honest, &stitched), "signature");
    assert_eq!(code(&stitched, &honest), "signature");
    for place in 0..other.len() {
        let mut altered = other.clone().into_bytes();
        altered[place] ^= 1;
        let altered = String::from_utf8_lossy(&altered).into_owned();
        assert_ne!(code(&honest, &altered), "proven", "altered at {place}");
    }
    for length in 0..other.len() {
        assert_ne!(code(&honest, &other[..length]), "proven", "cut at {length}");
    }
}

#[test]
fn tokens_of_another_domain_device_or_type_prove_nothing() {
    let barn = Said {
        domain: "barn",
        ..OTHER
    };
    assert_eq!(both(HONEST, barn), "domain");
    assert_eq!(both(barn, HONEST), "domain");
    let device = Said {
        device: "pump-2",
        ..OTHER
    };
    assert_eq!(both(HONEST, device), "claim-value");
    for typ in [
        "edgeseal-login+jwt",
        "edgeseal-status+jwt",
        "edgeseal-join+jwt",
    ] {
        assert_eq!(both(HONEST, Said { typ, ..OTHER }), "header-typ", "{typ}");
    }
    let device = DeviceId::parse("pump-1").unwrap();
    let minter = Minter::new(key(21), &farm(), device);
    let login = minter.mint_login(&LoginDraft {
        audience: &Audience::parse("login:broker").unwrap(),
        issued_at: ISSUED,
        lifetime_seconds: 60,
        id: TokenId::parse("7.1.42").unwrap(),
    });
    assert_eq!(code(&HONEST.signed(21), &login.unwrap()), "header-typ");
}

#[test]
fn tokens_of_our_own_minter_are_judged_alike() {
    let role = crate::registry::Role {
        name: crate::id::RoleName::parse("sensor").unwrap(),
        grants: crate::document::fixture::manifest(1, 1, &[]).roles[0]
            .grants
            .clone(),
        manifest_age_seconds: None,
    };
    let minter = Minter::new(key(21), &farm(), DeviceId::parse("pump-1").unwrap());
    let mint = |payload: &[u8]| {
        let draft = Draft {
            kind: Kind::Message,
            topic: TOPIC.as_bytes(),
            payload: PayloadHash::of(payload),
            properties: Properties::default(),
            audience: &Audience::Domain(farm()),
            issued_at: ISSUED,
            lifetime_seconds: 60,
            id: TokenId::parse("7.1.42").unwrap(),
            trust_sequence: 1,
            clock_unsynchronized: true,
            captured_at: None,
            vouched: false,
        };
        minter.mint([&role], &draft).unwrap()
    };
    assert_eq!(code(&mint(b"21.5"), &mint(b"99.9")), "proven");
    assert_eq!(code(&mint(b"21.5"), &mint(b"21.5")), "clone-same-content");
}
