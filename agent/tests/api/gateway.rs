//! The gateway as part of the daemon: shown, counted, reloaded, handed sockets, stopped.

use crate::http::PATIENCE;
use crate::place::{Daemon, Place};
use crate::schema::judge;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// MQTT 5, clean start, client identifier `a`.
const CONNECT: &[u8] = &[
    0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0, 0, 0, 1, b'a',
];
const ACCEPTED: &[u8] = &[0x20, 3, 0, 0, 0];
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

fn place() -> Place {
    let place = Place::new();
    place.say(&["init"]);
    place
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

fn configuration(place: &Place, broker: u16, more: &str) -> String {
    let socket = place.path().join("mqtt.sock");
    format!(
        "[[gateway.upstream]]\nurl = \"mqtt://127.0.0.1:{broker}\"\n\
         [[gateway.listener]]\nname = \"apps\"\naddress = \"unix:{}\"\nsubscribe = [\"#\"]\n\
         [[rule]]\ntopic = \"#\"\nmode = \"pass\"\n{more}",
        socket.display()
    )
}

/// A program and the broker's end of its connection, both through with CONNECT.
fn connected(mut program: impl Read + Write, broker: &TcpListener) -> TcpStream {
    program.write_all(CONNECT).unwrap();
    let mut remote = accept(broker);
    let mut head = [0; 2];
    remote.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x10);
    let mut rest = vec![0; usize::from(head[1])];
    remote.read_exact(&mut rest).unwrap();
    remote.write_all(ACCEPTED).unwrap();
    let mut answer = [0; 4];
    program.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0));
    remote
}

/// The gateway's connection to the broker.
fn accept(broker: &TcpListener) -> TcpStream {
    broker.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match broker.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "nobody connects: {error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn status(daemon: &Daemon) -> Value {
    let reply = daemon.get("/v1/status");
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let status = reply.json();
    judge(
        &document,
        &document["components"]["schemas"]["Status"],
        &status,
    )
    .unwrap();
    status["gateway"].clone()
}

#[test]
fn it_is_shown_reloaded_and_stopped_with_the_agent() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = broker.local_addr().unwrap().port();
    let place = place();
    place.configure(&configuration(&place, port, ""));
    let mut daemon = place.start();
    let path = place.path().join("mqtt.sock");
    let program = UnixStream::connect(&path).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut remote = connected(&program, &broker);
    let shown = status(&daemon);
    assert_eq!(shown["upstreams"][0]["state"], "up");
    let connection = &shown["connections"][0];
    assert_eq!(connection["client_id"], "a");
    assert_eq!(connection["state"], "runs");
    assert_eq!(connection["upstream_version"], "5");
    let text = place.say(&["status"]).text();
    for part in [
        "apps on unix:",
        "1 of 64 connections",
        "program        a as apps/uid:",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let metrics = String::from_utf8(daemon.get("/metrics").body).unwrap();
    for line in [
        r#"edgeseal_gateway_connections{listener="apps"} 1"#,
        r#"edgeseal_gateway_upstream_up{upstream="main"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }

    let free = free_port();
    let second = format!("[[gateway.listener]]\nname = \"more\"\naddress = \"127.0.0.1:{free}\"\n");
    place.configure(&configuration(&place, port, &second));
    daemon.signal(Signal::HUP);
    daemon.expect("READY=1");
    let shown = status(&daemon);
    assert_eq!(shown["listeners"].as_array().unwrap().len(), 2);
    assert_eq!(
        shown["connections"].as_array().unwrap().len(),
        1,
        "it stayed"
    );

    place.configure(&configuration(
        &place,
        port,
        "[[gateway.listener]]\naddress = \"unix:/proc/nowhere/mqtt.sock\"\n",
    ));
    daemon.signal(Signal::HUP);
    daemon.expect("READY=1");
    assert!(
        daemon.log().contains("the old one stays in force"),
        "{}",
        daemon.log()
    );
    assert_eq!(status(&daemon)["listeners"].as_array().unwrap().len(), 2);

    daemon.stop();
    let mut last = Vec::new();
    remote.read_to_end(&mut last).unwrap();
    assert_eq!(last, b"", "no DISCONNECT: no will is to fire");
    assert!(!path.exists());
}

#[test]
fn why_a_broker_is_away_is_shown() {
    let port = free_port();
    let place = place();
    place.configure(&configuration(&place, port, ""));
    let daemon = place.start();
    let mut program = UnixStream::connect(place.path().join("mqtt.sock")).unwrap();
    program.write_all(CONNECT).unwrap();
    let mut answer = Vec::new();
    program.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"", "closed without CONNACK");
    let shown = status(&daemon);
    assert_eq!(shown["upstreams"][0]["state"], "down");
    let why = shown["upstreams"][0]["why"].as_str().unwrap();
    assert!(why.contains("refused"), "{why}");
    assert!(place.say(&["status"]).text().contains(why));
}

#[test]
fn a_port_that_another_has_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let place = place();
    let taken = format!("[[gateway.listener]]\naddress = \"127.0.0.1:{port}\"\n");
    place.configure(&configuration(&place, 1, &taken));
    let said = place.say(&["run"]);
    assert_ne!(said.exit, 0);
    assert!(
        said.err.contains("give one of them another port"),
        "{}",
        said.err
    );
}

/// systemd's part is played by Python, which can hand down a file descriptor by number.
#[test]
fn sockets_that_systemd_passes_are_served_by_address_and_by_name() {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = broker.local_addr().unwrap().port();
    let place = place();
    place.configure(&configuration(
        &place,
        port,
        "[[gateway.listener]]\nname = \"named\"\naddress = \"127.0.0.1:1\"\nsubscribe = [\"#\"]\n",
    ));
    let run = place.command(&["run"]);
    let mut python = Command::new("python3");
    python
        .args(["-c", PASS_ON, place.path().to_str().unwrap()])
        .arg(run.get_program())
        .args(run.get_args())
        .env_clear()
        .envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = python.spawn().unwrap();
    let mut tcp = String::new();
    let mut octet = [0];
    let mut said = child.stdout.take().unwrap();
    while said.read_exact(&mut octet).is_ok() && octet != *b"\n" {
        tcp.push(char::from(octet[0]));
    }
    let by_name = TcpStream::connect(("127.0.0.1", tcp.parse().unwrap())).unwrap();
    let first = connected(&by_name, &broker);
    drop((by_name, first));
    let path = place.path().join("mqtt.sock");
    let by_address = UnixStream::connect(&path).unwrap();
    let mut other_id = CONNECT.to_vec();
    *other_id.last_mut().unwrap() = b'b';
    let mut by_address_in = &by_address;
    by_address_in.write_all(&other_id).unwrap();
    accept(&broker);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.exists(), "it is systemd's, not the agent's");
}

const PASS_ON: &str = r#"
import os, socket, sys
place, program = sys.argv[1], sys.argv[2:]
unix = socket.socket(socket.AF_UNIX); unix.bind(place + "/mqtt.sock"); unix.listen()
tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen()
print(tcp.getsockname()[1], flush=True)
one, two = os.dup(unix.fileno()), os.dup(tcp.fileno())
os.dup2(one, 3); os.dup2(two, 4)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2", LISTEN_FDNAMES="unknown:named")
os.execv(program[0], program)
"#;
