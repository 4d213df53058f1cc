//! Roles that several persons give: what the desk does with devices that come to one, and what is laid out.

use super::{NOW, OVERLAP, Rig, code, device, draft, key, role, rotation};
use crate::command::publish::Fleet;
use crate::registry::{DeviceRecord, KeyRecord, Matter, Registry, RuleChange};
use edgeseal_trust::document::{DeviceEntry, Shard};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::DeviceState;

impl Rig {
    /// Sensors need two approvals.
    fn guarded() -> Self {
        let rig = Self::new();
        rig.change(|registry| {
            let set = registry.set_rule(&role("sensor"), 2);
            assert_eq!(set, RuleChange::Set(Vec::new()));
        });
        rig
    }

    fn change(&self, change: impl FnOnce(&mut Registry)) {
        let mut desk = self.desk();
        change(desk.registry_mut());
        desk.commit().unwrap();
    }

    fn approve(&self, id: &str, key: &SigningKey) -> usize {
        let mut signed = 0;
        self.change(|registry| {
            let root = registry.root().unwrap();
            let matter = Matter::Device(device(id));
            let progress = registry.approve(&matter, key, root.content(), NOW);
            signed = progress.unwrap().signed.len();
        });
        signed
    }

    /// The device as it is published.
    fn laid_out(&self, id: &str) -> DeviceEntry {
        let desk = self.desk();
        let fleet = Fleet::of(desk.registry(), 1).unwrap();
        let shards = fleet.shards().map(|(_, octets)| Shard::reload(octets));
        let mut entries = shards.flat_map(|shard| shard.unwrap().into_devices());
        entries.find(|entry| entry.id == device(id)).unwrap()
    }

    fn is_member(&self, id: &str) -> bool {
        let entry = self.laid_out(id);
        let has_role = entry.roles == [role("sensor")];
        let is_active = entry.state == DeviceState::Active;
        assert_eq!(is_active, has_role, "{entry:?}");
        is_active
    }
}

#[test]
fn a_card_for_such_a_role_is_used_up_and_the_device_waits() {
    let rig = Rig::guarded();
    let card = rig.card(1, |_| {});
    let request = card.request("pump-1", &key(10));
    for _ in 0..2 {
        assert_eq!(code(&rig.take(&request)), "approvals");
    }
    assert!(rig.desk().tokens.get(&card.id).unwrap().used.is_some());
    assert_eq!(
        code(&rig.take(&card.request("pump-2", &key(11)))),
        "join-used"
    );
    assert!(!rig.is_member("pump-1"));
    for _ in 0..2 {
        assert_eq!(rig.approve("pump-1", &key(900)), 1);
    }
    // A key that the root does not name counts for nothing.
    assert_eq!(rig.approve("pump-1", &key(77)), 1);
    assert_eq!(code(&rig.take(&request)), "approvals");
    assert!(!rig.is_member("pump-1"));
    assert_eq!(rig.approve("pump-1", &key(2)), 2);
    assert_eq!(code(&rig.take(&request)), "again");
    assert!(rig.is_member("pump-1"));
}

#[test]
fn a_request_that_the_operator_approves_waits_for_the_others() {
    let rig = Rig::guarded();
    assert_eq!(
        code(&rig.take(&draft("pump-1").sign(&key(10)).unwrap())),
        "approval"
    );
    let mut desk = rig.desk();
    let dress = |device: &mut DeviceRecord| device.roles.push(role("sensor"));
    let kid = key(10).public().id();
    let _ = desk.approve(kid, &device("pump-1"), &dress, NOW).unwrap();
    desk.commit().unwrap();
    drop(desk);
    assert!(!rig.is_member("pump-1"));
    rig.approve("pump-1", &key(2));
    rig.approve("pump-1", &key(901));
    assert!(rig.is_member("pump-1"));
}

#[test]
fn a_rotated_key_stays_approved_and_another_key_does_not() {
    let rig = Rig::guarded();
    let card = rig.card(1, |_| {});
    let request = card.request("pump-1", &key(10));
    assert_eq!(code(&rig.take(&request)), "approvals");
    rig.approve("pump-1", &key(2));
    rig.approve("pump-1", &key(900));
    for step in 10..16_u32 {
        let (old, new) = (key(step), key(step + 1));
        let mut desk = rig.desk();
        let later = NOW.plus(u64::from(step) * (OVERLAP + 1));
        crate::enrollment::retire_due(desk.registry_mut(), later).unwrap();
        let judged = desk.take(&rotation("pump-1", &old, &new), None, later);
        assert_eq!(code(&judged), "rotated");
        desk.commit().unwrap();
        drop(desk);
        assert!(rig.is_member("pump-1"), "{step}");
    }
    rig.change(|registry| {
        let mut record = registry.device(&device("pump-1")).unwrap().clone();
        record.keys.clear();
        record.keys.push(KeyRecord::new(key(66).public().clone()));
        registry.put_device(record).unwrap();
    });
    assert!(!rig.is_member("pump-1"));
    assert_eq!(rig.approve("pump-1", &key(2)), 1);
    assert_eq!(rig.approve("pump-1", &key(900)), 2);
    assert!(rig.is_member("pump-1"));
}

#[test]
fn whoever_has_the_role_before_remains_and_suspension_is_never_held_back() {
    let rig = Rig::new();
    rig.add("pump-1", &key(10));
    let assign = |registry: &mut Registry, is: bool| {
        let mut record = registry.device(&device("pump-1")).unwrap().clone();
        record.roles = is.then(|| role("sensor")).into_iter().collect();
        registry.put_device(record).unwrap();
    };
    rig.change(|registry| assign(registry, true));
    rig.change(|registry| {
        let set = registry.set_rule(&role("sensor"), 2);
        assert_eq!(set, RuleChange::Set(vec![device("pump-1")]));
    });
    assert!(rig.is_member("pump-1"));
    // Taken away and given again, it is given by one.
    rig.change(|registry| assign(registry, false));
    rig.change(|registry| assign(registry, true));
    let entry = rig.laid_out("pump-1");
    assert_eq!((entry.state, entry.roles.len()), (DeviceState::Active, 0));
    for state in [DeviceState::Suspended, DeviceState::Revoked] {
        rig.change(|registry| {
            let mut record = registry.device(&device("pump-1")).unwrap().clone();
            record.state = state;
            registry.put_device(record).unwrap();
        });
        assert_eq!(rig.laid_out("pump-1").state, state);
    }
}

#[test]
fn a_device_that_was_written_into_the_registry_by_hand_waits_too() {
    let rig = Rig::guarded();
    let record = {
        let mut record = DeviceRecord::new(
            device("pump-1"),
            key(10).public().clone(),
            DeviceState::Active,
        );
        record.roles.push(role("sensor"));
        serde_json::to_string(&record).unwrap()
    };
    let dir = rig.dir.path().join("registry/devices");
    std::fs::create_dir_all(&dir).unwrap();
    let name = format!("{:02x}.jsonl", DeviceRecord::bucket_of(&device("pump-1")));
    std::fs::write(dir.join(name), format!("{record}\n")).unwrap();
    assert!(!rig.is_member("pump-1"));
    rig.approve("pump-1", &key(2));
    assert!(!rig.is_member("pump-1"));
    rig.approve("pump-1", &key(900));
    assert!(rig.is_member("pump-1"));
}
