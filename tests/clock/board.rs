//! Two boards that are enrolled, each with the real agent and a clock of its own, and the broker between them.

use crate::broker::Broker;
use crate::domain::{self, Domain};
use crate::hands::Hands;
use crate::process::{Running, free_port, until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// The boards, whose agents do not run yet. Their clocks are right and synchronized.
pub(crate) struct Farm {
    // In this order they end.
    pub(crate) alpha: Board,
    pub(crate) beta: Board,
    pub(crate) broker: Broker,
    domain: Domain,
    _place: TempDir,
}

pub(crate) struct Board {
    name: &'static str,
    pub(crate) hands: Hands,
    /// Where its gateway listens.
    pub(crate) port: u16,
    /// The lines of its upstream.
    upstream: String,
    agent: Option<Running>,
    place: PathBuf,
}

/// A message and its token.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    topic: String,
    payload: String,
    token: String,
}

impl Farm {
    /// Over TLS where the broker has it, with certificates that were made a moment ago and are good for two days.
    pub(crate) fn found() -> Self {
        let directory = tempfile::Builder::new().prefix("edgeseal-clock-").tempdir();
        let directory = directory.unwrap();
        let place = directory.path();
        let broker = Broker::start(&place.join("broker"), false);
        let upstream = match broker.tls() {
            Some((port, authority)) => {
                format!("url = \"mqtts://localhost:{port}\"\nca_file = {authority:?}\n")
            }
            None => format!("url = \"mqtt://127.0.0.1:{}\"\n", broker.port()),
        };
        let domain = Domain::found(&place.join("domain"));
        let board = |name| Board::new(name, place.join(name), upstream.clone());
        let (alpha, beta) = (board("alpha"), board("beta"));
        domain.enroll(&[("alpha", &alpha.config()), ("beta", &beta.config())]);
        Self {
            alpha,
            beta,
            broker,
            domain,
            _place: directory,
        }
    }

    /// The operator publishes on the broker. Gives the sequence.
    pub(crate) fn publish(&self) -> u64 {
        let port = self.broker.port();
        let line = format!(
            "publish --json --unsynchronized-clock --keys keys --to mqtt://127.0.0.1:{port}"
        );
        let published: Value = serde_json::from_slice(&self.domain.operator(&line)).unwrap();
        published["sequence"].as_u64().unwrap()
    }

    /// Both agents run, and the second is over that counts as before their start.
    pub(crate) fn boot(&mut self) {
        self.alpha.boot();
        self.beta.boot();
        self.seconds_pass();
    }

    /// Time passes for both boards, a little.
    pub(crate) fn seconds_pass(&self) {
        for board in [&self.alpha, &self.beta] {
            board.hands.pass(Duration::from_secs(2));
        }
    }

    /// Each signs what the other accepts.
    pub(crate) fn talks(&self, what: &str) {
        for (from, to) in [(&self.alpha, &self.beta), (&self.beta, &self.alpha)] {
            let message = from.sign(what).unwrap();
            assert_eq!(to.judge(&message), "verified", "{what}: {message:?}");
        }
    }

    /// Alpha's clock becomes right: what was sent before is accepted, and both work again.
    pub(crate) fn is_put_right(&self, sent_before: &Message) {
        self.alpha.hands.set_by(&self.beta.hands);
        self.alpha.hands.set_synchronized(true);
        self.alpha.says("synchronized", None);
        assert_eq!(self.alpha.judge(sent_before), "verified");
        self.talks("afterwards");
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for board in [&self.alpha, &self.beta] {
                eprintln!("== agent of {}\n{}", board.name, board.log());
            }
        }
    }
}

impl Board {
    fn new(name: &'static str, place: PathBuf, upstream: String) -> Self {
        let board = Self {
            name,
            hands: Hands::new(&place),
            port: free_port(),
            upstream,
            agent: None,
            place,
        };
        board.configure("refuse");
        board
    }

    /// What it does while nobody vouches for its clock: `refuse` or `allow`. For the next start.
    pub(crate) fn configure(&self, unsynchronized: &str) {
        let Self {
            place,
            port,
            upstream,
            ..
        } = self;
        let (state, run) = (place.join("state"), place.join("run"));
        let text = format!(
            r##"[agent]
state_directory = {state:?}
runtime_directory = {run:?}
dangerous_volatile_state = true

[clock]
unsynchronized = "{unsynchronized}"
leeway_seconds = 0

[[gateway.upstream]]
{upstream}
[[gateway.listener]]
name = "apps"
address = "127.0.0.1:{port}"
publish = ["site/{{device}}/#"]
subscribe = ["site/#"]
"##
        );
        fs::write(self.config(), text).unwrap();
    }

    /// The machine boots: its agent starts with an empty `/run`, and is there when this returns.
    pub(crate) fn boot(&mut self) {
        assert!(self.agent.is_none(), "{} is up", self.name);
        fs::remove_dir_all(self.place.join("run")).ok();
        fs::remove_file(self.place.join("log")).ok();
        let mut command = domain::agent(&self.config());
        self.hands.put_on(command.arg("run"));
        self.agent = Some(Running::start(&mut command, &self.place.join("log")));
        until("the agent answers", || {
            let agent = self.agent.as_mut().unwrap();
            assert!(!agent.has_ended(), "{}", agent.said());
            self.ask(&["status"])["uptime_seconds"].is_u64()
        });
    }

    /// A clean stop.
    pub(crate) fn shut_down(&mut self) {
        assert!(self.agent.take().unwrap().terminate().success());
    }

    /// The agent stands still, as everything does on a machine that sleeps.
    pub(crate) fn freeze(&self) {
        self.agent.as_ref().unwrap().signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.agent.as_ref().unwrap().signal(Signal::CONT);
    }

    /// What its agent says of itself.
    pub(crate) fn status(&self) -> Value {
        self.ask(&["status"])
    }

    /// Waits until its agent says so.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut status = Value::Null;
        until(&format!("{}: {what}", self.name), || {
            status = self.status();
            holds(&status)
        });
        status
    }

    /// Waits until it says that its clock is in this state, in its status, in its log, and to `doctor`; and that it
    /// signs and judges, or why not.
    pub(crate) fn says(&self, clock: &str, refusal: Option<&str>) {
        self.until(clock, |status| status["clock"] == clock);
        let status = self.status();
        let refusal = refusal.map_or(Value::Null, Value::from);
        assert_eq!(status["signing"]["code"], refusal, "{status}");
        assert_eq!(status["verifying"]["code"], refusal, "{status}");
        let log = self.log();
        let last = log.lines().rfind(|line| line.contains(" clock="));
        let last = last.unwrap_or_else(|| panic!("nothing of the clock: {log}"));
        assert!(last.contains(clock), "{clock}: {last}");
        let report = self.ask(&["doctor"]);
        let checks = report["checks"]
            .as_array()
            .unwrap_or_else(|| panic!("{report}"));
        let of_clock =
            |check: &&Value| check["check"] == "clock" || check["check"] == "clock-floor";
        let mut of_clock = checks.iter().filter(of_clock);
        let is_well = of_clock.all(|check| check["state"] == "ok");
        assert_eq!(is_well, clock == "synchronized", "{checks:?}");
    }

    /// A message of it, or the code of its refusal.
    pub(crate) fn sign(&self, payload: &str) -> Result<Message, String> {
        let topic = format!("site/{}/x", self.name);
        let lifetime = LIFETIME.to_string();
        let said = self.ask(&[
            "sign",
            "--topic",
            &topic,
            "--payload",
            payload,
            "--lifetime-seconds",
            &lifetime,
        ]);
        match (said["token"].as_str(), said["code"].as_str()) {
            (Some(token), _) => Ok(Message {
                topic,
                payload: payload.to_owned(),
                token: token.to_owned(),
            }),
            (None, Some(code)) => Err(code.to_owned()),
            _ => panic!("{said}"),
        }
    }

    /// `verified`, or the code of the refusal.
    pub(crate) fn judge(&self, message: &Message) -> String {
        let verdict = self.verdict(message);
        let word = ["code", "verdict"].map(|member| verdict[member].as_str());
        let word = word.into_iter().flatten().next();
        word.unwrap_or_else(|| panic!("{verdict}")).to_owned()
    }

    /// All that it says of a message.
    pub(crate) fn verdict(&self, message: &Message) -> Value {
        self.ask(&[
            "verify",
            "--topic",
            &message.topic,
            "--payload",
            &message.payload,
            "--token",
            &message.token,
        ])
    }

    /// Everything that its agent wrote since it booted.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.join("log")).unwrap_or_default()
    }

    /// The octets of its state directory, by their paths.
    pub(crate) fn state(&self) -> PathBuf {
        self.place.join("state")
    }

    fn ask(&self, words: &[&str]) -> Value {
        let mut command = domain::agent(&self.config());
        self.hands.put_on(&mut command);
        let output = command
            .arg("--json")
            .args(words)
            .stdin(Stdio::null())
            .output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap_or_default()
    }

    fn config(&self) -> PathBuf {
        self.place.join("config.toml")
    }
}

/// Of every message, in seconds: the most that the role grants.
pub(crate) const LIFETIME: u64 = 3600;
