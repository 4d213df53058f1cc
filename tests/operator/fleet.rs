//! Devices by the thousand, from CSV.

use crate::support::{Place, files, key};
use data_encoding::BASE64URL_NOPAD;
use std::fmt::Write as _;
use std::time::Instant;

/// Devices in the large test; `EDGESEAL_TEST_DEVICES=10000` for the figure of the issue.
fn fleet_size() -> u32 {
    std::env::var("EDGESEAL_TEST_DEVICES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000)
}

pub(crate) fn csv(numbers: std::ops::Range<u32>) -> String {
    let mut text = "id,x,roles,groups,serial\n".to_owned();
    for number in numbers {
        let x = BASE64URL_NOPAD.encode(&key(number).public().octets());
        writeln!(text, "device-{number:05},{x},sensor,,serial-{number}").unwrap();
    }
    text
}

pub(crate) fn farm() -> Place {
    let place = Place::farm();
    place.run("role add sensor").succeeded();
    place.run("group add pumps").succeeded();
    place
}

#[test]
fn a_large_fleet_is_imported_once_and_one_change_rewrites_one_shard() {
    let size = fleet_size();
    let place = farm();
    place.write("fleet.csv", csv(0..size));
    let started = Instant::now();
    let first = place.run("device add --csv fleet.csv --json").json();
    let imported = started.elapsed();
    assert_eq!(first["added"], size);
    assert_eq!(first["bad"], serde_json::json!([]));
    let before = files(&place.path("registry/devices"));
    let again = place.run("device add --csv fleet.csv --json").json();
    assert_eq!(
        (&again["added"], &again["present"]),
        (&0.into(), &size.into())
    );
    assert_eq!(files(&place.path("registry/devices")), before);

    let started = Instant::now();
    let published = place.publish();
    let first_publish = started.elapsed();
    let shards = published["shards"].as_u64().unwrap();
    assert_eq!(shards, u64::from(size.div_ceil(100)).next_power_of_two());
    assert_eq!(published["shards_changed"], shards);
    assert_eq!(published["devices"], size);

    let before = files(&place.path("registry/published"));
    place
        .run("device suspend device-00007 --no-publish")
        .succeeded();
    let started = Instant::now();
    let published = place.publish();
    let second_publish = started.elapsed();
    assert_eq!(published["sequence"], 2);
    assert_eq!(published["shards_changed"], 1);
    let after = files(&place.path("registry/published"));
    assert_eq!(after.len(), before.len() + 2, "the history keeps both");
    let changed = after.iter().filter(|file| !before.contains(file)).count();
    assert_eq!(
        changed, 3,
        "the manifest, its copy in the history, and one shard"
    );
    println!(
        "{size} devices: import {imported:.2?}, publish {first_publish:.2?}, \
         publish after one change {second_publish:.2?}"
    );
}

#[test]
fn every_bad_line_is_reported_and_nothing_is_half_applied() {
    let place = farm();
    let good = csv(0..3);
    let x = |number| BASE64URL_NOPAD.encode(&key(number).public().octets());
    let mut bad = good.clone();
    writeln!(bad, "Upper,{},,,", x(10)).unwrap();
    writeln!(bad, "short,AAAA,,,").unwrap();
    writeln!(bad, "twice,{},,,", x(0)).unwrap();
    writeln!(bad, "role,{},absent,,", x(11)).unwrap();
    writeln!(bad, "group,{},,absent,", x(12)).unwrap();
    writeln!(bad, "columns,{}", x(13)).unwrap();
    writeln!(bad, "device-00001,{},,,", x(14)).unwrap();
    writeln!(bad, "steer\u{1b}[2J,{},,,", x(15)).unwrap();
    writeln!(bad, "good,{},sensor,pumps,", x(16)).unwrap();
    place.write("bad.csv", &bad);
    let before = files(&place.path("registry"));
    let refused = place.run("device add --csv bad.csv --json");
    assert_eq!(refused.code, 1);
    let report: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    let lines: Vec<(u64, &str)> = report["bad"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bad| (bad["line"].as_u64().unwrap(), bad["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            (5, "name"),
            (6, "key-length"),
            (7, "key-in-use"),
            (8, "role-unknown"),
            (9, "group-unknown"),
            (10, "csv"),
            (11, "device-exists"),
            (12, "name"),
        ]
    );
    assert_eq!(report["applied"], false);
    assert_eq!(files(&place.path("registry")), before);
    let text = place.run("device add --csv bad.csv");
    assert!(!text.stdout.contains('\u{1b}'), "{}", text.stdout);
    assert!(
        text.stdout
            .contains("line 6: short: a public key is 32 octets, not 3")
    );
    assert!(
        text.stdout
            .contains("4 would be added, 0 there already, 8 bad lines")
    );

    let dry = place.run("device add --csv bad.csv --dry-run --keep-going");
    assert_eq!(dry.code, 1);
    assert_eq!(files(&place.path("registry")), before);
    let kept = place.run("device add --csv bad.csv --keep-going");
    assert_eq!(kept.code, 1);
    assert_eq!(place.device("good")["groups"][0], "pumps");
    let listed = place.run("device list --json").json();
    assert_eq!(listed["devices"].as_array().unwrap().len(), 4);
}

#[test]
fn an_interrupted_import_goes_on_where_it_stopped() {
    let place = farm();
    place.write("first.csv", csv(0..50));
    place.write("all.csv", csv(0..80));
    place.run("device add --csv first.csv").succeeded();
    // What a killed run leaves: some files in place, one written beside its place.
    place.write("registry/devices/.00.jsonl.tmp", "{\"id\":");
    let rest = place.run("device add --csv all.csv --json").json();
    assert_eq!((&rest["added"], &rest["present"]), (&30.into(), &50.into()));
    let whole = farm();
    whole.write("all.csv", csv(0..80));
    whole.run("device add --csv all.csv").succeeded();
    let devices = |place: &Place| place.run("device list --json").json();
    assert_eq!(devices(&place), devices(&whole));
}

#[test]
fn header_and_encoding_are_judged() {
    let place = farm();
    for (content, code) in [
        ("", "csv-header"),
        ("id\n", "csv-header"),
        ("x\n", "csv-header"),
        ("id,x,jwk\n", "csv-header"),
        ("id,x,colour\n", "csv-header"),
        ("id,x,id\n", "csv-header"),
    ] {
        place.write("bad.csv", content);
        place.run("device add --csv bad.csv").refused(1, code);
    }
    place.write("latin1.csv", b"id,x\n\xe4,y\n");
    let refused = place.run("device add --csv latin1.csv --json");
    assert!(
        refused.code == 1 && refused.stdout.contains("not UTF-8"),
        "{}",
        refused.stdout
    );
    // What spreadsheets write: a byte order mark, CRLF, quotes.
    let jwk = serde_json::to_string(&edgeseal_trust::key::public_jwk(key(1).public())).unwrap();
    let jwk = jwk.replace('"', "\"\"");
    let sheet = format!("\u{feff}id,roles,jwk\r\nshed-1,\"sensor\",\"{jwk}\"\r\n");
    place.write("sheet.csv", sheet);
    place
        .run("device add --csv sheet.csv --group pumps")
        .succeeded();
    let device = place.device("shed-1");
    assert_eq!(
        (&device["roles"][0], &device["groups"][0]),
        (&"sensor".into(), &"pumps".into())
    );
    assert_eq!(device["state"], "active");
}
