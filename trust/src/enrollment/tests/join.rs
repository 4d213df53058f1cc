//! Join tokens, and requests that carry one.

use super::{altered, asked, device, farm, join, registrar, token};
use crate::document::fixture::{EXPIRES, ISSUED, authority, key, signed};
use crate::document::{DocumentType, Unverified};
use crate::enrollment::{
    EnrollmentRequest, InvalidJoinId, JOIN_TYP, JoinDraft, JoinId, JoinRejection, JoinToken,
    RequestDraft,
};
use crate::id::{GroupName, RoleName, TrustDomain};
use crate::limits;
use crate::time::UnixTime;
use crate::token::{Kind, compact};
use crate::words::Words;

const NOW: UnixTime = ISSUED.plus(60);

fn judge(draft: &RequestDraft, new: u8, one_time: u8) -> Result<JoinToken, JoinRejection> {
    let octets = draft.sign_joined(&key(new), &key(one_time)).unwrap();
    let request = EnrollmentRequest::verify(&octets).unwrap();
    request.judge_join(&registrar(), &farm(), NOW)
}

fn code(judged: Result<JoinToken, JoinRejection>) -> &'static str {
    judged.err().map_or("accepted", |why| why.code())
}

fn read(token: &str) -> &'static str {
    code(JoinToken::verify(token, &registrar()))
}

/// The code of a request's octets themselves.
fn refused(octets: &[u8]) -> &'static str {
    let judged = EnrollmentRequest::verify(octets);
    judged.err().map_or("accepted", |why| why.code())
}

/// A join token of these claims, by a registrar key.
fn of_claims(claims: &str) -> String {
    compact(JOIN_TYP, claims.as_bytes(), &key(11))
}

fn claims() -> String {
    let jkt = key(31).public().id();
    format!(
        r#"{{"iss":"farm","jti":"BwcHBwcHBwcHBwcHBwcHBw","iat":1700000000,"exp":1700604800,"cnf":{{"jkt":"{jkt}"}},"roles":["sensor"],"groups":["shed"],"device":"pump-1","serial":"10000000abcdef01"}}"#
    )
}

#[test]
fn a_token_says_what_its_draft_said() {
    for draft in [
        join(),
        JoinDraft {
            device: None,
            serial: None,
            roles: Vec::new(),
            groups: Vec::new(),
            ..join()
        },
    ] {
        let read = JoinToken::verify(&token(&draft), &registrar()).unwrap();
        let again = JoinDraft {
            domain: read.domain,
            id: read.id,
            one_time: read.one_time,
            device: read.device,
            roles: read.roles,
            groups: read.groups,
            serial: read.serial,
            issued_at: read.issued_at,
            expires_at: read.expires_at,
        };
        assert_eq!(again, draft);
        assert_eq!(read.registrar, key(11).public().id());
    }
    assert_eq!(
        of_claims(&claims()),
        token(&join()),
        "the one form of a token"
    );
}

#[test]
fn a_token_altered_or_cut_anywhere_is_refused() {
    let text = token(&join());
    for (place, altered) in altered(text.as_bytes()) {
        let altered = String::from_utf8_lossy(&altered);
        assert_ne!(read(&altered), "accepted", "altered at {place}");
    }
    for length in 0..text.len() {
        assert_ne!(read(&text[..length]), "accepted", "cut at {length}");
    }
    assert_eq!(read(&format!("{text}\n")), "join-token");
    assert_eq!(read(&"a".repeat(limits::TOKEN_OCTETS + 1)), "join-token");
}

#[test]
fn only_one_registrar_key_of_the_root_may_sign_a_token() {
    for (seed, expected) in [
        (11, "accepted"),
        (12, "accepted"),
        (1, "join-unknown-registrar"),  // a root key
        (31, "join-unknown-registrar"), // the one-time key itself
    ] {
        let token = join().sign(&key(seed)).unwrap();
        assert_eq!(read(&token), expected, "key {seed}");
    }
    // a threshold above 1 is for manifests
    let two = authority(2, &[11, 12]);
    assert_eq!(code(JoinToken::verify(&token(&join()), &two)), "accepted");
}

#[test]
fn a_token_of_another_type_is_none() {
    for typ in [
        Kind::Message.typ(),
        Kind::Retained.typ(),
        Kind::Will.typ(),
        crate::token::LOGIN_TYP,
        crate::status::STATUS_TYP,
        DocumentType::Manifest.typ(),
    ] {
        let token = compact(typ, claims().as_bytes(), &key(11));
        assert_eq!(read(&token), "join-token", "{typ}");
    }
    let join = token(&join());
    let message = crate::token::Unverified::parse(join.as_bytes(), Kind::Message.typ());
    assert_eq!(message.err().map(|why| why.code()), Some("header-typ"));
}

#[test]
fn the_claims_of_a_token_are_exactly_those_of_the_profile() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 18] = [
        (str::to_owned, "accepted"),
        (|c| c.replace("{\"iss", "{ \"iss"), "accepted"),
        (|c| c.replacen('{', r#"{"sub":"x","#, 1), "join-claims"),
        (
            |c| c.replace(r#"{"jkt""#, r#"{"kid":"x","jkt""#),
            "join-claims",
        ),
        (
            |c| c.replace(r#","device":"pump-1""#, r#","device":null"#),
            "join-claims",
        ),
        (
            |c| c.replace(r#","device":"pump-1""#, r#","device":"Pump""#),
            "join-claims",
        ),
        (
            |c| c.replace(r#""serial":"10000000abcdef01""#, r#""serial":"""#),
            "join-claims",
        ),
        (
            |c| c.replace(r#"["sensor"]"#, r#"["sensor","sensor"]"#),
            "join-claims",
        ),
        (|c| c.replace(r#"["sensor"]"#, r#""sensor""#), "join-claims"),
        (|c| c.replace(r#""roles":["sensor"],"#, ""), "join-claims"),
        (
            |c| c.replace(r#"["shed"]"#, r#"["shed","shed"]"#),
            "join-claims",
        ),
        (
            |c| c.replace("BwcHBwcHBwcHBwcHBwcHBw", "BwcHBwcHBwcHBwcHBwcHBx"),
            "join-claims",
        ),
        (
            |c| c.replace("BwcHBwcHBwcHBwcHBwcHBw", "BwcHBwcHBwcHBwcHBwcH"),
            "join-claims",
        ),
        (|c| c.replace("1700000000", "1700000000.0"), "join-claims"),
        (|c| c.replace("1700604800", "1700000000"), "join-lifetime"),
        (|c| c.replace("1700604800", "1600000000"), "join-lifetime"),
        (|c| c.replace("1700604800", "1731622401"), "join-lifetime"),
        (|c| c.replace("1700604800", "1731622400"), "accepted"),
    ];
    for (number, (change, expected)) in changes.into_iter().enumerate() {
        assert_eq!(read(&of_claims(&change(&claims()))), expected, "{number}");
    }
    let twice = claims().replacen('{', r#"{"iss":"farm","#, 1);
    let why = JoinToken::verify(&of_claims(&twice), &registrar()).unwrap_err();
    assert!(why.to_string().contains("occurs twice"), "{why}");
}

#[test]
fn what_a_registrar_would_refuse_is_not_signed() {
    let refused = |draft: JoinDraft| draft.sign(&key(11)).unwrap_err().code();
    let long = JoinDraft {
        expires_at: ISSUED.plus(limits::JOIN_LIFETIME_SECONDS + 1),
        ..join()
    };
    assert_eq!(refused(long), "join-lifetime");
    let never = JoinDraft {
        expires_at: ISSUED,
        ..join()
    };
    assert_eq!(refused(never), "join-lifetime");
    let roles = (0..33).map(|n| RoleName::parse(&format!("r{n}")).unwrap());
    let many = JoinDraft {
        roles: roles.collect(),
        ..join()
    };
    assert_eq!(refused(many), "join-claims");
    let name = |kind: char, n: u32| format!("{kind}{n:02}{}", "x".repeat(61));
    let large = JoinDraft {
        roles: (0..32)
            .map(|n| RoleName::parse(&name('r', n)).unwrap())
            .collect(),
        groups: (0..32)
            .map(|n| GroupName::parse(&name('g', n)).unwrap())
            .collect(),
        ..join()
    };
    assert_eq!(refused(large), "join-claims");
}

#[test]
fn an_id_is_written_in_one_way() {
    let id = JoinId::from_octets([0xfe; 16]);
    let text = id.to_string();
    assert_eq!((text.len(), JoinId::parse(&text)), (22, Ok(id)));
    for bad in [
        "",
        "_v7-",
        &text[..21],
        &format!("{text}=="),
        &format!("{text}A"),
    ] {
        assert_eq!(JoinId::parse(bad), Err(InvalidJoinId), "{bad:?}");
    }
    assert_eq!(
        JoinId::parse("AAAAAAAAAAAAAAAAAAAAAB"),
        Err(InvalidJoinId),
        "trailing bits"
    );
}

#[test]
fn a_request_with_its_token_is_let_in() {
    let draft = asked(&token(&join()));
    let octets = draft.sign_joined(&key(21), &key(31)).unwrap();
    let request = EnrollmentRequest::verify(&octets).unwrap();
    assert_eq!(request.draft, draft);
    assert_eq!(&request.key, key(21).public());
    assert_eq!(request.one_time.as_ref(), Some(key(31).public()));
    assert_eq!(request.words, Words::of_request(&octets));
    let join = request.judge_join(&registrar(), &farm(), NOW).unwrap();
    assert_eq!(join.device, Some(device("pump-1")));
    let again = draft.sign_joined(&key(21), &key(31)).unwrap();
    assert_eq!(octets, again, "the same octets every time");
    assert!(octets.len() < limits::REQUEST_OCTETS);
}

#[test]
fn a_joined_request_altered_or_cut_anywhere_is_refused() {
    let draft = asked(&token(&join()));
    let octets = draft.sign_joined(&key(21), &key(31)).unwrap();
    for (place, altered) in altered(&octets) {
        assert_ne!(refused(&altered), "accepted", "altered at {place}");
    }
    for length in 0..octets.len() {
        assert_ne!(refused(&octets[..length]), "accepted", "cut at {length}");
    }
}

#[test]
fn expiry_is_judged_by_the_registrars_clock_alone() {
    let draft = asked(&token(&join()));
    for issued_at in [None, Some(UnixTime::from_seconds(0)), Some(EXPIRES)] {
        let draft = RequestDraft {
            issued_at,
            ..draft.clone()
        };
        let octets = draft.sign_joined(&key(21), &key(31)).unwrap();
        let request = EnrollmentRequest::verify(&octets).unwrap();
        let at = |now| code(request.judge_join(&registrar(), &farm(), now));
        let end = ISSUED.plus(7 * 86_400);
        assert_eq!(at(UnixTime::from_seconds(0)), "accepted");
        assert_eq!(at(end.minus(1)), "accepted");
        assert_eq!(at(end), "join-expired");
        assert_eq!(at(UnixTime::from_seconds(u64::MAX)), "join-expired");
    }
}

#[test]
fn who_reads_a_token_on_the_way_cannot_bind_it_to_another_key() {
    let draft = asked(&token(&join()));
    assert_eq!(code(judge(&draft, 21, 31)), "accepted");
    // signed with a one-time key of the thief's own
    assert_eq!(code(judge(&draft, 99, 98)), "join-one-time-key");
    let honest = draft.sign_joined(&key(21), &key(31)).unwrap();
    let document = Unverified::parse(&honest, DocumentType::Request).unwrap();
    let payload = String::from_utf8(document.claimed_payload().to_vec()).unwrap();
    let x = |seed: u8| data_encoding::BASE64URL_NOPAD.encode(&key(seed).public().octets());
    let kid = |seed: u8| key(seed).public().id().to_string();
    let stolen = payload.replace(&x(21), &x(99)).replace(&kid(21), &kid(99));
    let by = |payload: &str, seeds: &[u8]| {
        refused(&signed(DocumentType::Request, payload.as_bytes(), seeds))
    };
    assert_eq!(by(&stolen, &[99]), "threshold");
    assert_eq!(by(&stolen, &[99, 98]), "threshold");
    // without one of the two signatures, or with one key in both places
    assert_eq!(by(&payload, &[21, 31]), "accepted");
    assert_eq!(by(&payload, &[21]), "threshold");
    assert_eq!(by(&payload, &[31]), "threshold");
    let same = payload.replace(&x(31), &x(21)).replace(&kid(31), &kid(21));
    assert_eq!(by(&same, &[21]), "duplicate-authority-key");
    // the thief's key in the place of the one-time key; its signature is right, its thumbprint not
    let named = payload.replace(&x(31), &x(98)).replace(&kid(31), &kid(98));
    let octets = signed(DocumentType::Request, named.as_bytes(), &[21, 98]);
    let request = EnrollmentRequest::verify(&octets).unwrap();
    assert_eq!(
        code(request.judge_join(&registrar(), &farm(), NOW)),
        "join-one-time-key"
    );
}

#[test]
fn join_token_and_one_time_key_belong_together() {
    let draft = asked(&token(&join()));
    let code = |signed: Result<Vec<u8>, crate::document::DocumentRejection>| {
        signed.err().map_or("signed", |why| why.code())
    };
    assert_eq!(code(draft.sign(&key(21))), "malformed");
    assert_eq!(
        code(draft.sign_joined(&key(21), &key(21))),
        "duplicate-authority-key"
    );
    for draft in [
        RequestDraft {
            join: None,
            ..draft.clone()
        },
        RequestDraft {
            domain: None,
            ..draft.clone()
        },
        RequestDraft {
            device: None,
            ..draft.clone()
        },
    ] {
        assert_eq!(code(draft.sign_joined(&key(21), &key(31))), "malformed");
    }
    // what is not written is not read either
    let octets = draft.sign_joined(&key(21), &key(31)).unwrap();
    let document = Unverified::parse(&octets, DocumentType::Request).unwrap();
    let payload = String::from_utf8(document.claimed_payload().to_vec()).unwrap();
    let without = |from: &str, to: &str| {
        let start = payload.find(from).unwrap();
        let end = start + payload[start..].find(to).unwrap();
        let payload = format!("{}{}", &payload[..start], &payload[end..]);
        refused(&signed(
            DocumentType::Request,
            payload.as_bytes(),
            &[21, 31],
        ))
    };
    assert_eq!(without(r#","one_time""#, "}}"), "malformed");
    assert_eq!(without(r#","join""#, r#","one_time""#), "malformed");
    assert_eq!(without(r#""device""#, r#""jwk""#), "malformed");
    assert_eq!(without(r#""domain""#, r#""device""#), "malformed");
}

#[test]
fn a_token_counts_for_its_domain_device_and_board_only() {
    let draft = asked(&token(&join()));
    let other = RequestDraft {
        device: Some(device("pump-2")),
        ..draft.clone()
    };
    assert_eq!(code(judge(&other, 21, 31)), "join-device");
    let other = RequestDraft {
        serial: Some("10000000abcdef02".into()),
        ..draft.clone()
    };
    assert_eq!(code(judge(&other, 21, 31)), "join-serial");
    let none = RequestDraft {
        serial: None,
        ..draft.clone()
    };
    assert_eq!(code(judge(&none, 21, 31)), "join-serial");
    let barn = TrustDomain::parse("barn").unwrap();
    let other = RequestDraft {
        domain: Some(barn.clone()),
        ..draft.clone()
    };
    assert_eq!(code(judge(&other, 21, 31)), "join-domain");
    let foreign = token(&JoinDraft {
        domain: barn,
        ..join()
    });
    assert_eq!(code(judge(&asked(&foreign), 21, 31)), "join-domain");
    let open = token(&JoinDraft {
        device: None,
        serial: None,
        ..join()
    });
    for (device, serial) in [("pump-1", None), ("pump-2", Some("x"))] {
        let draft = RequestDraft {
            device: Some(super::device(device)),
            serial: serial.map(str::to_owned),
            ..asked(&open)
        };
        assert_eq!(code(judge(&draft, 21, 31)), "accepted");
    }
    let bare = RequestDraft::default().sign(&key(21)).unwrap();
    let bare = EnrollmentRequest::verify(&bare).unwrap();
    assert_eq!(
        code(bare.judge_join(&registrar(), &farm(), NOW)),
        "join-absent"
    );
    assert_eq!(code(judge(&asked("no token"), 21, 31)), "join-token");
}
