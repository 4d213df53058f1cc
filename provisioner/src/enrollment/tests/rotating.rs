//! Rotations: approved unattended where nothing is odd.

use super::super::{next_due, retire_due};
use super::{NOW, OVERLAP, Rig, code, device, key, rotation};
use crate::registry::DeviceRecord;
use edgeseal_trust::registry::{DeviceState, KeyState};

fn states(record: &DeviceRecord) -> Vec<KeyState> {
    record.keys.iter().map(|key| key.state).collect()
}

#[test]
fn an_active_device_gets_its_next_key_and_the_old_one_is_retired_later() {
    let rig = Rig::new();
    rig.add("pump-1", &key(10));
    let request = rotation("pump-1", &key(10), &key(11));
    assert_eq!(code(&rig.take(&request)), "rotated");
    assert_eq!(code(&rig.take(&request)), "again");
    let record = rig.record("pump-1");
    assert_eq!(states(&record), [KeyState::Retiring, KeyState::Active]);
    let mut desk = rig.desk();
    let due = NOW.plus(OVERLAP);
    assert_eq!(next_due(desk.registry()), Some(due));
    assert!(
        retire_due(desk.registry_mut(), due.minus(1))
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        retire_due(desk.registry_mut(), due).unwrap(),
        [device("pump-1")]
    );
    desk.commit().unwrap();
    assert_eq!(next_due(desk.registry()), None);
    drop(desk);
    let record = rig.record("pump-1");
    assert_eq!(states(&record), [KeyState::Retired, KeyState::Active]);
    assert_eq!(record.keys[0].retired_at, Some(due));
    // The same message once more, from a broker that kept it, and one that leads back to the old key.
    assert_eq!(code(&rig.take(&request)), "again");
    let back = rotation("pump-1", &key(11), &key(10));
    assert_eq!(code(&rig.take(&back)), "request-replayed");
    let stolen = rotation("pump-1", &key(10), &key(66));
    assert_eq!(code(&rig.take(&stolen)), "request-replayed");
}

#[test]
fn a_second_rotation_and_one_of_a_suspended_device_wait_for_the_operator() {
    let rig = Rig::new();
    rig.add("pump-1", &key(10));
    assert_eq!(
        code(&rig.take(&rotation("pump-1", &key(10), &key(11)))),
        "rotated"
    );
    let second = rotation("pump-1", &key(11), &key(12));
    assert_eq!(code(&rig.take(&second)), "rotation-open");
    let mut desk = rig.desk();
    let id = device("pump-1");
    let kid = key(12).public().id();
    let decision = desk.approve(kid, &id, &|_| {}, NOW).unwrap();
    assert_eq!(decision.word(), "rotated");
    desk.commit().unwrap();
    drop(desk);
    let record = rig.record("pump-1");
    let retired = [KeyState::Retired, KeyState::Retiring, KeyState::Active];
    assert_eq!(states(&record), retired);

    let mut desk = rig.desk();
    let mut device = record;
    device.state = DeviceState::Suspended;
    desk.registry_mut().put_device(device).unwrap();
    let third = rotation("pump-1", &key(12), &key(13));
    assert_eq!(code(&desk.take(&third, None, NOW)), "device-suspended");
    let kid = key(13).public().id();
    let decision = desk.approve(kid, &id, &|_| {}, NOW).unwrap();
    assert_eq!(decision.word(), "rotated");
    let device = desk.registry().device(&id).unwrap();
    assert_eq!(device.state, DeviceState::Suspended);
    assert_eq!(device.keys.len(), 4);
    assert_eq!(desk.pending().iter().len(), 0);
}

#[test]
fn a_rotation_needs_both_keys_and_the_devices_own() {
    let rig = Rig::new();
    rig.add("pump-1", &key(10));
    rig.add("pump-2", &key(20));
    for (request, expected) in [
        (rotation("pump-1", &key(20), &key(11)), "rotation-device"),
        (
            rotation("pump-1", &key(30), &key(11)),
            "rotation-unknown-key",
        ),
        (rotation("pump-1", &key(10), &key(20)), "key-in-use"),
    ] {
        assert_eq!(code(&rig.take(&request)), expected);
    }
    let mut altered = rotation("pump-1", &key(10), &key(11));
    let place = altered.len() - 20;
    altered[place] ^= 1;
    assert_eq!(rig.take(&altered).decision.word(), "refused");
    assert_eq!(states(&rig.record("pump-1")), [KeyState::Active]);
}

#[test]
fn many_rotations_keep_the_newest_keys() {
    let rig = Rig::new();
    rig.add("pump-1", &key(10));
    let mut now = NOW;
    for number in 10..20 {
        let mut desk = rig.desk();
        let request = rotation("pump-1", &key(number), &key(number + 1));
        assert_eq!(code(&desk.take(&request, None, now)), "rotated");
        now = now.plus(OVERLAP);
        retire_due(desk.registry_mut(), now).unwrap();
        desk.commit().unwrap();
    }
    let record = rig.record("pump-1");
    let kids: Vec<_> = record.keys.iter().map(|key| key.key.id()).collect();
    let newest: Vec<_> = (17..=20).map(|n| key(n).public().id()).collect();
    assert_eq!(kids, newest);
}
