//! Killed after each write: the same requests lead to the same end, and no token is used twice.

use super::super::desk::Part;
use super::{NOW, OVERLAP, Rig, code, key, rotation};
use edgeseal_trust::registry::KeyState;

const PARTS: [Part; 3] = [Part::Tokens, Part::Devices, Part::Pending];

#[test]
fn a_token_is_used_once_whatever_is_written_when_the_power_goes() {
    for written in 0..=PARTS.len() {
        let rig = Rig::new();
        let card = rig.card(1, |_| {});
        let request = card.request("pump-1", &key(10));
        let mut desk = rig.desk();
        assert_eq!(code(&desk.take(&request, None, NOW)), "enrolled");
        for part in &PARTS[..written] {
            desk.write(*part).unwrap();
        }
        drop(desk); // the crash

        // Long after, when the token has expired, and before the honest request a thief's.
        let late = NOW.plus(1_000_000);
        let mut desk = rig.desk();
        let thief = desk.take(&card.request("pump-9", &key(66)), None, late);
        let honest = desk.take(&request, None, late);
        desk.commit().unwrap();
        let (thief, honest) = (code(&thief), code(&honest));
        match written {
            0 => assert_eq!((thief, honest), ("join-expired", "join-expired")),
            1 => assert_eq!((thief, honest), ("join-expired", "enrolled")),
            _ => assert_eq!((thief, honest), ("join-expired", "again")),
        }
        drop(desk);
        let mut desk = rig.desk();
        let thief = desk.take(&card.request("pump-9", &key(66)), None, NOW);
        let expected = if written == 0 {
            "enrolled"
        } else {
            "join-used"
        };
        assert_eq!(code(&thief), expected, "{written} parts written");
        let honest = desk.take(&request, None, NOW);
        let expected = if written == 0 { "join-used" } else { "again" };
        assert_eq!(code(&honest), expected, "{written} parts written");
    }
}

#[test]
fn a_rotation_that_was_cut_off_is_done_once() {
    for written in 0..=PARTS.len() {
        let rig = Rig::new();
        rig.add("pump-1", &key(10));
        let request = rotation("pump-1", &key(10), &key(11));
        let mut desk = rig.desk();
        assert_eq!(code(&desk.take(&request, None, NOW)), "rotated");
        for part in &PARTS[..written] {
            desk.write(*part).unwrap();
        }
        drop(desk); // the crash
        let mut desk = rig.desk();
        let expected = if written < 2 { "rotated" } else { "again" };
        assert_eq!(code(&desk.take(&request, None, NOW.plus(60))), expected);
        desk.commit().unwrap();
        drop(desk);
        let record = rig.record("pump-1");
        let states: Vec<KeyState> = record.keys.iter().map(|key| key.state).collect();
        assert_eq!(states, [KeyState::Retiring, KeyState::Active]);
        let since = if written < 2 { NOW.plus(60) } else { NOW };
        assert_eq!(record.keys[0].retires_at, Some(since.plus(OVERLAP)));
    }
}

#[test]
fn an_approval_that_was_cut_off_is_done_once() {
    for written in 0..=PARTS.len() {
        let rig = Rig::new();
        let plain = super::draft("pump-1").sign(&key(10)).unwrap();
        assert_eq!(code(&rig.take(&plain)), "approval");
        let id = super::device("pump-1");
        let kid = key(10).public().id();
        let mut desk = rig.desk();
        let _ = desk.approve(kid, &id, &|_| {}, NOW).unwrap();
        for part in &PARTS[..written] {
            desk.write(*part).unwrap();
        }
        drop(desk); // the crash
        let mut desk = rig.desk();
        // Still shown to the operator until it is whole, and approving again is harmless.
        assert_eq!(desk.pending().get(kid).is_some(), written < 3);
        let expected = if written < 2 { "approval" } else { "again" };
        assert_eq!(code(&desk.take(&plain, None, NOW)), expected);
    }
}
