//! Signals, and what the service manager hears.

use crate::http::connect;
use crate::place::Place;
use rustix::process::Signal;
use std::io::Write;
use std::time::Duration;

#[test]
fn sigterm_ends_it_within_a_second_whoever_is_connected() {
    let place = Place::new();
    place.say(&["init"]);
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = place.start();
        let idle = connect(daemon.socket());
        let mut half = connect(daemon.socket());
        half.write_all(b"POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-le")
            .unwrap();
        assert_eq!(daemon.get("/v1/status").status, 200);
        daemon.signal(signal);
        daemon.expect("STOPPING=1");
        let log = place.path().join("log");
        let status = daemon.wait(Duration::from_secs(1));
        assert!(status.success(), "{status}");
        assert!(!place.socket().exists());
        assert!(
            std::fs::read_to_string(log)
                .unwrap()
                .contains("has stopped")
        );
        drop((idle, half));
    }
}

#[test]
fn a_socket_left_behind_by_a_kill_is_replaced() {
    let place = Place::new();
    place.say(&["init"]);
    place.start().kill();
    assert!(place.socket().exists());
    let daemon = place.start();
    assert_eq!(daemon.get("/v1/status").json()["epoch"], 2);
    daemon.stop();
}

#[test]
fn sighup_takes_the_new_configuration_whole_or_keeps_the_old() {
    let place = Place::new();
    place.say(&["init"]);
    let mut daemon = place.start();
    place.configure("max_body_bytes = 4096\nmax_boddy_bytes = 1\n");
    daemon.signal(Signal::HUP);
    daemon.expect("RELOADING=1");
    let told = daemon.expect("READY=1");
    assert!(told.contains("old configuration"), "{told}");
    assert!(daemon.log().contains("max_boddy_bytes"), "{}", daemon.log());
    let long = serde_json::json!({"token": "x".repeat(5000), "topic": "a", "payload_b64": ""});
    assert_eq!(daemon.post("/v1/verify", &long).status, 200);
    place.configure("max_body_bytes = 4096\n");
    daemon.signal(Signal::HUP);
    daemon.expect("RELOADING=1");
    daemon.expect("READY=1");
    assert_eq!(daemon.post("/v1/verify", &long).status, 413);
    daemon.stop();
}

#[test]
fn a_configuration_that_is_wrong_does_not_start() {
    let place = Place::new();
    place.configure("max_boddy_bytes = 1\n");
    for verb in [&["run"][..], &["config", "check"], &["status"]] {
        let said = place.say(verb);
        assert_eq!(said.exit, 78, "{said:?}");
        assert!(said.err.contains("max_body_bytes"), "{said:?}");
        assert_eq!(said.err.matches('[').count(), 2, "one code: {said:?}"); // and one section
    }
    place.configure("max_boddy_bytes = 1\nmax_connections = 0\n");
    let said = place.say(&["config", "check", "--json"]).json();
    assert_eq!(said["code"], "config");
    let codes: Vec<_> = ["0", "1"]
        .map(|at| said.pointer(&format!("/problems/{at}/code")).unwrap())
        .into();
    assert_eq!(codes, ["config-unknown-key", "config-out-of-range"]);
    place.configure("");
    assert_eq!(place.say(&["config", "check"]).exit, 0);
    let shown = place.say(&["config", "show", "--json"]).json();
    let timeout = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["key"] == "api.request_timeout_seconds");
    assert_eq!(timeout.unwrap()["value"], "1");
}

#[test]
fn the_api_is_served_on_a_socket_that_systemd_made_and_keeps() {
    let place = Place::new();
    place.say(&["init"]);
    std::fs::create_dir_all(place.path().join("run")).unwrap();
    let program = place.command(&["run"]);
    let mut child = std::process::Command::new("python3");
    child.args(["-c", PASS_ON]).arg(place.socket());
    child.arg(program.get_program()).args(program.get_args());
    child.env("EDGESEAL_CONFIG", place.path().join("config.toml"));
    let mut child = child.spawn().unwrap();
    while !place.socket().exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Connects before the agent runs: it waits, and is served.
    assert_eq!(place.say(&["status"]).exit, 1, "not enrolled, but answered");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.socket().exists(), "it is systemd's, not the agent's");
}

const PASS_ON: &str = r#"
import os, socket, sys
path, program = sys.argv[1], sys.argv[2:]
unix = socket.socket(socket.AF_UNIX); unix.bind(path + ".new"); unix.listen(); os.rename(path + ".new", path)
one = os.dup(unix.fileno())
os.dup2(one, 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="api")
os.execv(program[0], program)
"#;
