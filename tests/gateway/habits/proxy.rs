//! A broker of bad habits: what stands before a good one, changes its messages, and cuts connections that grow old.

use crate::packet::{self, CONNECT, PUBLISH, Publish};
use crate::process::POLL;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// For connections of MQTT 5.
pub(super) struct Proxy {
    pub(super) port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What is done to messages on their way from the broker.
pub(super) type Change = fn(&mut Publish);

struct Shared {
    change: Change,
    life: Option<Duration>,
    ends: AtomicBool,
    cuts: AtomicUsize,
    connects: Mutex<Vec<Vec<u8>>>,
    open: Mutex<Vec<Open>>,
}

struct Open {
    near: TcpStream,
    since: Instant,
    is_over: Arc<AtomicBool>,
}

impl Proxy {
    /// Before the broker at this port.
    pub(super) fn changing(to: u16, change: Change) -> Self {
        Self::start(to, change, None)
    }

    /// One that cuts a connection so long after it was made.
    pub(super) fn cutting(to: u16, life: Duration) -> Self {
        Self::start(to, |_| {}, Some(life))
    }

    /// How often it cut a connection that was in use.
    pub(super) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// The bodies of the CONNECT packets so far.
    pub(super) fn connects(&self) -> Vec<Vec<u8>> {
        self.shared.connects.lock().unwrap().clone()
    }

    fn start(to: u16, change: Change, life: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            change,
            life,
            ends: AtomicBool::new(false),
            cuts: AtomicUsize::new(0),
            connects: Mutex::default(),
            open: Mutex::default(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.serve(&listener, to))
        };
        Self {
            port,
            shared,
            acceptor: Some(acceptor),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for open in self.shared.open.lock().unwrap().drain(..) {
            let _ = open.near.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(self: &Arc<Self>, listener: &TcpListener, to: u16) {
        while !self.ends.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((near, _)) => self.carry(near, to),
                Err(why) if why.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
                Err(why) => panic!("{why}"),
            }
            self.cut_the_old();
        }
    }

    fn cut_the_old(&self) {
        let mut open = self.open.lock().unwrap();
        open.retain(|at| !at.is_over.load(Ordering::SeqCst));
        for at in open.iter() {
            if self.life.is_some_and(|life| at.since.elapsed() > life) {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                let _ = at.near.shutdown(Shutdown::Both);
                at.is_over.store(true, Ordering::SeqCst);
            }
        }
    }

    fn carry(self: &Arc<Self>, near: TcpStream, to: u16) {
        near.set_nonblocking(false).unwrap();
        near.set_nodelay(true).unwrap();
        let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
            return; // closed, as the broker behind it is
        };
        far.set_nodelay(true).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        self.open.lock().unwrap().push(Open {
            near: near.try_clone().unwrap(),
            since: Instant::now(),
            is_over: Arc::clone(&is_over),
        });
        let (near_out, far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            copy(near, far_out, |packet| {
                if packet.kind() == CONNECT {
                    shared.connects.lock().unwrap().push(packet.body.clone());
                }
                packet::packet(packet.first, &packet.body)
            });
            is_over.store(true, Ordering::SeqCst);
        });
        let change = self.change;
        std::thread::spawn(move || {
            copy(far, near_out, |packet| {
                if packet.kind() != PUBLISH {
                    return packet::packet(packet.first, &packet.body);
                }
                let mut publish = packet.publish(5).unwrap();
                change(&mut publish);
                publish.octets(5)
            });
        });
    }
}

/// Carries packets one way until a side closes.
fn copy(mut from: TcpStream, mut to: TcpStream, each: impl Fn(&packet::Packet) -> Vec<u8>) {
    let (mut had, mut buffer) = (Vec::new(), vec![0; 65_536]);
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        had.extend(&buffer[..count]);
        let mut out = Vec::new();
        while let Some(packet) = packet::next(&mut had).unwrap() {
            out.extend(each(&packet));
        }
        if to.write_all(&out).is_err() || count == 0 {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
