//! A TCP connection through a place that the test can cut: what stands where a gateway would, and a broker that knows only 3.1.1.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::process::POLL;

/// Forwards what comes to one port to another.
pub(crate) struct Wire {
    port: u16,
    to: u16,
    only_311: bool,
    at_work: Option<Work>,
}

struct Work {
    ends: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    acceptor: JoinHandle<()>,
}

impl Wire {
    pub(crate) fn new(port: u16, to: u16) -> Self {
        Self::of(port, to, false)
    }

    /// One behind which MQTT 5 is answered as 3.1.1 brokers do: return code 1.
    pub(crate) fn only_311(port: u16, to: u16) -> Self {
        Self::of(port, to, true)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Closes everything, and the port.
    pub(crate) fn cut(&mut self) {
        let Some(work) = self.at_work.take() else {
            return;
        };
        work.ends.store(true, Ordering::SeqCst);
        work.acceptor.join().unwrap();
        for stream in work.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn join(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (ends, open) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (to, only_311) = (self.to, self.only_311);
        let acceptor = {
            let (ends, open) = (Arc::clone(&ends), Arc::clone(&open));
            std::thread::spawn(move || accept(&listener, to, only_311, &ends, &open))
        };
        self.at_work = Some(Work {
            ends,
            open,
            acceptor,
        });
    }

    fn of(port: u16, to: u16, only_311: bool) -> Self {
        let mut wire = Self {
            port,
            to,
            only_311,
            at_work: None,
        };
        wire.join();
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

fn accept(
    listener: &TcpListener,
    to: u16,
    only_311: bool,
    ends: &AtomicBool,
    open: &Mutex<Vec<TcpStream>>,
) {
    while !ends.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((near, _)) => {
                near.set_nonblocking(false).unwrap();
                near.set_nodelay(true).unwrap();
                open.lock().unwrap().push(near.try_clone().unwrap());
                if let Ok(far) = TcpStream::connect(("127.0.0.1", to)) {
                    far.set_nodelay(true).unwrap();
                    open.lock().unwrap().push(far.try_clone().unwrap());
                    carry(near, far, only_311);
                }
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
            Err(why) => panic!("{why}"),
        }
    }
}

/// Carries octets both ways until one side closes.
pub(crate) fn carry(near: TcpStream, far: TcpStream, only_311: bool) {
    let (near_out, far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    std::thread::spawn(move || {
        if only_311 && refuses(&near) {
            let _ = far_out.shutdown(Shutdown::Both);
            return;
        }
        copy(near, far_out);
    });
    std::thread::spawn(move || copy(far, near_out));
}

/// Looks at the protocol level of the CONNECT without taking it.
fn refuses(mut near: &TcpStream) -> bool {
    let mut start = [0; 16];
    let mut had = 0;
    while had < start.len() {
        match near.peek(&mut start) {
            Ok(0) | Err(_) => return true,
            Ok(count) => had = count,
        }
        std::thread::yield_now();
    }
    // After a Remaining Length of one or two octets: 00 04 'MQTT' and the level.
    let level = start.windows(7).find_map(|at| {
        at.starts_with(b"\x00\x04MQTT")
            .then(|| at[6] & !FLAG_OF_A_BRIDGE)
    });
    if level != Some(5) {
        return false;
    }
    let _ = near.write_all(&[0x20, 2, 0, 1]);
    let _ = near.shutdown(Shutdown::Both);
    true
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 65_536];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

const FLAG_OF_A_BRIDGE: u8 = 0x80;
