//! Requests for rotation.

use super::{altered, device, farm};
use crate::document::fixture::{ISSUED, key, signed};
use crate::document::{DocumentType, Unverified};
use crate::enrollment::{KeyOwner, RotationDraft, RotationRejection, RotationRequest};
use crate::id::TrustDomain;
use crate::key::KeyId;
use crate::words::Words;

pub(super) fn draft() -> RotationDraft {
    RotationDraft {
        domain: farm(),
        device: device("pump-1"),
        issued_at: Some(ISSUED),
    }
}

/// The registry has key 21, of `pump-1`.
fn owner(kid: KeyId) -> Option<KeyOwner> {
    (kid == key(21).public().id()).then(|| KeyOwner {
        device: device("pump-1"),
        key: key(21).public().clone(),
    })
}

fn judge(octets: &[u8]) -> Result<RotationRequest, RotationRejection> {
    RotationRequest::verify(octets, &farm(), owner)
}

fn code(octets: &[u8]) -> &'static str {
    judge(octets).err().map_or("accepted", |why| why.code())
}

/// Its payload, changed and signed by others.
fn changed(change: fn(&str) -> String, signers: &[u8]) -> &'static str {
    let octets = draft().sign(&key(21), &key(22)).unwrap();
    let document = Unverified::parse(&octets, DocumentType::Rotation).unwrap();
    let payload = String::from_utf8(document.claimed_payload().to_vec()).unwrap();
    code(&signed(
        DocumentType::Rotation,
        change(&payload).as_bytes(),
        signers,
    ))
}

#[test]
fn a_request_is_read_back_with_both_keys_and_words() {
    for draft in [
        draft(),
        RotationDraft {
            issued_at: None,
            ..draft()
        },
    ] {
        let octets = draft.sign(&key(21), &key(22)).unwrap();
        let request = judge(&octets).unwrap();
        assert_eq!(request.draft, draft);
        assert_eq!(request.old, key(21).public().id());
        assert_eq!(&request.key, key(22).public());
        assert_eq!(request.words, Words::of_request(&octets));
        assert_eq!(judge(&[&*octets, b"\n"].concat()).unwrap(), request);
    }
}

#[test]
fn a_request_altered_or_cut_anywhere_is_refused() {
    let octets = draft().sign(&key(21), &key(22)).unwrap();
    for (place, altered) in altered(&octets) {
        assert_ne!(code(&altered), "accepted", "altered at {place}");
    }
    for length in 0..octets.len() {
        assert_ne!(code(&octets[..length]), "accepted", "cut at {length}");
    }
}

#[test]
fn both_keys_must_have_signed() {
    let same: fn(&str) -> String = str::to_owned;
    assert_eq!(changed(same, &[22, 21]), "accepted");
    assert_eq!(changed(same, &[21, 22]), "accepted");
    assert_eq!(changed(same, &[21, 22, 99]), "accepted");
    assert_eq!(changed(same, &[21]), "threshold");
    assert_eq!(changed(same, &[22]), "threshold");
    assert_eq!(changed(same, &[22, 99]), "threshold");
    assert_eq!(changed(same, &[22, 22]), "duplicate-signature");
    let one = draft().sign(&key(21), &key(21)).unwrap_err();
    assert_eq!(one.code(), "duplicate-authority-key");
}

#[test]
fn domain_device_and_old_key_must_be_the_registrys() {
    let by = |draft: &RotationDraft, old| code(&draft.sign(&key(old), &key(22)).unwrap());
    assert_eq!(by(&draft(), 99), "rotation-unknown-key");
    let barn = TrustDomain::parse("barn").unwrap();
    let other = RotationDraft {
        domain: barn,
        ..draft()
    };
    assert_eq!(by(&other, 21), "rotation-domain");
    let other = RotationDraft {
        device: device("pump-2"),
        ..draft()
    };
    assert_eq!(by(&other, 21), "rotation-device");
    // a registry that answers with another key than it was asked for
    let octets = draft().sign(&key(21), &key(22)).unwrap();
    let wrong = |_| {
        Some(KeyOwner {
            device: device("pump-1"),
            key: key(23).public().clone(),
        })
    };
    let judged = RotationRequest::verify(&octets, &farm(), wrong);
    assert_eq!(judged.unwrap_err().code(), "rotation-unknown-key");
}

#[test]
fn a_request_is_strict_in_form() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 6] = [
        (
            |p| p.replace(r#""format":1"#, r#""format":2"#),
            "format-unknown",
        ),
        (|p| p.replacen('{', r#"{"join":"x","#, 1), "malformed"),
        (
            |p| p.replace(r#""iat":1700000000"#, r#""iat":null"#),
            "malformed",
        ),
        (
            |p| p.replacen('{', r#"{"format":1,"#, 1),
            "duplicate-member",
        ),
        (
            |p| p.replace(r#""kty""#, r#""d":"AA","kty""#),
            "key-private",
        ),
        (|p| p.replace(r#""domain":"farm","#, ""), "malformed"),
    ];
    for (change, expected) in changes {
        assert_eq!(changed(change, &[22, 21]), expected);
    }
    // a request for enrollment is none for rotation, whoever signed it
    let octets = draft().sign(&key(21), &key(22)).unwrap();
    let document = Unverified::parse(&octets, DocumentType::Rotation).unwrap();
    let request = signed(DocumentType::Request, document.claimed_payload(), &[21, 22]);
    assert_eq!(code(&request), "header-typ");
    let mut large = octets;
    large.resize(crate::limits::REQUEST_OCTETS + 1, b' ');
    assert_eq!(code(&large), "size");
}
