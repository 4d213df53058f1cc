//! Two devices with a gateway each, and the broker between them.

use crate::broker::Broker;
use crate::domain::{self, Domain};
use crate::hands::Hands;
use crate::process::{Running, finished, free_port, until};
use crate::wire::Wire;
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tempfile::TempDir;

/// The publisher's device and the subscriber's: their programs reach the broker through their own gateway.
pub(crate) struct World {
    // In this order they end: agents, wires, broker, and the directory last.
    pub(crate) devices: Vec<Device>,
    _wires: Vec<Wire>,
    pub(crate) broker: Broker,
    _place: TempDir,
}

/// One device.
pub(crate) struct Device {
    pub(crate) name: &'static str,
    /// Where its programs connect.
    pub(crate) port: u16,
    /// The same as a Unix socket.
    pub(crate) socket: Option<PathBuf>,
    path: Path_,
    place: PathBuf,
    hands: Option<Hands>,
}

/// What the configuration of a device says, beside its own places.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Lines of its `[[gateway.upstream]]`.
    pub(crate) upstream: String,
    /// What an unsynchronized clock means: `allow` or `refuse`.
    pub(crate) unsynchronized: &'static str,
    /// What programs at its TCP listener may publish, as a list of TOML.
    pub(crate) publish: &'static str,
    pub(crate) rules: &'static str,
    /// Whether the agent has a connection of its own to the broker, beside those of its programs.
    pub(crate) trust_link: bool,
}

/// What stands between a program and the broker.
enum Path_ {
    /// The gateway of an agent.
    Gateway(Option<Running>),
    /// Nothing but a wire: the run that says what the broker alone does.
    Direct(Wire),
}

/// How gateways reach the broker.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Upstream {
    /// MQTT 5; the first device by TLS where the broker has it.
    Five,
    /// A broker that refuses MQTT 5.
    Only311,
}

/// Which broker.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Which {
    /// The one of this process.
    Embedded,
    /// Mosquitto where there is one. With its defaults it closes on a client that has more than 20 unfinished messages; a
    /// gateway, told so in CONNACK, holds them back. Only where a gateway cannot be told it bears more.
    Found,
}

/// How a gateway ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Clean,
    Kill,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Upstream::Five, Which::Found)
    }

    pub(crate) fn with(upstream: Upstream, which: Which) -> Self {
        let direct = is_direct();
        let directory = tempfile::Builder::new().prefix("edgeseal-gw-").tempdir();
        let directory = directory.unwrap();
        let place = directory.path();
        let at = place.join("broker");
        let broker = match which {
            Which::Embedded => Broker::embedded(),
            Which::Found => Broker::start(&at, upstream == Upstream::Only311),
        };
        let mut wires = Vec::new();
        let mut port = broker.port();
        if upstream == Upstream::Only311 {
            wires.push(Wire::only_311(free_port(), port));
            port = wires[0].port();
        }
        let plain = format!("url = \"mqtt://127.0.0.1:{port}\"\n");
        let secure = match (upstream, broker.tls()) {
            (Upstream::Five, Some((port, authority))) => {
                format!("url = \"mqtts://localhost:{port}\"\nca_file = {authority:?}\n")
            }
            _ => plain.clone(),
        };
        let devices = if direct {
            let socket = broker.socket();
            let device = |name| Device::direct(name, place, port, socket.clone());
            vec![device("alpha"), device("beta")]
        } else {
            Device::enrolled(place, &[("alpha", secure), ("beta", plain)])
        };
        Self {
            devices,
            _wires: wires,
            broker,
            _place: directory,
        }
    }

    pub(crate) fn device(&mut self, name: &str) -> &mut Device {
        let found = self.devices.iter_mut().find(|device| device.name == name);
        found.unwrap()
    }

    /// Are messages signed and judged here, or is this the run that shows what the broker alone does?
    pub(crate) fn is_direct(&self) -> bool {
        matches!(self.devices[0].path, Path_::Direct(_))
    }

    /// Shows what the agents wrote, when a test has failed.
    fn tell(&self) {
        for device in &self.devices {
            if let Path_::Gateway(Some(agent)) = &device.path {
                eprintln!("== agent of {}\n{}", device.name, agent.said());
            }
        }
        eprintln!("== broker\n{}", self.broker.said());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
    }
}

impl Device {
    /// Enrolled devices with running agents; each pair is a name and the lines of its upstream.
    pub(crate) fn enrolled(place: &Path, plans: &[(&'static str, String)]) -> Vec<Self> {
        let setup = |upstream: &String| Setup::new(upstream.clone());
        let plans = plans.iter().map(|(name, at)| (*name, setup(at)));
        Self::set_up(place, plans.collect())
    }

    /// Enrolled devices with running agents that are set up in different ways.
    pub(crate) fn set_up(place: &Path, plans: Vec<(&'static str, Setup)>) -> Vec<Self> {
        Self::joined(&Domain::found(&place.join("domain")), place, plans)
    }

    /// The same in a domain that may have devices already: they hear nothing of these.
    pub(crate) fn joined(
        domain: &Domain,
        place: &Path,
        plans: Vec<(&'static str, Setup)>,
    ) -> Vec<Self> {
        let mut devices = Vec::new();
        for (name, setup) in plans {
            let place = place.join(name);
            fs::create_dir_all(&place).unwrap();
            let device = Self {
                name,
                port: free_port(),
                socket: Some(place.join("mqtt.sock")),
                path: Path_::Gateway(None),
                place,
                hands: None,
            };
            device.configure(&setup);
            devices.push(device);
        }
        let configs: Vec<_> = devices.iter().map(|at| (at.name, at.config())).collect();
        let configs: Vec<_> = configs.iter().map(|(a, b)| (*a, b.as_path())).collect();
        domain.enroll(&configs);
        for device in &mut devices {
            device.start();
        }
        // Nobody knows what was accepted before the first start, so messages of that second are refused.
        let first = now();
        until("the next second", || now() > first + 1);
        devices
    }

    fn direct(name: &'static str, place: &Path, broker: u16, socket: Option<PathBuf>) -> Self {
        let wire = Wire::new(free_port(), broker);
        Self {
            name,
            port: wire.port(),
            socket,
            path: Path_::Direct(wire),
            place: place.to_owned(),
            hands: None,
        }
    }

    pub(crate) fn stop(&mut self, end: End) {
        match (&mut self.path, end) {
            (Path_::Direct(wire), _) => wire.cut(),
            (Path_::Gateway(agent), End::Clean) => {
                assert!(agent.take().unwrap().terminate().success());
            }
            (Path_::Gateway(agent), End::Kill) => agent.take().unwrap().kill(),
        }
    }

    /// From its next start on its agent lives by a clock of its own.
    pub(crate) fn hands(&mut self) -> &Hands {
        self.hands.get_or_insert_with(|| Hands::new(&self.place))
    }

    /// Starts its gateway, and returns when it listens.
    pub(crate) fn start(&mut self) {
        let config = self.config();
        match &mut self.path {
            Path_::Direct(wire) => wire.join(),
            Path_::Gateway(agent) => {
                let mut command = domain::agent(&config);
                if let Some(hands) = &self.hands {
                    hands.put_on(&mut command);
                }
                let mut process = Running::start(command.arg("run"), &self.place.join("log"));
                until("the gateway listens", || {
                    assert!(!process.has_ended(), "{}", process.said());
                    TcpStream::connect(("127.0.0.1", self.port)).is_ok()
                });
                *agent = Some(process);
            }
        }
    }

    /// Writes its configuration, for the next start.
    pub(crate) fn configure(&self, setup: &Setup) {
        let socket = self.socket.as_ref().unwrap();
        let text = configuration(&self.place, self.port, socket, setup);
        fs::write(self.config(), text).unwrap();
    }

    /// Runs a verb of its agent's program, its words parted by spaces, and gives what it says as JSON.
    pub(crate) fn verb(&self, line: &str) -> Value {
        let mut command = domain::agent(&self.config());
        let said = finished(command.arg("--json").args(line.split(' ')));
        serde_json::from_slice(&said).unwrap()
    }

    /// The end of what its agent wrote.
    pub(crate) fn said(&self) -> String {
        self.agent().said()
    }

    /// Memory of its agent.
    pub(crate) fn resident_kibibytes(&self) -> u64 {
        let Path_::Gateway(Some(agent)) = &self.path else {
            return 0;
        };
        let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap().parse().unwrap()
    }

    fn agent(&self) -> &Running {
        match &self.path {
            Path_::Gateway(Some(agent)) => agent,
            _ => panic!("{} has no running agent", self.name),
        }
    }

    fn config(&self) -> PathBuf {
        self.place.join("config.toml")
    }
}

/// Whole seconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

impl Setup {
    pub(crate) fn new(upstream: String) -> Self {
        Self {
            upstream,
            unsynchronized: "allow",
            publish: r#"["site/{device}/#", "plain/#"]"#,
            rules: RULES,
            trust_link: true,
        }
    }

    /// One whose broker is plain TCP at this port.
    pub(crate) fn at(port: u16) -> Self {
        Self::new(format!("url = \"mqtt://127.0.0.1:{port}\"\n"))
    }

    /// With these rules in place of the usual ones; its programs may publish anything.
    pub(crate) fn rules(mut self, rules: &'static str) -> Self {
        self.publish = r##"["#"]"##;
        self.rules = rules;
        self
    }
}

fn configuration(place: &Path, port: u16, socket: &Path, setup: &Setup) -> String {
    let (state, run) = (place.join("state"), place.join("run"));
    let Setup {
        upstream,
        unsynchronized,
        publish,
        rules,
        trust_link,
    } = setup;
    format!(
        r##"[agent]
state_directory = {state:?}
runtime_directory = {run:?}
dangerous_volatile_state = true

[clock]
unsynchronized = "{unsynchronized}"
leeway_seconds = 0

[trust]
link = {trust_link}

[replay]
max_consumers = 2048 # every case of the conformance run has identifiers of its own

[[gateway.upstream]]
{upstream}will_delay_seconds = 1

[[gateway.listener]]
name = "apps"
address = "127.0.0.1:{port}"
publish = {publish}
subscribe = ["#"]

[[gateway.listener]]
name = "socket"
address = "unix:{socket}"
publish = ["site/{{device}}/#"]
subscribe = ["site/#"]

{rules}"##,
        socket = socket.display()
    )
}

/// `EDGESEAL_TESTS_ROUTE=direct` takes the gateways away: what the broker alone does.
pub(crate) fn is_direct() -> bool {
    std::env::var_os("EDGESEAL_TESTS_ROUTE").is_some_and(|route| route == "direct")
}

const RULES: &str = r##"[[rule]]
topic = "site/+/+/state"
kind = "retained"
accept = ["message", "retained"]
max_age_seconds = 60

[[rule]]
topic = "plain/#"
mode = "pass"

[[rule]]
topic = "watch/#"
mode = "observe"

[[rule]]
topic = "site/+/envelope"
form = "envelope"

[[rule]]
topic = "site/#"
lifetime_seconds = 600
"##;
