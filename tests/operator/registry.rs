//! The registry as files: locked, refused when damaged, usable from anywhere.

use crate::support::{Place, files, key};
use std::fs::File;

fn with_device() -> (Place, String) {
    let place = Place::farm();
    place.write_jwk("jwk", &key(1));
    place.run("device add pump-1 --jwk jwk").succeeded();
    let devices = files(&place.path("registry/devices"));
    assert_eq!(devices.len(), 1);
    let name = devices[0].0.file_name().unwrap().to_str().unwrap();
    let name = format!("registry/devices/{name}");
    (place, name)
}

#[test]
fn a_locked_registry_is_not_changed_but_waits() {
    let place = Place::farm();
    let lock = File::open(place.path("registry/.lock")).unwrap();
    lock.lock().unwrap();
    place.run("group add pumps").refused(75, "registry-locked");
    place.run("status").refused(75, "registry-locked");
    lock.unlock().unwrap();
    let reader = File::open(place.path("registry/.lock")).unwrap();
    reader.lock_shared().unwrap();
    place.run("status").succeeded();
    place.run("group add pumps").refused(75, "registry-locked");
    drop(reader);
    place.run("group add pumps").succeeded();
    // Who is done in a moment is waited for.
    lock.lock().unwrap();
    let waits = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(lock);
    });
    place.run("group add valves").succeeded();
    waits.join().unwrap();
}

#[test]
fn a_damaged_line_is_refused_by_file_and_line() {
    let (place, name) = with_device();
    let line = place.read(&name);
    let x_at = line.find("\"x\":\"").unwrap() + 5;
    let mut other_key = line.clone();
    let flipped = if &line[x_at..=x_at] == "A" { "B" } else { "A" };
    other_key.replace_range(x_at..=x_at, flipped);
    for (damaged, number) in [
        (format!("{line}garbage\n"), 2),
        (format!("\n{line}"), 1),
        (line.trim_end().to_owned(), 1),
        (format!("{line}{line}"), 2),
        (line.replace("\"state\"", "\"status\""), 1),
        (line.replace("pump-1", "pump-2"), 1),
        (line.replace("active", "believed"), 1),
        (line.replace("\"roles\":[]", "\"roles\":[\"absent\"]"), 1),
        (line.replace("\"roles\":[]", "\"roles\":[],\"roles\":[]"), 1),
        (other_key, 1),
        (format!("<<<<<<< HEAD\n{line}=======\n"), 1),
    ] {
        assert_ne!(damaged, line);
        place.write(&name, &damaged);
        let said = place.run("status").refused(78, "registry-corrupt");
        assert!(
            said.contains(&format!("{name}:{number}: ")),
            "{damaged}: {said}"
        );
        place.run("group add pumps").refused(78, "registry-corrupt");
        assert_eq!(place.read(&name), damaged);
    }
    place.write(&name, [b"\xff\n".as_slice(), line.as_bytes()].concat());
    place.run("status").refused(78, "registry-corrupt");
    place.write(&name, &line);
    place.run("status").succeeded();
}

#[test]
fn damaged_tables_and_unknown_formats_are_refused() {
    let (place, _) = with_device();
    for (name, content, code) in [
        (
            "domain.json",
            "{\n\"edgeseal_registry\": 1,\n",
            "registry-corrupt",
        ),
        (
            "domain.json",
            "{\"edgeseal_registry\": 2}",
            "registry-format",
        ),
        ("domain.json", "{}", "registry-corrupt"),
        (
            "roles.json",
            "{\"roles\":[{\"name\":\"A\"}]}",
            "registry-corrupt",
        ),
        (
            "roles.json",
            "{\"roles\":[{\"name\":\"a\"},{\"name\":\"a\"}]}",
            "registry-corrupt",
        ),
        ("groups.json", "", "registry-corrupt"),
        ("root/1.json", "{}", "registry-corrupt"),
    ] {
        let name = format!("registry/{name}");
        let before = place.read(&name);
        place.write(&name, content);
        let said = place.run("status").refused(78, code);
        assert!(said.contains(&name), "{said}");
        place.write(&name, before);
    }
    std::fs::remove_file(place.path("registry/roles.json")).unwrap();
    place.run("status").refused(69, "file-missing");
}

#[test]
fn a_lost_file_of_published_devices_is_noticed() {
    let (place, name) = with_device();
    assert_eq!(place.publish()["sequence"], 1);
    std::fs::remove_file(place.path(&name)).unwrap();
    let said = place
        .run("publish --keys keys --unsynchronized-clock")
        .refused(78, "devices-lost");
    assert!(said.contains("pump-1"), "{said}");
    let status = place.run("status --json").json();
    assert_eq!(status["unpublished"]["lost"][0], "pump-1");
}

#[test]
fn no_registry_is_said_and_the_place_can_be_chosen() {
    let place = Place::empty();
    place.run("status").refused(69, "no-registry");
    let json = place.run("status --json");
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["error"], "unavailable");
    assert_eq!(error["code"], "no-registry");
    assert!(error["hint"].as_str().unwrap().contains("domain init"));
    let farm = Place::farm();
    let dir = farm.path("registry");
    let dir = dir.to_str().unwrap();
    place.args(&["status", "--registry", dir]).succeeded();
    let output = place
        .command(&["status"])
        .env("EDGESEAL_REGISTRY", dir)
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn help_has_examples_and_wrong_usage_is_2() {
    let place = Place::empty();
    for line in ["--help", "device add --help", "publish --help", "--version"] {
        place.run(line).succeeded();
    }
    let help = place.run("device add --help").succeeded();
    assert!(
        help.contains("edgeseal device add --csv fleet.csv"),
        "{help}"
    );
    for line in [
        "",
        "frobnicate",
        "device add",
        "device add Pump --jwk x",
        "device add --csv x --jwk y",
        "role grant r --publish a/#/b --audience domain",
        "role grant r --publish a --audience everyone",
        "publish",
    ] {
        let text = place.run(line);
        assert_eq!((text.code, text.stdout.as_str()), (2, ""), "{line}");
        let json = place.run(&format!("{line} --json"));
        assert_eq!(json.code, 2, "{line}");
        let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
        assert_eq!(error["code"], "usage", "{line}");
    }
}
