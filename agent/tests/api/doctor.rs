//! `doctor`: with an agent and without, as root and as a caller.

use crate::domain::enrolled;
use crate::place::{Place, Said};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;

fn state(said: &Said, check: &str) -> String {
    let report = said.json();
    let checks = report["checks"].as_array().unwrap();
    let about = checks.iter().find(|entry| entry["check"] == check);
    let about = about.unwrap_or_else(|| panic!("no {check}: {report}"));
    assert_eq!(about["repair"].is_null(), about["state"] == "ok", "{about}");
    about["state"].as_str().unwrap().to_owned()
}

fn states(said: &Said, wanted: &[(&str, &str)]) {
    for (check, wanted) in wanted {
        assert_eq!(state(said, check), *wanted, "{check}: {}", said.json());
    }
}

#[test]
fn of_an_enrolled_device_with_a_running_agent() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let said = place.say(&["doctor", "--json"]);
    states(
        &said,
        &[
            ("configuration", "ok"),
            ("identity", "ok"),
            ("board", "ok"),
            ("trust", "ok"),
            ("trust-age", "ok"),
            ("enrolled", "ok"),
            ("state-files", "ok"),
            ("agent", "ok"),
            ("agent-version", "ok"),
            ("signing", "ok"),
            ("verifying", "ok"),
            ("round-trip", "ok"),
            ("architecture", "ok"),
        ],
    );
    assert!(said.json()["checks"].as_array().unwrap().len() >= 25);
    let text = place.say(&["doctor"]);
    assert!(
        text.text()
            .contains("signed and verified on site/pump-1/edgeseal-doctor"),
        "{}",
        text.text()
    );
    daemon.stop();
}

#[test]
fn of_a_stopped_agent_and_of_a_device_without_a_key() {
    let place = Place::new();
    let said = place.say(&["doctor", "--json"]);
    assert_eq!(said.exit, 1, "{said:?}");
    states(
        &said,
        &[
            ("state-directory", "broken"),
            ("identity", "broken"),
            ("agent", "broken"),
        ],
    );
    assert!(!place.path().join("state").exists(), "nothing is made");
    place.say(&["init"]);
    let said = place.say(&["doctor", "--json"]);
    states(
        &said,
        &[
            ("state-directory", "ok"),
            ("identity", "ok"),
            ("trust", "broken"),
            ("enrolled", "unknown"),
            ("round-trip", "unknown"),
        ],
    );
    let text = place.say(&["doctor"]).text();
    assert!(
        text.contains("repair  ") && text.contains("why     "),
        "{text}"
    );
}

#[test]
fn of_the_trust_data_on_disk_where_no_agent_runs() {
    let (place, _domain) = enrolled("");
    let said = place.say(&["doctor", "--json"]);
    states(
        &said,
        &[
            ("trust", "ok"),
            ("trust-age", "ok"),
            ("root-age", "ok"),
            ("agent", "broken"),
        ],
    );
    let manifest = place.path().join("state/trust/manifest.json");
    fs::write(&manifest, "{}").unwrap();
    states(&place.say(&["doctor", "--json"]), &[("trust", "broken")]);
}

#[test]
fn a_wrong_configuration_is_told_beside_everything_else() {
    let place = Place::new();
    place.configure("max_boddy_bytes = 1\n");
    let said = place.say(&["doctor", "--json"]);
    assert_eq!(said.exit, 1);
    states(&said, &[("configuration", "broken")]);
    assert!(said.text().contains("max_boddy_bytes"));
}

#[test]
fn another_user_sees_less_and_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        return; // another user cannot become one more; CI runs as root
    }
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let program = place.path().join("edgeseal-agent");
    fs::copy(env!("CARGO_BIN_EXE_edgeseal-agent"), &program).unwrap();
    let mut command = place.command_of(&program, &["doctor", "--json"]);
    command.uid(12_345).gid(12_345);
    let output = loop {
        match command.output() {
            // A child of another test still holds the copy open, between fork and exec.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            ended => break ended.unwrap(),
        }
    };
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    for (check, wanted) in [
        ("identity", "unknown"),
        ("state-files", "unknown"),
        ("agent", "unknown"),
        ("configuration", "ok"),
    ] {
        let about = checks.iter().find(|entry| entry["check"] == check).unwrap();
        assert_eq!(about["state"], wanted, "{about}");
    }
    daemon.stop();
}

#[test]
fn a_broker_that_refuses_and_one_that_is_not_there() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = broker.local_addr().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let absent = gone.local_addr().unwrap();
    drop(gone);
    let place = Place::with(&format!(
        "[[gateway.upstream]]\nname = \"a\"\nurl = \"mqtt://{address}\"\n[[gateway.upstream]]\nname = \"b\"\nurl = \"mqtt://{absent}\"\n"
    ));
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = broker.accept().unwrap();
        let mut packet = [0; 64];
        let read = stream.read(&mut packet).unwrap();
        assert_eq!(&packet[..1], &[0x10]);
        assert!(
            packet[..read]
                .windows(11)
                .any(|part| part == b"edgeseal-dr")
        );
        stream.write_all(&[0x20, 2, 0, 5]).unwrap();
    });
    let said = place.say(&["doctor", "--json"]);
    answering.join().unwrap();
    let report = said.json();
    let of = |check: &str, name: &str| {
        let checks = report["checks"].as_array().unwrap().iter();
        let mut about = checks.filter(|entry| entry["check"] == check);
        about
            .find(|entry| entry["what"].as_str().unwrap().contains(name))
            .unwrap()["state"]
            .clone()
    };
    assert_eq!(of("broker", "broker a"), "ok");
    assert_eq!(of("broker-login", "broker a"), "broken");
    assert_eq!(of("broker", "broker b"), "broken");
}

#[test]
fn a_card_is_made_fit_to_be_copied() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let refused = place.say(&["reset-identity", "--for-image", "--yes"]);
    assert!(refused.err.contains("state-locked"), "{refused:?}");
    daemon.stop();
    let key = fs::File::open(place.path().join("state/identity.pem")).unwrap();
    let before = place.say(&["doctor", "--for-image", "--json"]);
    states(
        &before,
        &[("image-identity", "broken"), ("image-stopped", "ok")],
    );
    assert_eq!(before.exit, 1);
    let asked = place.say(&["reset-identity", "--for-image"]);
    assert!(asked.err.contains("not-confirmed"), "{asked:?}");
    let done = place.say(&["reset-identity", "--for-image", "--yes"]);
    assert_eq!(done.exit, 0, "{done:?}");
    let left: Vec<_> = fs::read_dir(place.path().join("state")).unwrap().collect();
    assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    let mut octets = Vec::new();
    (&key).read_to_end(&mut octets).unwrap();
    assert!(
        octets.iter().all(|octet| *octet == 0),
        "overwritten where it lay"
    );
    states(
        &place.say(&["doctor", "--for-image", "--json"]),
        &[("image-identity", "ok")],
    );
    assert_eq!(
        place.say(&["reset-identity", "--for-image", "--yes"]).exit,
        0,
        "again"
    );
    assert_eq!(place.say(&["init"]).exit, 0, "a copy makes its own key");
}

#[test]
fn the_bundle_holds_no_secret() {
    let place = Place::new();
    let hash = place.say_with(&["hash-password"], b"local-password");
    assert_eq!(hash.exit, 0, "{hash:?}");
    let hash = hash.text().trim().to_owned();
    let password = place.path().join("password");
    fs::write(&password, "upstream-password\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let more = format!(
        "[[gateway.upstream]]\nurl = \"mqtt://127.0.0.1:1\"\ncredentials = \"password\"\nusername = \"door\"\npassword_file = {password:?}\n\
         [[gateway.listener]]\nname = \"apps\"\naddress = \"127.0.0.1:{port}\"\n[[gateway.listener.user]]\nname = \"app\"\npassword_hash = {hash:?}\n"
    );
    place.configure(&more);
    let checked = place.say(&["config", "check"]);
    assert_eq!(checked.exit, 0, "{checked:?}");
    crate::domain::enrolled_in(&place);
    let daemon = place.start();
    let token = place.say(&[
        "sign",
        "--topic",
        crate::enrolled::TOPIC,
        "--payload",
        "the-payload",
        "--json",
    ]);
    let token = token.json()["token"].as_str().unwrap().to_owned();
    let bundle = place.path().join("bundle.json");
    place.say(&["doctor", "--bundle", bundle.to_str().unwrap()]);
    let text = fs::read_to_string(&bundle).unwrap();
    assert!(
        text.contains("\"report\"") && text.contains("identity.pem"),
        "{text}"
    );
    let pem = fs::read_to_string(place.path().join("state/identity.pem")).unwrap();
    let der = BASE64
        .decode(pem.lines().nth(1).unwrap().as_bytes())
        .unwrap();
    let seed = &der[16..];
    assert_eq!(seed.len(), 32);
    let mut secrets = vec![
        pem.lines().nth(1).unwrap().to_owned(),
        BASE64.encode(seed),
        BASE64URL_NOPAD.encode(seed),
        HEXLOWER.encode(seed),
        "upstream-password".to_owned(),
        "local-password".to_owned(),
        hash,
        "the-payload".to_owned(),
    ];
    secrets.extend(token.split('.').map(str::to_owned));
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in the bundle");
    }
    let again = place.say(&["doctor", "--bundle", bundle.to_str().unwrap()]);
    assert!(again.err.contains("file-exists"), "{again:?}");
    daemon.stop();
}
