//! Join tokens: what is enrolled by them, and what is refused.

use super::{NOW, Rig, code, device, domain, draft, forged, key, role};
use crate::registry::DeviceRecord;
use edgeseal_trust::enrollment::RequestDraft;
use edgeseal_trust::registry::{DeviceState, Role};

#[test]
fn a_token_enrolls_one_key_and_says_the_same_to_it_again() {
    let rig = Rig::new();
    let card = rig.card(1, |_| {});
    let request = card.request("pump-1", &key(10));
    assert_eq!(code(&rig.take(&request)), "enrolled");
    let record = rig.record("pump-1");
    assert_eq!(record.state, DeviceState::Active);
    assert_eq!(record.roles, [role("sensor")]);
    assert_eq!(record.serial.as_deref(), Some("serial-of-pump-1"));
    assert_eq!(record.join, Some(card.id));
    for _ in 0..3 {
        assert_eq!(code(&rig.take(&request)), "again");
    }
    // Made anew by the same key, as after a power cut on the device.
    let anew = RequestDraft {
        issued_at: Some(NOW),
        ..draft("pump-1")
    };
    assert_eq!(code(&rig.take(&card.request_as(&anew, &key(10)))), "again");
    // Another key, under the same id and under another one.
    for id in ["pump-1", "pump-2"] {
        let judged = rig.take(&card.request(id, &key(11)));
        assert_eq!(code(&judged), "join-used");
    }
    let desk = rig.desk();
    assert_eq!(desk.registry().devices().len(), 1);
    assert_eq!(desk.tokens.get(&card.id).unwrap().refused["join-used"], 2);
    assert_eq!(desk.pending().refused()["join-used"].count, 2);
}

#[test]
fn what_a_token_does_not_allow_is_refused_and_counted_with_it() {
    let rig = Rig::new();
    rig.add("taken", &key(10));
    let bound = rig.card(1, |token| {
        token.device = Some(device("pump-1"));
        token.serial = Some("board-1".into());
    });
    let late = rig.card(2, |token| token.expires_at = NOW);
    let fresh = rig.card(3, |_| {});
    let board = RequestDraft {
        serial: Some("board-1".into()),
        ..draft("pump-1")
    };
    let elsewhere = RequestDraft {
        domain: Some(domain("barn")),
        ..draft("pump-2")
    };
    for (request, expected) in [
        (bound.request("pump-1", &key(11)), "join-serial"),
        (bound.request("pump-2", &key(11)), "join-device"),
        (late.request("pump-2", &key(11)), "join-expired"),
        (fresh.request("taken", &key(11)), "device-exists"),
        (fresh.request_as(&elsewhere, &key(11)), "domain"),
        (fresh.request("pump-2", &key(10)), "key-in-use"),
        (bound.request_as(&board, &key(11)), "enrolled"),
        (fresh.request("pump-2", &key(12)), "enrolled"),
    ] {
        assert_eq!(code(&rig.take(&request)), expected);
    }
    let desk = rig.desk();
    let refused = |card: &super::Card| desk.tokens.get(&card.id).unwrap().refused.clone();
    assert_eq!(refused(&bound).len(), 2);
    assert_eq!(refused(&late)["join-expired"], 1);
    assert_eq!(refused(&fresh)["device-exists"], 1);
}

#[test]
fn tokens_that_this_registry_did_not_hand_out_count_for_nothing() {
    let rig = Rig::new();
    // Signed by a registrar key, but never handed out here: a thief, or a backup.
    let (stranger, _) = forged(1, &key(2), |_| {});
    // Handed out with fewer roles than this one says.
    let known = rig.card(2, |_| {});
    let (wider, _) = forged(2, &key(2), |token| token.roles.clear());
    let (other_domain, _) = forged(3, &key(2), |token| token.domain = domain("barn"));
    let (no_registrar, _) = forged(4, &key(3), |_| {});
    for (card, expected) in [
        (&stranger, "join-unknown"),
        (&wider, "join-unknown"),
        (&other_domain, "join-domain"),
        (&no_registrar, "join-unknown-registrar"),
        (&known, "enrolled"),
    ] {
        assert_eq!(code(&rig.take(&card.request("pump-1", &key(11)))), expected);
    }
}

#[test]
fn whoever_reads_a_request_cannot_bind_its_token_to_another_key() {
    let rig = Rig::new();
    let card = rig.card(1, |_| {});
    let thief = RequestDraft {
        join: Some(card.text.clone()),
        ..draft("pump-1")
    };
    let octets = thief.sign_joined(&key(66), &key(67)).unwrap();
    assert_eq!(code(&rig.take(&octets)), "join-one-time-key");
    let honest = card.request("pump-1", &key(10));
    let mut desk = rig.desk();
    let elsewhere = desk.take(&honest, Some(key(66).public().id()), NOW);
    assert_eq!(code(&elsewhere), "request-topic");
    for place in (0..honest.len()).step_by(7) {
        let mut altered = honest.clone();
        altered[place] ^= 1;
        let judged = desk.take(&altered, None, NOW);
        assert_eq!(judged.decision.word(), "refused", "altered at {place}");
    }
    let own = Some(key(10).public().id());
    assert_eq!(code(&desk.take(&honest, own, NOW)), "enrolled");
}

#[test]
fn a_revoked_token_enrolls_nobody_and_old_requests_bring_nobody_back() {
    let rig = Rig::new();
    let (revoked, used) = (rig.card(1, |_| {}), rig.card(2, |_| {}));
    let request = used.request("pump-1", &key(10));
    assert_eq!(code(&rig.take(&request)), "enrolled");
    let mut desk = rig.desk();
    let mut row = desk.tokens.get(&revoked.id).unwrap().clone();
    row.revoked_at = Some(NOW);
    desk.tokens.put(row);
    assert_eq!(
        code(&desk.take(&revoked.request("pump-2", &key(11)), None, NOW)),
        "join-revoked"
    );
    let states = [
        (DeviceState::Suspended, "device-suspended"),
        (DeviceState::Revoked, "device-revoked"),
    ];
    for (state, expected) in states {
        let device = DeviceRecord {
            state,
            ..rig_record(&desk)
        };
        desk.registry_mut().put_device(device).unwrap();
        assert_eq!(code(&desk.take(&request, None, NOW)), expected);
    }
}

fn rig_record(desk: &super::Desk) -> DeviceRecord {
    desk.registry().device(&device("pump-1")).unwrap().clone()
}

#[test]
fn a_preauthorized_device_gets_its_key_from_its_own_board() {
    let rig = Rig::new();
    let mut desk = rig.desk();
    for id in ["pump-1", "pump-2"] {
        let mut expected = DeviceRecord::expected(device(id));
        expected.serial = Some(format!("serial-of-{id}"));
        desk.registry_mut().put_device(expected).unwrap();
    }
    desk.commit().unwrap();
    drop(desk);
    let card = rig.card(1, |_| {});
    let wrong = RequestDraft {
        serial: Some("another".into()),
        ..draft("pump-1")
    };
    assert_eq!(
        code(&rig.take(&card.request_as(&wrong, &key(10)))),
        "serial"
    );
    assert_eq!(code(&rig.take(&wrong.sign(&key(10)).unwrap())), "serial");
    assert_eq!(
        code(&rig.take(&card.request("pump-1", &key(10)))),
        "enrolled"
    );
    assert_eq!(rig.record("pump-1").state, DeviceState::Active);
    assert_eq!(rig.record("pump-1").keys[0].key.id(), key(10).public().id());
    // Without a token it waits, and says that it is expected.
    let plain = draft("pump-2").sign(&key(11)).unwrap();
    assert_eq!(code(&rig.take(&plain)), "preauthorized");
}

#[test]
fn a_card_for_anybody_does_not_become_a_device_that_is_expected_as_more() {
    let rig = Rig::new();
    let mut desk = rig.desk();
    let door = Role {
        name: role("door"),
        grants: Vec::new(),
        manifest_age_seconds: None,
    };
    desk.registry_mut().put_role(door).unwrap();
    let mut expected = DeviceRecord::expected(device("pump-1"));
    expected.roles = vec![role("door")];
    expected.serial = Some("serial-of-pump-1".into());
    desk.registry_mut().put_device(expected).unwrap();
    desk.registry_mut().save().unwrap();
    desk.commit().unwrap();
    drop(desk);
    let anybodys = rig.card(1, |_| {});
    let request = anybodys.request("pump-1", &key(10));
    assert_eq!(code(&rig.take(&request)), "join-gain");
    assert_eq!(rig.record("pump-1").state, DeviceState::Pending);
    let its_own = rig.card(2, |token| token.device = Some(device("pump-1")));
    let request = its_own.request("pump-1", &key(11));
    assert_eq!(code(&rig.take(&request)), "enrolled");
    assert_eq!(rig.record("pump-1").roles, [role("door"), role("sensor")]);
}
