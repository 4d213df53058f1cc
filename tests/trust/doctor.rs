//! `edgeseal doctor` with a real registry, real keys and a real broker: well, then broken, one thing at a time.

use crate::broker::Broker;
use crate::operator::{PASSPHRASE, Place, key};
use crate::retained::{put, retained};
use crate::serving::with_sensors;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

const DOCTOR: &str = "doctor --keys keys --passphrase-file pass --unsynchronized-clock --json";
const PUBLISH: &str = "publish --keys keys --passphrase-file pass --unsynchronized-clock";

/// What is not well, by check.
fn told(place: &Place, line: &str) -> BTreeMap<String, String> {
    let outcome = place.run(line);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let is_broken = report["state"] == "broken";
    assert_eq!(outcome.code, i32::from(is_broken), "{report}");
    assert_eq!(
        (outcome.stderr.as_str(), &report["doctor"]),
        ("", &Value::from(1))
    );
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |entry: &Value, member: &str| entry[member].as_str().unwrap().to_owned();
    let mut told = BTreeMap::new();
    for entry in checks.filter(|entry| entry["state"] != "ok") {
        assert!(!text(entry, "repair").is_empty(), "{entry}");
        told.insert(text(entry, "check"), text(entry, "state"));
    }
    // This machine's clock is nobody's here, and says something else elsewhere.
    told.remove("clock");
    told.remove("units");
    told
}

fn expect(place: &Place, line: &str, expected: &[(&str, &str)]) {
    let expected = expected.iter();
    let expected = expected.map(|(check, state)| ((*check).to_owned(), (*state).to_owned()));
    assert_eq!(told(place, line), expected.collect::<BTreeMap<_, _>>());
}

/// A domain whose keys are under a passphrase, with the root key elsewhere, one device, and a broker that has it all.
fn well() -> (Place, Broker) {
    let place = Place::empty();
    place
        .run("domain init farm --keys keys --passphrase-file pass")
        .succeeded();
    std::fs::create_dir(place.path("offline")).unwrap();
    std::fs::rename(
        place.path("keys/root-1.pem"),
        place.path("offline/root-1.pem"),
    )
    .unwrap();
    let broker = with_sensors(&place);
    place.run(PUBLISH).succeeded();
    place
        .run("backup farm.backup --passphrase-file pass")
        .succeeded();
    (place, broker)
}

#[test]
fn what_breaks_is_told_and_what_the_doctor_says_repairs_it() {
    let (place, broker) = well();
    expect(&place, DOCTOR, &[]);
    let text = place.run(&DOCTOR.replace(" --json", "")).succeeded();
    assert!(text.contains("ok       broker-sequence"), "{text}");

    // Without a passphrase nothing is asked for, and what it would show is unknown.
    expect(
        &place,
        "doctor --keys keys --unsynchronized-clock --json",
        &[("key-named", "unknown")],
    );

    let words = place.write_request("pump.json", "pump-1", &key(1));
    place
        .run("device add pump-1 --request pump.json --role sensor")
        .succeeded();
    expect(
        &place,
        DOCTOR,
        &[("pending", "warning"), ("unpublished", "warning")],
    );
    place
        .args(&["device", "approve", "pump-1", "--words", &words])
        .succeeded();
    place.run(PUBLISH).succeeded();
    expect(&place, DOCTOR, &[("fleet", "warning")]); // nobody has heard of it

    // The broker forgets a shard, then everything.
    let there = retained(broker.port());
    let shard = there
        .keys()
        .find(|topic| topic.contains("/shard/"))
        .unwrap();
    put(broker.port(), &[(shard, b"something else")]);
    expect(
        &place,
        DOCTOR,
        &[("broker-shards", "broken"), ("fleet", "warning")],
    );
    place.run("publish --again --all-shards").succeeded();
    let none: Vec<(&str, &[u8])> = there
        .keys()
        .map(|topic| (topic.as_str(), &b""[..]))
        .collect();
    put(broker.port(), &none);
    let empty = [
        ("broker-sequence", "broken"),
        ("broker-shards", "unknown"),
        ("fleet", "warning"),
    ];
    expect(&place, DOCTOR, &empty);
    place.run("publish --again").succeeded();
    expect(&place, DOCTOR, &[("fleet", "warning")]);
}

#[test]
fn a_registry_from_a_backup_is_behind_its_broker() {
    let (place, _broker) = well();
    place.run("role add other").succeeded();
    place.run(PUBLISH).succeeded();
    std::fs::rename(place.path("registry"), place.path("lost")).unwrap();
    let restore = "restore farm.backup --passphrase-file pass --catch-up --registry registry";
    place.run(restore).succeeded();
    let told = told(&place, DOCTOR);
    assert_eq!(told["broker-sequence"], "broken", "{told:?}");
    let said = place.run(&DOCTOR.replace(" --json", "")).stdout;
    assert!(said.contains("[broker-ahead]"), "{said}");
}

#[test]
fn files_and_keys_that_others_reach_are_told() {
    let (place, broker) = well();
    let mode = |name: &str, mode: u32| {
        std::fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
    };
    mode("registry/roles.json", 0o666);
    expect(&place, DOCTOR, &[("registry-files", "broken")]);
    mode("registry/roles.json", 0o664);
    expect(&place, DOCTOR, &[("registry-files", "broken")]);
    mode("registry/roles.json", 0o644);

    mode("keys/registrar-1.pem", 0o640);
    let locked = told(&place, DOCTOR);
    assert_eq!(locked["registrar-keys"], "broken", "{locked:?}");
    mode("keys/registrar-1.pem", 0o600);

    std::fs::copy(
        place.path("keys/registrar-1.pem"),
        place.path("registry/copy.pem"),
    )
    .unwrap();
    expect(&place, DOCTOR, &[("keys-in-registry", "broken")]);
    std::fs::remove_file(place.path("registry/copy.pem")).unwrap();

    place.write("keys/registrar-1.pem", "no key");
    assert_eq!(told(&place, DOCTOR)["registrar-keys"], "broken");
    let offline = DOCTOR.replace("--keys keys", "--keys offline");
    let none = told(&place, &offline);
    assert_eq!(
        (&*none["registrar-keys"], &*none["root-keys"]),
        ("broken", "warning")
    );

    let history = place.read("registry/history.jsonl");
    place.write(
        "registry/history.jsonl",
        history.replace("\"sequence\":1", "\"sequence\":9"),
    );
    assert_eq!(told(&place, DOCTOR)["history"], "broken");
    place.write("registry/domain.json", "{}");
    assert_eq!(told(&place, DOCTOR)["registry"], "broken");
    drop(broker);
}

#[test]
fn where_a_connection_fails_is_told() {
    let (place, mut broker) = well();
    if let Some((port, authority)) = broker.tls() {
        let at = |host: &str, more: &str| {
            told(
                &place,
                &format!("{DOCTOR} --broker mqtts://{host}:{port} {more}"),
            )
        };
        let believed = format!("--ca {}", authority.display());
        assert_eq!(at("localhost", &believed), BTreeMap::new());
        // The same broker, by a name that its certificate does not have; then vouched for by somebody else.
        let misnamed = at("127.1", &believed);
        assert_eq!(misnamed["broker-tls"], "broken", "{misnamed:?}");
        let server = authority.with_file_name("server.pem");
        place.write("other.pem", std::fs::read(server).unwrap());
        let strange = at("localhost", "--ca other.pem");
        assert_eq!(strange["broker-tls"], "broken", "{strange:?}");
        assert_eq!(strange["broker-login"], "unknown", "{strange:?}");
        assert_eq!(strange.get("broker"), None, "{strange:?}");
        let mosquitto = broker.mosquitto().unwrap();
        mosquitto.stop();
    } else {
        drop(broker);
    }
    let away = told(&place, DOCTOR);
    assert_eq!(
        (&*away["broker"], &*away["broker-login"]),
        ("broken", "unknown")
    );
    assert_eq!(away["fleet"], "unknown");
    // One that lets nobody in: CONNACK with reason code 0x87, not authorized (MQTT 5, 3.2.2.2).
    let refused = told_by(&place, &[&[0x20, 3, 0, 0x87, 0]]);
    assert_eq!(refused["broker-login"], "broken", "{refused:?}");
    assert_eq!(refused.get("broker"), None, "{refused:?}");
    // Two that let everybody in and drop the link: before and after they grant the subscription (SUBACK, 3.9).
    let connack: &[u8] = &[0x20, 3, 0, 0, 0];
    let suback: &[u8] = &[0x90, 4, 0, 1, 0, 1];
    for answers in [[connack, &[]], [connack, suback]] {
        let dropped = told_by(&place, &answers);
        assert_eq!(dropped["broker-link"], "broken", "{dropped:?}");
        assert_eq!(dropped.get("broker-login"), None, "{dropped:?}");
    }
}

/// What is not well with a broker that answers so, one answer for each time that it reads, and closes the connection.
fn told_by(place: &Place, answers: &[&'static [u8]]) -> BTreeMap<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers = answers.to_vec();
    let porter = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for answer in answers {
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer).unwrap();
        }
    });
    let told = told(place, &format!("{DOCTOR} --broker mqtt://127.0.0.1:{port}"));
    porter.join().unwrap();
    told
}

#[test]
fn the_bundle_holds_no_secret() {
    let (place, _broker) = well();
    place.write_private("password", "the-broker-password\n");
    let cards = "join create --keys keys --passphrase-file pass --unsynchronized-clock --role sensor --out cards --json";
    place.run(cards).succeeded();
    let line = DOCTOR.replace(
        "--json",
        "--username operator --password-file password --bundle report.json",
    );
    place.run(&line).succeeded();
    let bundle = place.read("report.json");
    for known in [
        "edgeseal_doctor_bundle",
        "broker-sequence",
        "history.jsonl",
        "\"farm\"",
    ] {
        assert!(bundle.contains(known), "{known}: {bundle}");
    }
    let mode = std::fs::metadata(place.path("report.json"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let mut secrets = vec![PASSPHRASE.to_owned(), "the-broker-password".to_owned()];
    for card in crate::cards::files(&place, "cards") {
        let card: Value = serde_json::from_slice(&std::fs::read(card).unwrap()).unwrap();
        let texts = card.as_object().unwrap().values().filter_map(Value::as_str);
        secrets.extend(texts.filter(|text| text.len() >= 43).map(str::to_owned));
    }
    assert!(secrets.len() > 3, "{secrets:?}");
    for name in ["keys/registrar-1.pem", "offline/root-1.pem"] {
        let pem = place.read(name);
        secrets.extend(
            pem.lines()
                .filter(|line| !line.starts_with('-'))
                .map(str::to_owned),
        );
    }
    let jsonl = place.read("registry/join-tokens.jsonl");
    let token: Value = serde_json::from_str(jsonl.lines().next().unwrap()).unwrap();
    secrets.push(token["one_time"].as_str().unwrap().to_owned());
    for secret in secrets {
        assert!(!bundle.contains(&secret), "{secret} is in the bundle");
    }
    place.run(&line).refused(1, "file-exists");
}

/// A key without a passphrase: its seed is on disk as it is, and neither form of it is in the bundle.
#[test]
fn neither_is_a_seed_that_nothing_protects() {
    let place = Place::farm();
    let line = "doctor --keys keys --unsynchronized-clock --bundle report.json";
    let said = place.run(line).stdout;
    assert!(said.contains("warning  key-passphrase"), "{said}");
    let bundle = place.read("report.json");
    let pem = place.read("keys/registrar-1.pem");
    let der = BASE64
        .decode(pem.lines().nth(1).unwrap().as_bytes())
        .unwrap();
    let seed = der.get(16..).unwrap();
    assert_eq!(seed.len(), 32);
    for secret in [
        BASE64.encode(seed),
        BASE64URL_NOPAD.encode(seed),
        HEXLOWER.encode(seed),
        BASE64.encode(&der),
    ] {
        assert!(
            !bundle.contains(&secret) && !said.contains(&secret),
            "{secret}"
        );
    }
}
