//! What shards may hold, and where.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::super::fixture::{ISSUED, entry, key, manifest, shards};
use super::super::{DeviceEntry, KeyEntry, Shard, shard_of};
use super::code;
use crate::id::{DeviceId, GroupName, RoleName};
use crate::limits;
use crate::registry::{DeviceState, KeyState};

type Change = fn(&str) -> String;

fn one(change: impl FnOnce(&mut DeviceEntry)) -> &'static str {
    let mut device = entry("pump-1", 21);
    change(&mut device);
    let written = Shard::new(0, 1, vec![device]);
    if let Ok(shard) = &written {
        let octets = shard.to_octets().unwrap();
        assert_eq!(&Shard::parse(&octets).unwrap(), shard);
        assert_eq!(&Shard::reload(&octets).unwrap(), shard);
    }
    code(written)
}

fn parse(change: impl Fn(&str) -> String) -> &'static str {
    let entries = [entry("pump-1", 21), entry("pump-2", 22)];
    let octets = shards(&entries, 1).remove(0);
    let text = String::from_utf8(octets).unwrap();
    code(Shard::parse(change(&text).as_bytes()))
}

#[test]
fn a_device_belongs_where_the_first_bits_of_its_hash_say() {
    // printf pump-1 | sha256sum
    let device = DeviceId::parse("pump-1").unwrap();
    let first = FIRST_OF_PUMP_1;
    for bits in 0..=12 {
        let expected = u64::from(first) >> (32 - bits);
        assert_eq!(u64::from(shard_of(&device, 1 << bits)), expected);
    }
    let entries: Vec<_> = (0..40).map(|n| entry(&format!("d{n}"), 20 + n)).collect();
    for (index, octets) in shards(&entries, 8).iter().enumerate() {
        let shard = Shard::parse(octets).unwrap();
        assert_eq!((shard.index() as usize, shard.of()), (index, 8));
        let moved = String::from_utf8(octets.clone()).unwrap();
        let other = (index + 1) % 8;
        let moved = moved.replacen(
            &format!("\"index\":{index}"),
            &format!("\"index\":{other}"),
            1,
        );
        let expected = if shard.devices().is_empty() {
            "accepted"
        } else {
            "shard-misplaced"
        };
        assert_eq!(code(Shard::parse(moved.as_bytes())), expected);
    }
}

#[test]
fn entries_stand_in_order_and_once() {
    let id = |from: &str, to: &str| {
        parse(|p| p.replacen(&format!("\"{from}\""), &format!("\"{to}\""), 1))
    };
    assert_eq!(id("pump-1", "pump-1"), "accepted");
    assert_eq!(id("pump-1", "pump-2"), "duplicate-device");
    assert_eq!(id("pump-1", "pump-3"), "not-sorted");
    assert_eq!(id("pump-1", "Pump"), "malformed");
    let twice = [entry("pump-1", 21), entry("pump-2", 21)];
    assert_eq!(code(Shard::new(0, 1, twice.to_vec())), "duplicate-kid");
    assert_eq!(one(|d| d.keys.push(d.keys[0].clone())), "duplicate-kid");
    let sorted = Shard::new(0, 1, vec![entry("b", 22), entry("a", 21)]).unwrap();
    assert_eq!(sorted.devices()[0].id.as_str(), "a");
    for of in [0, 3, 8192] {
        assert_eq!(code(Shard::new(0, of, vec![])), "shard-count");
    }
}

#[test]
fn a_shard_is_strict_in_form() {
    let changes: [(Change, &str); 9] = [
        (|p| p.replacen('{', r#"{"x":1,"#, 1), "malformed"),
        (|p| p.replacen(r#"{"id""#, r#"{"x":1,"id""#, 1), "malformed"),
        (
            |p| p.replacen(r#"{"id""#, r#"{"serial":null,"id""#, 1),
            "malformed",
        ),
        (
            |p| p.replacen(r#"{"id""#, r#"{"id":"a","id""#, 1),
            "duplicate-member",
        ),
        (
            |p| p.replacen(r#""format":1"#, r#""format":9"#, 1),
            "format-unknown",
        ),
        (
            |p| p.replacen(r#""active""#, r#""dormant""#, 1),
            "malformed",
        ),
        (|p| p.replacen(r#","groups":["shed"]"#, "", 1), "malformed"),
        (
            |p| p.replacen(r#""kty":"OKP""#, r#""kty":"OKP","d":"AA""#, 1),
            "key-private",
        ),
        (|p| format!("{p}{p}"), "malformed"),
    ];
    for (change, expected) in changes {
        assert_eq!(parse(change), expected);
    }
    let mut octets = shards(&[], 1).remove(0);
    octets.resize(limits::SHARD_OCTETS, b' ');
    assert_eq!(code(Shard::parse(&octets)), "accepted");
    octets.push(b' ');
    assert_eq!(code(Shard::parse(&octets)), "size");
}

#[test]
fn an_entry_keeps_its_rules() {
    let text = |length: usize| Some("x".repeat(length));
    assert_eq!(one(|d| d.serial = text(limits::SERIAL_OCTETS)), "accepted");
    assert_eq!(one(|d| d.serial = text(limits::SERIAL_OCTETS + 1)), "text");
    assert_eq!(one(|d| d.serial = text(0)), "text");
    assert_eq!(one(|d| d.serial = Some("a\u{1b}[2J".into())), "text");
    for (state, expected) in [
        (DeviceState::Active, "reason-misplaced"),
        (DeviceState::Pending, "reason-misplaced"),
        (DeviceState::Revoked, "accepted"),
        (DeviceState::Suspended, "accepted"),
    ] {
        let with = |reason: Option<String>| one(|d| (d.state, d.reason) = (state, reason));
        assert_eq!(with(Some("stolen".into())), expected);
        assert_eq!(with(None), "accepted");
    }
    let reason = |length| one(|d| (d.state, d.reason) = (DeviceState::Revoked, text(length)));
    assert_eq!(reason(limits::REASON_OCTETS), "accepted");
    assert_eq!(reason(limits::REASON_OCTETS + 1), "text");
    for (state, retired_at, expected) in [
        (KeyState::Active, None, "accepted"),
        (KeyState::Active, Some(ISSUED), "retired-at"),
        (KeyState::Retiring, None, "accepted"),
        (KeyState::Retiring, Some(ISSUED), "retired-at"),
        (KeyState::Retired, None, "retired-at"),
        (KeyState::Retired, Some(ISSUED), "accepted"),
        (KeyState::Revoked, None, "accepted"),
        (KeyState::Revoked, Some(ISSUED), "retired-at"),
    ] {
        let found = one(|d| (d.keys[0].state, d.keys[0].retired_at) = (state, retired_at));
        assert_eq!(found, expected, "{state:?} {retired_at:?}");
    }
}

#[test]
fn an_entry_is_bounded() {
    let keys = |count: u8| {
        one(|d| {
            let new = |seed: u8| KeyEntry {
                key: key(30 + seed).public().clone(),
                ..d.keys[0].clone()
            };
            d.keys = (0..count).map(new).collect();
        })
    };
    assert_eq!(keys(0), "accepted"); // preauthorized: the key comes later
    assert_eq!(keys(4), "accepted");
    assert_eq!(keys(5), "too-many");
    let roles = |count: usize| {
        one(|d| {
            d.roles = (0..count)
                .map(|n| RoleName::parse(&format!("r{n}")).unwrap())
                .collect()
        })
    };
    assert_eq!(roles(limits::MEMBERSHIPS), "accepted");
    assert_eq!(roles(limits::MEMBERSHIPS + 1), "too-many");
    let groups = |count: usize| {
        one(|d| {
            d.groups = (0..count)
                .map(|n| GroupName::parse(&format!("g{n}")).unwrap())
                .collect()
        })
    };
    assert_eq!(groups(limits::MEMBERSHIPS), "accepted");
    assert_eq!(groups(limits::MEMBERSHIPS + 1), "too-many");
    assert_eq!(one(|d| d.roles.push(d.roles[0].clone())), "duplicate-name");
    assert_eq!(
        one(|d| d.groups.push(d.groups[0].clone())),
        "duplicate-name"
    );
}

#[test]
fn roles_and_groups_must_be_in_the_manifest_and_the_shard_at_its_place() {
    let check = |change: fn(&mut DeviceEntry), index| {
        let mut device = entry("pump-1", 21);
        change(&mut device);
        let shard = Shard::new(0, 1, vec![device]).unwrap();
        let manifest = manifest(1, 1, &[shard.to_octets().unwrap()]);
        code(shard.check_against(&manifest, index))
    };
    assert_eq!(check(|_| {}, 0), "accepted");
    assert_eq!(check(|_| {}, 1), "shard-index");
    assert_eq!(
        check(|d| d.roles.push(RoleName::parse("boss").unwrap()), 0),
        "unknown-role"
    );
    assert_eq!(
        check(|d| d.groups[0] = GroupName::parse("barn").unwrap(), 0),
        "unknown-group"
    );
    let shard = Shard::new(0, 1, vec![]).unwrap();
    let two = manifest(1, 1, &shards(&[], 2));
    assert_eq!(code(shard.check_against(&two, 0)), "shard-index");
}

#[test]
fn an_entry_becomes_what_a_verdict_needs() {
    let mut device = entry("pump-1", 21);
    device.state = DeviceState::Suspended;
    device.reason = Some("lost".into());
    let later = ISSUED.plus(60);
    device.keys.push(KeyEntry {
        key: key(22).public().clone(),
        state: KeyState::Retired,
        not_before: later.plus(60),
        retired_at: Some(later),
    });
    device.resume(later);
    assert_eq!((device.state, &device.reason), (DeviceState::Active, &None));
    let peers = device.peer_keys();
    assert_eq!(peers.len(), 2);
    assert_eq!(peers[0].not_before, later);
    assert_eq!(peers[1].not_before, later.plus(60)); // a resumption lowers nothing
    assert_eq!(
        (peers[1].state, peers[1].retired_at),
        (KeyState::Retired, Some(later))
    );
    assert_eq!(peers[0].device.id, device.id);
    assert_eq!(*peers[0].device.roles, device.roles);
    assert_eq!(*peers[0].device.groups, device.groups);
}

const FIRST_OF_PUMP_1: u32 = 0x307e6f79;
