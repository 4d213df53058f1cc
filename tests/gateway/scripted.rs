//! The programs of `clients/`: processes that are told by lines and tell by lines.

use crate::client::{At, Event, Kind, Log, Message, Plan, Program};
use crate::process::Running;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

pub(crate) struct Scripted {
    running: Running,
    input: Option<ChildStdin>,
    _errors: tempfile::TempPath,
}

impl Scripted {
    pub(crate) fn start(plan: &Plan, log: &Log) -> Self {
        let errors = tempfile::NamedTempFile::new().unwrap();
        let mut command = command(plan.kind);
        command.args(arguments(plan)).stdin(Stdio::piped());
        command.stdout(Stdio::piped());
        command.stderr(errors.reopen().unwrap());
        let mut running = Running::adopt(command.spawn().unwrap(), errors.path());
        let input = running.child().stdin.take();
        let output = running.child().stdout.take().unwrap();
        let log = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let told = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
                if let Some(event) = event(&told) {
                    log.push(event);
                }
            }
        });
        Self {
            running,
            input,
            _errors: errors.into_temp_path(),
        }
    }

    fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        let told = writeln!(input, "{line}").and_then(|()| input.flush());
        told.unwrap_or_else(|why| panic!("{why}: {}", self.running.said()));
    }
}

impl Program for Scripted {
    fn publish(&mut self, topic: &str, qos: u8, retain: bool, count: usize, prefix: &str) {
        let retain = u8::from(retain);
        self.tell(&format!("publish {topic} {qos} {retain} {count} {prefix}"));
    }

    fn delete(&mut self, topic: &str, qos: u8) {
        self.tell(&format!("delete {topic} {qos}"));
    }

    fn kill(self: Box<Self>) {
        self.running.kill();
    }

    fn quit(mut self: Box<Self>) {
        self.tell("quit");
        let status = self.running.child().wait().unwrap();
        assert!(status.success(), "{status}: {}", self.running.said());
    }
}

/// Is what it needs installed?
pub(crate) fn is_here(kind: Kind) -> bool {
    let part = match kind {
        Kind::C => "libmosquitto",
        Kind::Node => "node_modules/mqtt",
        Kind::Paho1 => "paho-1.6.1/paho",
        _ => "paho-2.1.0/paho",
    };
    installed().join(part).exists()
}

/// Reads what the programs tell, whatever their language.
pub(crate) fn event(told: &Value) -> Option<Event> {
    Some(match told["event"].as_str()? {
        "acked" => Event::Acked(told["prefix"].as_str()?.to_owned()),
        "connected" => Event::Connected {
            session: told["session"].as_bool()?,
        },
        "disconnected" => Event::Disconnected,
        "message" => Event::Message(Message {
            topic: told["topic"].as_str()?.to_owned(),
            payload: told["payload"].as_str()?.to_owned(),
            qos: told["qos"].as_u64()?,
            retain: told["retain"].as_bool()?,
            dup: told["dup"].as_bool()?,
            user: serde_json::from_value(told["user"].clone()).ok()?,
        }),
        "subscribed" => Event::Subscribed(
            told["codes"]
                .as_array()?
                .iter()
                .filter_map(Value::as_u64)
                .collect(),
        ),
        _ => Event::Refused(told.to_string()),
    })
}

fn command(kind: Kind) -> Command {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/gateway/clients");
    let place = installed();
    let mut command = match kind {
        Kind::C => Command::new(place.join("libmosquitto")),
        Kind::Node => {
            let mut command = Command::new("node");
            command.env("MQTT_MODULES", place.join("node_modules"));
            command.arg(clients.join("node.js"));
            command
        }
        _ => Command::new("python3"),
    };
    let paho = match kind {
        Kind::Paho1 => "paho-1.6.1",
        Kind::Paho2 => "paho-2.1.0",
        _ => return command,
    };
    command.env("PYTHONPATH", place.join(paho));
    command
        .args(["-W", "ignore"])
        .arg(clients.join("python.py"));
    command
}

fn arguments(plan: &Plan) -> Vec<String> {
    let mut words = match &plan.at {
        At::Tcp(port) => vec!["--port".to_owned(), port.to_string()],
        At::Unix(path) => vec!["--unix".to_owned(), path.display().to_string()],
    };
    words.extend(["--version".to_owned(), plan.version.to_string()]);
    words.extend(["--id".to_owned(), plan.id.clone()]);
    if plan.persistent {
        words.push("--persistent".to_owned());
    }
    for (filter, qos) in &plan.filters {
        words.extend(["--filter".to_owned(), filter.clone(), qos.to_string()]);
    }
    if let Some(will) = &plan.will {
        words.extend(["--will".to_owned(), will.topic.clone()]);
        words.extend([will.payload.clone(), will.qos.to_string()]);
        words.push(u8::from(will.retain).to_string());
    }
    words
}

fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/gateway-clients")
}
