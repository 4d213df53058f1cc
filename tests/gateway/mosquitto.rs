//! `mosquitto_sub` and `mosquitto_pub`, as scripts use them: one that stays and is started again when it ends, one for each batch.

use crate::client::{At, Event, Log, Message, Plan, Program};
use crate::process::{POLL, Running};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Both tools, under one client identifier (with `-pub` for the publisher).
pub(crate) struct Tools {
    subscriber: Option<Subscriber>,
    batches: Sender<Batch>,
}

struct Subscriber {
    now: Arc<Mutex<Running>>,
    ends: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
    _errors: tempfile::TempPath,
}

struct Batch {
    topic: String,
    qos: u8,
    retain: bool,
    lines: String,
    prefix: String,
}

impl Tools {
    pub(crate) fn start(plan: &Plan, log: &Log) -> Self {
        let subscriber = (!plan.filters.is_empty()).then(|| Subscriber::start(plan, log));
        let (batches, wanted) = channel::<Batch>();
        let (plan, log) = (plan.clone(), log.clone());
        std::thread::spawn(move || {
            for (number, batch) in wanted.into_iter().enumerate() {
                publish(&plan, &batch, number);
                log.push(Event::Acked(batch.prefix));
            }
        });
        Self {
            subscriber,
            batches,
        }
    }
}

impl Program for Tools {
    fn publish(&mut self, topic: &str, qos: u8, retain: bool, count: usize, prefix: &str) {
        let lines = (0..count).map(|number| format!("{prefix}-{number}\n"));
        let batch = Batch {
            topic: topic.to_owned(),
            qos,
            retain,
            lines: lines.collect(),
            prefix: prefix.to_owned(),
        };
        self.batches.send(batch).unwrap();
    }

    fn delete(&mut self, topic: &str, qos: u8) {
        let batch = Batch {
            topic: topic.to_owned(),
            qos,
            retain: true,
            lines: String::new(),
            prefix: "deleted".to_owned(),
        };
        self.batches.send(batch).unwrap();
    }

    fn kill(mut self: Box<Self>) {
        if let Some(subscriber) = self.subscriber.take() {
            subscriber.end(rustix::process::Signal::KILL);
        }
    }

    fn quit(mut self: Box<Self>) {
        if let Some(subscriber) = self.subscriber.take() {
            subscriber.end(rustix::process::Signal::TERM);
        }
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        if let Some(subscriber) = self.subscriber.take() {
            subscriber.end(rustix::process::Signal::KILL);
        }
    }
}

impl Subscriber {
    fn start(plan: &Plan, log: &Log) -> Self {
        let errors = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let first = run(plan, log, &errors);
        let now = Arc::new(Mutex::new(first));
        let ends = Arc::new(AtomicBool::new(false));
        let keeper = {
            let (now, ends) = (Arc::clone(&now), Arc::clone(&ends));
            let (plan, log, errors) = (plan.clone(), log.clone(), errors.to_path_buf());
            std::thread::spawn(move || {
                while !ends.load(Ordering::SeqCst) {
                    std::thread::sleep(POLL * 10);
                    let mut now = now.lock().unwrap();
                    // As systemd's Restart= would. Version 5 of it ends when a CONNACK says "server unavailable".
                    if now.has_ended() && !ends.load(Ordering::SeqCst) {
                        *now = run(&plan, &log, &errors);
                    }
                }
            })
        };
        Self {
            now,
            ends,
            keeper,
            _errors: errors,
        }
    }

    fn end(self, signal: rustix::process::Signal) {
        self.ends.store(true, Ordering::SeqCst);
        self.now.lock().unwrap().end_by(signal);
        let _ = self.keeper.join();
    }
}

/// Is it installed?
pub(crate) fn is_here() -> bool {
    Path::new(SUBSCRIBE).exists() && Path::new(PUBLISH).exists()
}

fn run(plan: &Plan, log: &Log, errors: &Path) -> Running {
    // Its lines reach a pipe one by one.
    let mut command = Command::new("stdbuf");
    command.args(["-oL", SUBSCRIBE, "-d", "-F", "%j"]);
    connection(&mut command, plan, &plan.id);
    if plan.persistent {
        command.arg("-c");
        if plan.version == 5 {
            command.args(["-x", "3600"]);
        }
    }
    let highest = plan.filters.iter().map(|(_, qos)| *qos).max();
    command.args(["-q", &highest.unwrap_or(0).to_string()]);
    for (filter, _) in &plan.filters {
        command.args(["-t", filter]);
    }
    if let Some(will) = &plan.will {
        command.args(["--will-topic", &will.topic, "--will-payload", &will.payload]);
        command.args(["--will-qos", &will.qos.to_string()]);
        if will.retain {
            command.arg("--will-retain");
        }
    }
    let file = std::fs::OpenOptions::new().append(true).open(errors);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(file.unwrap());
    let mut running = Running::adopt(command.spawn().unwrap(), errors);
    let output = running.child().stdout.take().unwrap();
    let log = log.clone();
    std::thread::spawn(move || {
        let mut dup = false;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            read(&line, &mut dup, &log);
        }
    });
    running
}

fn read(line: &str, dup: &mut bool, log: &Log) {
    if let Some(message) = line.starts_with('{').then(|| message(line, *dup)) {
        log.push(Event::Message(message));
    } else if let Some((_, flags)) = line.split_once("received PUBLISH (d") {
        *dup = flags.starts_with('1');
    } else if let Some((_, code)) = line.split_once("received CONNACK (") {
        // It does not show session present; the subscriptions that it then repeats are asked for by every start of it.
        if code.starts_with('0') {
            log.push(Event::Connected { session: false });
        } else {
            log.push(Event::Refused(code.to_owned()));
        }
    } else if let Some(rest) = line.strip_prefix("Subscribed (mid: ") {
        let codes = rest.split_once("): ").map_or("", |(_, codes)| codes);
        let codes = codes.split(", ").filter_map(|code| code.parse().ok());
        log.push(Event::Subscribed(codes.collect()));
    } else if line.starts_with("Error") || line.contains("DISCONNECT") {
        log.push(Event::Refused(line.to_owned()));
    }
}

fn message(line: &str, dup: bool) -> Message {
    let told: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    let user = &told["properties"]["user-properties"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let qos = told["qos"].as_u64().unwrap();
    Message {
        topic: text(&told["topic"]),
        payload: text(&told["payload"]),
        qos,
        retain: told["retain"] == 1,
        dup: dup && qos < 2,
        user: user
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
    }
}

/// Until it says that everything is acknowledged; a script would do the same.
fn publish(plan: &Plan, batch: &Batch, number: usize) {
    loop {
        let mut command = Command::new(PUBLISH);
        // It ends before the broker has read all of it: under the same identifier the next one would cut it off.
        connection(
            &mut command,
            plan,
            &format!("{}-pub{}", plan.id, number % 10),
        );
        command.args(["-t", &batch.topic, "-q", &batch.qos.to_string()]);
        command.arg(if batch.lines.is_empty() { "-n" } else { "-l" });
        if batch.retain {
            command.arg("-r");
        }
        if plan.version == 5 {
            command.args(["-D", "publish", "user-property", "from", &plan.id]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // It may end without reading.
        let _ = child
            .stdin
            .take()
            .unwrap()
            .write_all(batch.lines.as_bytes());
        if child.wait().unwrap().success() {
            return;
        }
        std::thread::sleep(POLL * 20);
    }
}

fn connection(command: &mut Command, plan: &Plan, id: &str) {
    match &plan.at {
        At::Tcp(port) => command.args(["-h", "127.0.0.1", "-p", &port.to_string()]),
        At::Unix(path) => command.arg("--unix").arg(path),
    };
    let version = if plan.version == 5 { "5" } else { "311" };
    command.args(["-V", version, "-i", id, "-k", "20"]);
}

const SUBSCRIBE: &str = "/usr/bin/mosquitto_sub";
const PUBLISH: &str = "/usr/bin/mosquitto_pub";
