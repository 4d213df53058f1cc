//! The demo, as the README tells a newcomer to run it: on the embedded broker, and on a real mosquitto where there is one.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[test]
fn every_honest_message_is_accepted_and_every_hostile_one_refused() {
    let output = demo(&["--json"]);
    let summary = judge(&output);
    let codes: Vec<&str> = summary["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["code"].as_str())
        .filter(|code| *code != "verified")
        .collect();
    assert_eq!(
        codes,
        [
            "signature",
            "payload",
            "topic",
            "shape",
            "replay",
            "topic-not-granted",
            "expired",
            "device-suspended",
            "device-revoked"
        ]
    );
}

#[test]
fn it_fits_80_columns_and_leaves_no_trace() {
    let place = tempfile::tempdir().unwrap();
    let output = command(&[]).env("TMPDIR", place.path()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let wide: Vec<&str> = text
        .lines()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");
    assert!(
        text.trim_end()
            .ends_with("5 of 5 honest messages accepted, 9 of 9 hostile ones refused.")
    );
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_real_broker_serves_as_well() {
    let Some(mosquitto) = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        // A machine without mosquitto has the embedded broker's tests; CI installs it and says so here.
        assert!(std::env::var_os("CI").is_none(), "CI must have mosquitto");
        return;
    };
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let broker = Command::new(mosquitto)
        .args(["-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _broker = Killed(broker.unwrap());
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "mosquitto does not listen"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    judge(&demo(&[
        "--json",
        "--broker",
        &format!("mqtt://127.0.0.1:{port}"),
    ]));
}

#[test]
fn an_absent_broker_is_said_so() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = demo(&["--broker", &format!("mqtt://127.0.0.1:{port}")]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        told(&output).contains("no MQTT connection to 127.0.0.1"),
        "{}",
        told(&output)
    );
    let output = demo(&["--broker", "http://127.0.0.1"]);
    assert!(
        told(&output).contains("write mqtt://HOST"),
        "{}",
        told(&output)
    );
}

fn judge(output: &Output) -> Value {
    assert!(output.status.success(), "{}", told(output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["ok"], true, "{summary:#}");
    assert_eq!(summary["honest"]["sent"], summary["honest"]["accepted"]);
    assert_eq!(summary["hostile"]["sent"], summary["hostile"]["refused"]);
    summary
}

fn demo(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edgeseal"));
    command.arg("demo").args(args).stdin(Stdio::null());
    command
}

fn told(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
