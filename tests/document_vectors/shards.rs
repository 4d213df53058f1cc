//! The vectors of shards and the entries in them.

use super::Named;
use super::bundles::{Bundle, jwk};
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    [layout(), values(), memberships(), keys()].concat()
}

fn layout() -> Vec<Named> {
    vec![
        shard(
            "shard-format",
            "format-unknown",
            "a shard of format 0",
            &|s| s["format"] = 0.into(),
        ),
        shard(
            "shard-index",
            "shard-index",
            "no device, and shard 1 of 2 where 0 of 1 belongs",
            &|s| {
                *s = json!({ "format": 1, "index": 1, "of": 2, "devices": [] });
            },
        ),
        shard(
            "shard-of-three",
            "shard-count",
            "one of three shards",
            &|s| s["of"] = 3.into(),
        ),
        shard(
            "shard-misplaced",
            "shard-misplaced",
            "devices that belong into shard 0",
            &|s| s["index"] = 1.into(),
        ),
        shard(
            "shard-unsorted",
            "not-sorted",
            "devices in another order",
            &|s| {
                s["devices"].as_array_mut().unwrap().reverse();
            },
        ),
        shard("device-twice", "duplicate-device", "a device twice", &|s| {
            s["devices"][1]["id"] = "pump-1".into()
        }),
        shard(
            "key-of-two-devices",
            "duplicate-kid",
            "one key of two devices",
            &|s| {
                s["devices"][1]["keys"][0]["jwk"] = jwk(4);
            },
        ),
        shard(
            "key-twice",
            "duplicate-kid",
            "one key twice in one entry",
            &|s| {
                let again = s["devices"][0]["keys"][0].clone();
                s["devices"][0]["keys"].as_array_mut().unwrap().push(again);
            },
        ),
        shard("keys-five", "too-many", "five keys of one device", &|s| {
            let one = s["devices"][0]["keys"][0].clone();
            s["devices"][0]["keys"] = vec![one; 5].into();
        }),
    ]
}

fn values() -> Vec<Named> {
    vec![
        entry(
            "device-id",
            "malformed",
            "an id in capitals",
            "id",
            "PUMP-1".into(),
        ),
        entry(
            "device-id-wildcard",
            "malformed",
            "an id that is a wildcard",
            "id",
            "+".into(),
        ),
        entry(
            "device-id-long",
            "malformed",
            "an id of 65 characters",
            "id",
            "p".repeat(65).into(),
        ),
        entry(
            "device-state",
            "malformed",
            "a state that is not known",
            "state",
            "lost".into(),
        ),
        entry(
            "device-reason",
            "reason-misplaced",
            "a reason while active",
            "reason",
            "stolen".into(),
        ),
        entry(
            "device-serial-empty",
            "text",
            "an empty serial",
            "serial",
            "".into(),
        ),
        entry(
            "device-serial-control",
            "text",
            "a serial with a line end",
            "serial",
            "a\nb".into(),
        ),
        entry(
            "device-serial-long",
            "text",
            "a serial of 65 octets",
            "serial",
            "1".repeat(65).into(),
        ),
    ]
}

fn memberships() -> Vec<Named> {
    vec![
        entry(
            "device-role",
            "unknown-role",
            "a role that the manifest lacks",
            "roles",
            json!(["panel"]),
        ),
        entry(
            "device-group",
            "unknown-group",
            "a group that the manifest lacks",
            "groups",
            json!(["panels"]),
        ),
        entry(
            "device-role-twice",
            "duplicate-name",
            "a role twice",
            "roles",
            json!(["pump", "pump"]),
        ),
        entry(
            "device-roles-33",
            "too-many",
            "33 roles",
            "roles",
            names(33),
        ),
        entry(
            "device-member",
            "malformed",
            "a member that is not known",
            "admin",
            true.into(),
        ),
    ]
}

fn keys() -> Vec<Named> {
    vec![
        key(
            "key-state",
            "malformed",
            "a key state that is not known",
            "state",
            "burned".into(),
        ),
        key(
            "key-retired-at",
            "retired-at",
            "retired_at of an active key",
            "retired_at",
            1_795_000_000.into(),
        ),
        key(
            "key-retired-without",
            "retired-at",
            "a retired key without retired_at",
            "state",
            "retired".into(),
        ),
        key(
            "key-not-before",
            "malformed",
            "not_before with a fraction",
            "not_before",
            json!(1.5),
        ),
    ]
}

fn shard(name: &str, expect: &str, title: &str, change: &dyn Fn(&mut Value)) -> Named {
    Bundle::honest().shard(change).vector(name, expect, title)
}

fn entry(name: &str, expect: &str, title: &str, member: &'static str, value: Value) -> Named {
    shard(name, expect, title, &|s| {
        s["devices"][0][member] = value.clone()
    })
}

fn key(name: &str, expect: &str, title: &str, member: &'static str, value: Value) -> Named {
    shard(name, expect, title, &|s| {
        s["devices"][0]["keys"][0][member] = value.clone()
    })
}

fn names(count: u32) -> Value {
    (0..count).map(|n| format!("r{n}")).collect()
}
