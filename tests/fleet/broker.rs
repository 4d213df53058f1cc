//! The broker of the fleet: Debian's mosquitto, or the embedded one where it is absent.

use edgeseal::broker::{Broker as Demonstration, BrokerHandle};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A broker that can be ended and started again at the same port.
pub(crate) struct Broker {
    place: PathBuf,
    port: u16,
    kind: Kind,
}

enum Kind {
    Mosquitto(Option<Child>),
    /// It keeps nothing beyond its end.
    Embedded(Option<(BrokerHandle, JoinHandle<()>)>),
}

impl Broker {
    pub(crate) fn start(place: &Path) -> Self {
        fs::create_dir_all(place).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let is_there = Path::new(MOSQUITTO).exists();
        let is_ci = std::env::var_os("CI").is_some();
        assert!(is_there || !is_ci, "CI must have mosquitto");
        let path = place.display();
        let text = format!(
            "user root\nallow_anonymous true\nlistener {port} 127.0.0.1\nset_tcp_nodelay true\n\
             max_queued_messages 0\npersistence true\npersistence_location {path}/\n"
        );
        fs::write(place.join("mosquitto.conf"), text).unwrap();
        let mut broker = Self {
            place: place.to_owned(),
            port,
            kind: if is_there {
                Kind::Mosquitto(None)
            } else {
                Kind::Embedded(None)
            },
        };
        broker.begin();
        broker
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends and starts it: no session outlives that. True where what was retained is lost as well.
    pub(crate) fn restart(&mut self, forgets: bool) -> bool {
        self.end();
        if forgets {
            fs::remove_file(self.place.join("mosquitto.db")).ok();
        }
        self.begin();
        forgets || matches!(self.kind, Kind::Embedded(_))
    }

    fn begin(&mut self) {
        match &mut self.kind {
            Kind::Mosquitto(child) => {
                let log = fs::File::create(self.place.join("log")).unwrap();
                let mut command = Command::new(MOSQUITTO);
                command.arg("-c").arg(self.place.join("mosquitto.conf"));
                let started = command.stdin(Stdio::null()).stdout(Stdio::null());
                *child = Some(started.stderr(log).spawn().unwrap());
            }
            Kind::Embedded(running) => *running = Some(embedded(self.port)),
        }
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "the broker does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) {
        match &mut self.kind {
            Kind::Mosquitto(child) => {
                let Some(mut child) = child.take() else {
                    return;
                };
                let pid = i32::try_from(child.id()).ok();
                let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
                child.wait().unwrap();
            }
            Kind::Embedded(running) => {
                if let Some((handle, thread)) = running.take() {
                    handle.shutdown();
                    thread.join().ok();
                }
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

fn embedded(port: u16) -> (BrokerHandle, JoinHandle<()>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build();
        runtime.unwrap().block_on(async {
            let broker = Demonstration::bind(SocketAddr::from(([127, 0, 0, 1], port))).await;
            let broker = broker.unwrap();
            sender.send(broker.handle()).unwrap();
            broker.run().await;
        });
    });
    (receiver.recv().unwrap(), thread)
}

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
const PATIENCE: Duration = Duration::from_secs(20);
