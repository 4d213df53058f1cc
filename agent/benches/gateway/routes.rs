//! What may stand between a client and the broker.

use crate::domain::{Domain, Entry, own_key};
use crate::place::{Daemon, Place};
use crate::process::{Running, await_port, free_port};
use edgeseal_trust::registry::DeviceState;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Route {
    Direct,
    Proxies,
    Naive,
    Gateways,
}

impl Route {
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Proxies, Self::Naive, Self::Gateways];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Proxies => "proxies",
            Self::Naive => "naive",
            Self::Gateways => "gateways",
        }
    }
}

/// Everything that stands between the clients. In this order it ends.
pub(crate) struct World {
    proxies: Vec<(u16, Running)>,
    gateways: Vec<Gateway>,
    broker_port: u16,
    _broker: Running,
    _place: TempDir,
}

/// One enrolled agent.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    pub(crate) process: u32,
    _daemon: Daemon,
    _place: Place,
}

impl World {
    pub(crate) fn start() -> Self {
        let place = TempDir::new().unwrap();
        let (port, tls) = (free_port(), free_port());
        let broker = mosquitto(&place, port, tls);
        await_port(port);
        let authority = place.path().join("ca.pem");
        let plain = format!("url = \"mqtt://127.0.0.1:{port}\"\n");
        let secure = format!("url = \"mqtts://localhost:{tls}\"\nca_file = {authority:?}\n");
        let gateways = gateways(&[("alpha", &plain), ("beta", &plain), ("gamma", &secure)]);
        let proxies = (0..2).map(|_| proxy(port)).collect();
        Self {
            proxies,
            gateways,
            broker_port: port,
            _broker: broker,
            _place: place,
        }
    }

    pub(crate) const fn broker_port(&self) -> u16 {
        self.broker_port
    }

    /// One to the broker in clear, one by TLS.
    pub(crate) fn gateways(&self) -> (&Gateway, &Gateway) {
        (&self.gateways[0], &self.gateways[2])
    }

    /// Where publisher and subscriber connect.
    pub(crate) fn ports(&self, route: Route) -> (u16, u16) {
        match route {
            Route::Direct | Route::Naive => (self.broker_port, self.broker_port),
            Route::Proxies => (self.proxies[0].0, self.proxies[1].0),
            Route::Gateways => (self.gateways[0].port, self.gateways[1].port),
        }
    }

    /// Who stands between.
    pub(crate) fn processes(&self, route: Route) -> Vec<u32> {
        match route {
            Route::Direct | Route::Naive => Vec::new(),
            Route::Proxies => self
                .proxies
                .iter()
                .map(|(_, running)| running.id())
                .collect(),
            Route::Gateways => self.gateways[..2].iter().map(|one| one.process).collect(),
        }
    }
}

fn gateways(plans: &[(&'static str, &str)]) -> Vec<Gateway> {
    let domain = Domain::new();
    let ports: Vec<u16> = plans.iter().map(|_| free_port()).collect();
    let places: Vec<Place> = plans.iter().zip(&ports).map(|((_, upstream), port)| {
        let place = Place::with(&format!(
            "[[gateway.upstream]]\n{upstream}[[gateway.listener]]\nname = \"apps\"\naddress = \"127.0.0.1:{port}\"\n\
             max_connections = 1024\npublish = [\"site/{{device}}/#\"]\nsubscribe = [\"site/#\"]\n\
             [[rule]]\ntopic = \"site/#\"\nlifetime_seconds = 300\n"
        ));
        assert_eq!(place.say(&["init"]).exit, 0);
        place
    }).collect();
    let entries = plans.iter().zip(&places).map(|((id, _), place)| Entry {
        id,
        key: own_key(place),
        state: DeviceState::Active,
    });
    let bundle = places[0].path().join("bundle");
    fs::write(&bundle, domain.bundle(1, entries.collect())).unwrap();
    let start = |(place, port): (Place, u16)| {
        let words = domain.words();
        let applied = place.say(&["trust", "apply", bundle.to_str().unwrap(), "--root", &words]);
        assert_eq!(applied.exit, 0, "{applied:?}");
        let daemon = place.start();
        await_port(port);
        Gateway {
            port,
            process: daemon.id(),
            _daemon: daemon,
            _place: place,
        }
    };
    let started = places.into_iter().zip(ports).map(start).collect();
    // What was issued in the second of the start is refused.
    std::thread::sleep(Duration::from_millis(2100));
    started
}

fn mosquitto(place: &TempDir, port: u16, tls: u16) -> Running {
    let at = place.path();
    fs::write(at.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for line in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"),
        format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names".to_owned(),
    ] {
        let mut command = Command::new("openssl");
        let done = command.args(line.split(' ')).current_dir(at).stderr(Stdio::null()).status();
        assert!(done.unwrap().success(), "openssl {line}");
    }
    let text = format!(
        "user root\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n\
         listener {port} 127.0.0.1\nlistener {tls} 127.0.0.1\ncertfile {0}/server.pem\nkeyfile {0}/server.key\n",
        at.display()
    );
    fs::write(at.join("mosquitto.conf"), text).unwrap();
    let mut command = Command::new("/usr/sbin/mosquitto");
    command.arg("-c").arg(at.join("mosquitto.conf"));
    Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

fn proxy(broker: u16) -> (u16, Running) {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["proxy", &port.to_string(), &broker.to_string()]);
    let running = Running::start(&mut command);
    await_port(port);
    (port, running)
}

/// The least that can stand between: octets to and fro, on one thread.
pub(crate) fn serve_proxy(from: u16, to: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", from))
            .await
            .unwrap();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", to))
                    .await
                    .unwrap();
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                tokio::io::copy_bidirectional(&mut near, &mut far)
                    .await
                    .ok();
            });
        }
    });
}
