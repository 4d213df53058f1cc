//! The hostile broker: one port, and what is done to whoever connects.

use crate::packet::{self, CONNECT, Packet, SUBSCRIBE};
use crate::process::{POLL, until};
use crate::raw::{Heard, Raw};
use crate::wire;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Listens until it is dropped.
pub(super) struct Hostile {
    pub(super) port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    script: Mutex<Option<Script>>,
    served: AtomicUsize,
    ended: AtomicUsize,
    ends: AtomicBool,
}

#[derive(Clone)]
enum Script {
    Honest(u16),
    Played(Arc<dyn Fn(&mut Server) + Send + Sync>),
}

/// One connection, seen from the broker.
pub(super) struct Server {
    pub(super) raw: Raw,
}

impl Hostile {
    pub(super) fn at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        Self {
            port,
            state,
            thread: Some(std::thread::spawn(move || accept(&listener, &shared))),
        }
    }

    /// From now on every connection suffers this. Gives how many have been served so far.
    pub(super) fn plays(&self, script: impl Fn(&mut Server) + Send + Sync + 'static) -> usize {
        *self.state.script.lock().unwrap() = Some(Script::Played(Arc::new(script)));
        self.served()
    }

    /// From now on connections reach a real broker.
    pub(super) fn is_honest(&self, broker: u16) {
        *self.state.script.lock().unwrap() = Some(Script::Honest(broker));
    }

    pub(super) fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }

    /// Waits until no connection is being served.
    pub(super) fn has_ended(&self) {
        until("the script has ended", || {
            self.state.ended.load(Ordering::SeqCst) == self.served()
        });
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Server {
    /// Takes the CONNECT and accepts it.
    pub(super) fn accepts(&mut self) {
        self.connect();
        let ack = packet::connack(self.raw.version, false, 0, &Vec::new());
        self.raw.send(&ack);
    }

    /// Takes the CONNECT.
    pub(super) fn connect(&mut self) -> Option<Packet> {
        match self.raw.next(PATIENCE) {
            Heard::Packet(at) if at.kind() == CONNECT => Some(at),
            _ => None,
        }
    }

    /// Takes SUBSCRIBE and grants it.
    pub(super) fn grants(&mut self) {
        let version = self.raw.version;
        while let Heard::Packet(at) = self.raw.next(PATIENCE) {
            if at.kind() == SUBSCRIBE {
                let id = u16::from_be_bytes([at.body[0], at.body[1]]);
                self.raw.send(&packet::suback(version, id, &[2]));
                return;
            }
        }
    }

    /// Both, so that whatever follows reaches a subscriber.
    pub(super) fn serves(&mut self) {
        self.accepts();
        self.grants();
    }

    /// Everything up to the gateway's close; `None` where it does not close.
    pub(super) fn is_left(&mut self) -> Option<Vec<Packet>> {
        let mut heard = Vec::new();
        loop {
            match self.raw.next(PATIENCE) {
                Heard::Packet(at) => heard.push(at),
                Heard::Closed => return Some(heard),
                Heard::Nothing => return None,
            }
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while !state.ends.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                let state = Arc::clone(state);
                state.served.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // Counted also where an assertion of the script fails.
                    let _ended = Ended(&state.ended);
                    let script = state.script.lock().unwrap().clone();
                    serve(stream, script);
                });
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
            Err(why) => panic!("{why}"),
        }
    }
}

fn serve(stream: TcpStream, script: Option<Script>) {
    match script {
        None => {}
        Some(Script::Honest(port)) => {
            if let Ok(far) = TcpStream::connect(("127.0.0.1", port)) {
                far.set_nodelay(true).unwrap();
                wire::carry(stream, far, false);
            }
        }
        Some(Script::Played(play)) => {
            let mut server = Server {
                raw: Raw::over(stream, 5),
            };
            play(&mut server);
            server.raw.close();
        }
    }
}

struct Ended<'a>(&'a AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// How long a gateway may take to close on what it must not bear.
const PATIENCE: Duration = Duration::from_secs(10);
