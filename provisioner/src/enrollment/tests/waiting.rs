//! Requests that wait for a person.

use super::{NOW, Rig, code, device, draft, key};
use crate::registry::PendingRequest;
use edgeseal_trust::enrollment::RequestDraft;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::DeviceState;

#[test]
fn a_plain_request_waits_is_approved_and_is_answered_again() {
    let rig = Rig::new();
    let request = draft("pump-1").sign(&key(10)).unwrap();
    let judged = rig.take(&request);
    assert_eq!(code(&judged), "approval");
    assert_eq!(code(&rig.take(&request)), "approval");
    let mut desk = rig.desk();
    assert_eq!(desk.pending().iter().len(), 1);
    let kid = key(10).public().id();
    assert_eq!(
        judged.words.as_ref(),
        Some(&desk.pending().get(kid).unwrap().words)
    );
    let dress =
        |device: &mut crate::registry::DeviceRecord| device.roles.push(super::role("sensor"));
    let decision = desk.approve(kid, &device("pump-1"), &dress, NOW).unwrap();
    assert_eq!(decision.word(), "enrolled");
    desk.commit().unwrap();
    drop(desk);
    assert_eq!(rig.record("pump-1").state, DeviceState::Active);
    assert_eq!(rig.record("pump-1").roles.len(), 1);
    assert_eq!(code(&rig.take(&request)), "again");
    assert_eq!(rig.desk().pending().iter().len(), 0);
}

#[test]
fn what_was_rejected_stays_so_and_another_request_may_come() {
    let rig = Rig::new();
    let request = draft("pump-1").sign(&key(10)).unwrap();
    assert_eq!(code(&rig.take(&request)), "approval");
    let mut desk = rig.desk();
    let kid = key(10).public().id();
    desk.reject(kid, "no serial", NOW).unwrap();
    desk.commit().unwrap();
    assert_eq!(
        desk.reject(kid, "again", NOW).unwrap_err().code,
        "request-unknown"
    );
    drop(desk);
    assert_eq!(code(&rig.take(&request)), "rejected");
    let anew = RequestDraft {
        issued_at: Some(NOW),
        ..draft("pump-1")
    };
    assert_eq!(code(&rig.take(&anew.sign(&key(10)).unwrap())), "approval");
}

#[test]
fn an_id_of_another_key_cannot_be_asked_for() {
    let rig = Rig::new();
    rig.add("pump-1", &key(10));
    let request = draft("pump-1").sign(&key(11)).unwrap();
    assert_eq!(code(&rig.take(&request)), "device-exists");
    // Two may ask for one new id; one gets it.
    let (first, second) = (key(12), key(13));
    for key in [&first, &second] {
        let request = draft("pump-2").sign(key).unwrap();
        assert_eq!(code(&rig.take(&request)), "approval");
    }
    let mut desk = rig.desk();
    let id = device("pump-2");
    let _ = desk
        .approve(first.public().id(), &id, &|_| {}, NOW)
        .unwrap();
    let refused = desk.approve(second.public().id(), &id, &|_| {}, NOW);
    assert_eq!(refused.unwrap_err().code, "device-exists");
}

#[test]
fn a_flood_fills_the_room_and_no_more() {
    let rig = Rig::new();
    let mut desk = rig.desk();
    for number in 0..9_999_u32 {
        let mut octets = [0; 32];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        let row = PendingRequest {
            kid: KeyId::from_octets(octets),
            device: None,
            serial: None,
            words: String::new(),
            why: "approval".into(),
            since: NOW,
            request: "x".into(),
        };
        assert!(desk.pending.put(row));
    }
    let ask = |number: u32| RequestDraft::default().sign(&key(number)).unwrap();
    assert_eq!(code(&desk.take(&ask(10), None, NOW)), "approval");
    assert_eq!(code(&desk.take(&ask(11), None, NOW)), "pending-full");
    assert_eq!(code(&desk.take(&ask(10), None, NOW)), "approval");
    desk.commit().unwrap();
    drop(desk);
    let desk = rig.desk();
    assert_eq!(desk.pending().iter().len(), 10_000);
    assert_eq!(desk.pending().refused()["pending-full"].count, 1);
}

#[test]
fn octets_of_all_that_waits_are_bounded_too() {
    let rig = Rig::new();
    let mut desk = rig.desk();
    let mut padded = draft("pump-1").sign(&key(10)).unwrap();
    padded.resize(5000, b' ');
    assert_eq!(code(&desk.take(&padded, None, NOW)), "size");
    let mut request = draft("pump-1").sign(&key(10)).unwrap();
    request.resize(4000, b' ');
    assert_eq!(code(&desk.take(&request, None, NOW)), "approval");
    assert_eq!(code(&desk.take(b"{}", None, NOW)), "malformed");
}
