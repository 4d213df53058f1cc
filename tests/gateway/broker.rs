//! The broker behind the gateways: Debian's mosquitto, or the embedded one where it is absent.

use crate::process::{Running, finished, free_port, until};
use edgeseal::broker::{Broker as Demonstration, BrokerHandle};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

/// A broker that listens.
pub(crate) enum Broker {
    Embedded(Embedded),
    Mosquitto(Mosquitto),
}

/// In this process; without TLS, and with nothing that survives its end.
pub(crate) struct Embedded {
    handle: BrokerHandle,
    thread: Option<JoinHandle<()>>,
}

/// As a process that keeps its sessions in a directory.
pub(crate) struct Mosquitto {
    place: PathBuf,
    port: u16,
    tls_port: u16,
    process: Option<Running>,
}

impl Broker {
    /// Mosquitto where there is one; a generous one bears any number of unfinished messages.
    pub(crate) fn start(place: &Path, is_generous: bool) -> Self {
        if Path::new(MOSQUITTO).exists() {
            let unfinished = if is_generous { 0 } else { 20 };
            return Self::Mosquitto(Mosquitto::start(place, unfinished, ""));
        }
        // A machine without mosquitto has the embedded broker; CI installs it and says so here.
        assert!(std::env::var_os("CI").is_none(), "CI must have mosquitto");
        Self::embedded()
    }

    /// A mosquitto with two bridges: what the broker at `port` has below `site/`, it has below `five/site/`, by MQTT 5, and below
    /// `four/site/`, by 3.1.1. None without mosquitto.
    pub(crate) fn bridged(place: &Path, port: u16) -> Option<Self> {
        if !Path::new(MOSQUITTO).exists() {
            assert!(std::env::var_os("CI").is_none(), "CI must have mosquitto");
            return None;
        }
        let bridge = |name, version| {
            format!(
                "connection {name}\naddress 127.0.0.1:{port}\nbridge_protocol_version {version}\n\
                 cleansession true\nnotifications false\nrestart_timeout 1\n\
                 topic site/# in 1 {name}/ \"\"\n"
            )
        };
        let bridges = bridge("five", "mqttv50") + &bridge("four", "mqttv311");
        Some(Self::Mosquitto(Mosquitto::start(place, 20, &bridges)))
    }

    pub(crate) fn embedded() -> Self {
        Self::Embedded(Embedded::start())
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Embedded(broker) => broker.handle.local_addr().port(),
            Self::Mosquitto(broker) => broker.port,
        }
    }

    /// Where it speaks TLS, and the file of its certificate authority.
    pub(crate) fn tls(&self) -> Option<(u16, PathBuf)> {
        match self {
            Self::Embedded(_) => None,
            Self::Mosquitto(broker) => Some((broker.tls_port, broker.place.join("ca.pem"))),
        }
    }

    /// Its own Unix socket.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        match self {
            Self::Embedded(_) => None,
            Self::Mosquitto(broker) => Some(broker.place.join("socket")),
        }
    }

    /// The end of what it wrote.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Mosquitto(Mosquitto {
                process: Some(process),
                ..
            }) => process.said(),
            _ => String::new(),
        }
    }

    /// One that can be ended and started again with its sessions.
    pub(crate) fn mosquitto(&mut self) -> Option<&mut Mosquitto> {
        match self {
            Self::Embedded(_) => None,
            Self::Mosquitto(broker) => Some(broker),
        }
    }
}

impl Mosquitto {
    pub(crate) fn stop(&mut self) {
        let status = self.process.take().unwrap().terminate();
        assert!(status.success());
    }

    pub(crate) fn start_again(&mut self) {
        let mut command = Command::new(MOSQUITTO);
        command.arg("-c").arg(self.place.join("mosquitto.conf"));
        let mut process = Running::start(&mut command, &self.place.join("log"));
        until("mosquitto listens", || {
            assert!(!process.has_ended(), "{}", process.said());
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        self.process = Some(process);
    }

    fn start(place: &Path, unfinished: u16, more: &str) -> Self {
        fs::create_dir_all(place).unwrap();
        certify(place);
        let mut broker = Self {
            place: place.to_owned(),
            port: free_port(),
            tls_port: free_port(),
            process: None,
        };
        fs::write(
            place.join("mosquitto.conf"),
            broker.configuration(unfinished) + more,
        )
        .unwrap();
        broker.start_again();
        broker
    }

    fn configuration(&self, unfinished: u16) -> String {
        let (place, port, tls_port) = (self.place.display(), self.port, self.tls_port);
        // Started by root it would else become a user that can read nothing here.
        format!(
            "user root\nallow_anonymous true\npersistence true\npersistence_location {place}/\n\
             max_queued_messages 0\nmax_inflight_messages {unfinished}\nset_tcp_nodelay true\n\
             listener {port} 127.0.0.1\nlistener 0 {place}/socket\nlistener {tls_port} 127.0.0.1\n\
             certfile {place}/server.pem\nkeyfile {place}/server.key\n"
        )
    }
}

impl Embedded {
    fn start() -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let broker = Demonstration::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
                let broker = broker.unwrap();
                sender.send(broker.handle()).unwrap();
                broker.run().await;
            });
        });
        Self {
            handle: receiver.recv().unwrap(),
            thread: Some(thread),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A certificate authority, and what it signed for `localhost`.
fn certify(place: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    fs::write(
        place.join("names"),
        "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
    )
    .unwrap();
    for line in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names".to_owned(),
    ] {
        finished(Command::new("openssl").args(line.split(' ')).current_dir(place));
    }
}

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
