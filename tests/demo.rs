//! The demo, as the README tells a newcomer to run it: on the embedded broker, and on a real mosquitto where there is one.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
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
            "unsigned",
            "unverified",
            "unsigned",
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
        text.trim_end().ends_with(
            "5 of 5 honest messages accepted, 11 of 11 hostile ones refused or unmasked."
        )
    );
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_real_broker_serves_as_well() {
    let Some(mosquitto) = mosquitto() else {
        return;
    };
    let port = free_port();
    let broker = Command::new(mosquitto)
        .args(["-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _broker = Ended(broker.unwrap());
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < PATIENCE, "mosquitto does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let url = format!("mqtt://127.0.0.1:{port}");
    let mut demo = Kept::start(&["--json", "--broker", &url]);
    let summary: Value = serde_json::from_str(&demo.line()).unwrap();
    expect_good(&summary);
    let running: Value = serde_json::from_str(&demo.line()).unwrap();
    assert_eq!(running["broker"], format!("127.0.0.1:{port}"));
    for gateway in ["sensor", "pump", "panel"] {
        let port = running[gateway].as_u64().unwrap().try_into().unwrap();
        TcpStream::connect(("127.0.0.1", port)).expect(gateway);
    }
    demo.end(Signal::TERM);
}

#[test]
fn what_is_kept_can_be_tried_with_the_lines_it_prints() {
    if mosquitto().is_none() {
        return;
    }
    let mut demo = Kept::start(&[]);
    let mut lines = Vec::new();
    while !lines
        .last()
        .is_some_and(|line: &String| line.starts_with("Ctrl-C"))
    {
        lines.push(demo.line());
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let wide: Vec<_> = lines
        .iter()
        .filter(|line| line.chars().count() > 80)
        .collect();
    assert!(wide.is_empty(), "{wide:#?}");
    let tries: Vec<&str> = lines
        .iter()
        .filter(|line| line.starts_with("mosquitto_"))
        .copied()
        .collect();
    let [listen, honest, forged, thief] = tries[..] else {
        panic!("{lines:#?}");
    };

    let mut listener = shell(&format!("{listen} -C 1 -W 20"));
    let listener = listener.stdout(Stdio::piped()).spawn().unwrap();
    let mut listener = Ended(listener);
    let started = Instant::now();
    while listener.0.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE, "nothing arrives");
        assert!(shell(honest).status().unwrap().success());
    }
    let mut heard = String::new();
    let stdout = listener.0.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut heard).unwrap();
    assert!(heard.starts_with("site/sensor/temp 22.5"), "{heard}");
    assert!(heard.contains("edgeseal-sender:sensor"), "{heard}");
    assert!(heard.contains("edgeseal-verdict:verified"), "{heard}");

    // A gateway judges for programs that are connected.
    let mut listener = shell(listen);
    let mut listener = Ended(listener.stdout(Stdio::piped()).spawn().unwrap());
    for (line, code) in [(forged, "unsigned"), (thief, "device-revoked")] {
        let refuses = format!("  pump      refuses a message: {code}");
        let started = Instant::now();
        assert!(shell(line).status().unwrap().success());
        while demo.line_within(POLL).as_ref() != Some(&refuses) {
            assert!(started.elapsed() < PATIENCE, "{refuses}");
            assert!(shell(line).status().unwrap().success());
        }
    }
    listener.0.kill().unwrap();
    let mut heard = String::new();
    let stdout = listener.0.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "");
    demo.end(Signal::INT);
}

#[test]
fn an_absent_broker_is_said_so() {
    let port = free_port();
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
    expect_good(&summary);
    summary
}

fn expect_good(summary: &Value) {
    assert_eq!(summary["ok"], true, "{summary:#}");
    assert_eq!(summary["honest"]["sent"], summary["honest"]["accepted"]);
    assert_eq!(summary["hostile"]["sent"], summary["hostile"]["refused"]);
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

/// A machine without mosquitto has the embedded broker's tests; CI installs it.
fn mosquitto() -> Option<&'static str> {
    let found = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let is_ci = std::env::var_os("CI").is_some();
    assert!(found.is_some() || !is_ci, "CI must have mosquitto");
    found
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    // exec: a signal reaches the program itself.
    command.args(["-c", &format!("exec {line}")]);
    command.stdin(Stdio::null());
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A demo that runs on until it is told to end, and then leaves nothing behind.
struct Kept {
    process: Ended,
    lines: mpsc::Receiver<String>,
    place: tempfile::TempDir,
}

impl Kept {
    fn start(args: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut command = command(args);
        command.arg("--keep").env("TMPDIR", place.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        Self {
            process: Ended(child),
            lines,
            place,
        }
    }

    fn line(&mut self) -> String {
        self.line_within(PATIENCE).expect("it prints another line")
    }

    fn line_within(&mut self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    fn end(mut self, signal: Signal) {
        let pid = Pid::from_raw(self.process.0.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        assert!(self.process.0.wait().unwrap().success());
        let left: Vec<_> = std::fs::read_dir(self.place.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(500);
