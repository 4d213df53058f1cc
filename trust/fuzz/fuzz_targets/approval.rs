//! An approval that came by a file: no panic, what is let in has one content, and signatures are taken of registrar keys alone.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::document::{
    Authority, Document, DocumentType, Unverified, join_signatures, sign, signers,
};
use edgeseal_trust::enrollment::Approval;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::domain::key;

static REGISTRARS: LazyLock<Authority> = LazyLock::new(|| {
    let keys = [3, 5].map(|seed| key(seed).public().clone());
    Authority::new(2, keys.to_vec()).expect("an authority")
});

fuzz_target!(|octets: &[u8]| {
    let Ok(approval) = Document::<Approval>::load(octets) else {
        return;
    };
    let payload = approval.content().to_payload().expect("its own content");
    let unsigned = sign(DocumentType::Approval, &payload, &[]);
    let again = Document::<Approval>::load(&unsigned).expect("the same again");
    assert_eq!(again.content(), approval.content());

    let parsed = Unverified::parse(octets, DocumentType::Approval).expect("parsed before");
    let Ok(by) = signers(&parsed, &REGISTRARS) else {
        return; // a signature of theirs that is wrong
    };
    assert!(by.iter().all(|kid| REGISTRARS.key(*kid).is_some()));
    assert_eq!(Document::<Approval>::verified(octets, &REGISTRARS).is_ok(), by.len() == 2);
    // The registry keeps the approval that it asked for, and takes of this one what counts.
    let kept = sign(DocumentType::Approval, parsed.claimed_payload(), &[]);
    let joined = join_signatures(&kept, octets, DocumentType::Approval, &by).expect("the same payload");
    let joined = Unverified::parse(&joined, DocumentType::Approval).expect("a document");
    assert_eq!(signers(&joined, &REGISTRARS).expect("judged before"), by);
    assert_eq!(joined.kids().count(), by.len());
});
