//! A broker of a few lines, which keeps retained messages and lies when it is told to; and a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// What it sends instead of a message: topic and payload of each.
pub(crate) type Lie = Box<dyn FnMut(&str, &[u8]) -> Vec<(String, Vec<u8>)> + Send>;

/// A broker in this process.
#[derive(Clone)]
pub(crate) struct Broker {
    port: u16,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    retained: BTreeMap<String, Vec<u8>>,
    links: Vec<Link>,
    lie: Option<Lie>,
    subscribed: Vec<String>,
    keep_alives: Vec<u16>,
    packets: usize,
}

struct Link {
    number: usize,
    stream: TcpStream,
    filters: BTreeSet<String>,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = Self {
            port: listener.local_addr().unwrap().port(),
            inner: Arc::default(),
        };
        let serving = broker.clone();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (serving, stream) = (serving.clone(), stream.unwrap());
                thread::spawn(move || serving.serve(number, stream));
            }
        });
        broker
    }

    /// The least configuration of an agent that uses it.
    pub(crate) fn upstream(&self) -> String {
        upstream(self.port)
    }

    /// Retains a message, and sends it to whoever is subscribed.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) {
        let mut inner = self.inner();
        inner.retained.insert(topic.to_owned(), payload.to_vec());
        inner.send(topic, payload, None);
    }

    /// Retains it, and says nothing of it.
    pub(crate) fn put(&self, topic: &str, payload: &[u8]) {
        let mut inner = self.inner();
        inner.retained.insert(topic.to_owned(), payload.to_vec());
    }

    pub(crate) fn lie(&self, lie: Option<Lie>) {
        self.inner().lie = lie;
    }

    pub(crate) fn cut(&self) {
        for link in self.inner().links.drain(..) {
            link.stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Every filter that was ever subscribed to.
    pub(crate) fn subscribed(&self) -> Vec<String> {
        self.inner().subscribed.clone()
    }

    pub(crate) fn keep_alives(&self) -> Vec<u16> {
        self.inner().keep_alives.clone()
    }

    /// Packets that clients sent.
    pub(crate) fn packets(&self) -> usize {
        self.inner().packets
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn serve(&self, number: usize, mut stream: TcpStream) -> Option<()> {
        loop {
            let (first, body) = read_packet(&mut stream)?;
            let mut inner = self.inner();
            inner.packets += 1;
            match first >> 4 {
                1 => {
                    inner
                        .keep_alives
                        .push(u16::from_be_bytes([body[8], body[9]]));
                    inner.links.push(Link {
                        number,
                        stream: stream.try_clone().ok()?,
                        filters: BTreeSet::new(),
                    });
                    stream.write_all(&[0x20, 3, 0, 0, 0]).ok()?;
                }
                3 => {
                    let (topic, rest) = text(&body);
                    let (id, rest) = rest.split_at(2);
                    stream.write_all(&[0x40, 2, id[0], id[1]]).ok()?;
                    let payload = &rest[1 + usize::from(rest[0])..];
                    inner.retained.insert(topic.clone(), payload.to_vec());
                    inner.send(&topic, payload, None);
                }
                8 => {
                    stream.write_all(&[0x90, 4, body[0], body[1], 0, 1]).ok()?;
                    let (filter, _) = text(&body[3 + usize::from(body[2])..]);
                    inner.subscribed.push(filter.clone());
                    let link = inner.links.iter_mut().find(|link| link.number == number)?;
                    link.filters.insert(filter.clone());
                    if let Some(payload) = inner.retained.get(&filter).cloned() {
                        inner.send(&filter, &payload, Some(number));
                    }
                }
                10 => {
                    stream.write_all(&[0xb0, 4, body[0], body[1], 0, 0]).ok()?;
                    let (filter, _) = text(&body[3 + usize::from(body[2])..]);
                    let link = inner.links.iter_mut().find(|link| link.number == number)?;
                    link.filters.remove(&filter);
                }
                12 => stream.write_all(&[0xd0, 0]).ok()?,
                _ => {}
            }
        }
    }
}

impl Inner {
    fn send(&mut self, topic: &str, payload: &[u8], only: Option<usize>) {
        let messages = match &mut self.lie {
            Some(lie) => lie(topic, payload),
            None => vec![(topic.to_owned(), payload.to_vec())],
        };
        for link in &mut self.links {
            let meant = only.is_none_or(|number| number == link.number);
            if !meant || !link.filters.contains(topic) {
                continue;
            }
            for (topic, payload) in &messages {
                let mut packet = vec![0x33];
                let mut length = topic.len() + payload.len() + 5;
                while length > 127 {
                    packet.push(length as u8 | 0x80);
                    length >>= 7;
                }
                packet.push(length as u8);
                packet.extend((topic.len() as u16).to_be_bytes());
                packet.extend(topic.as_bytes());
                packet.extend([0, 9, 0]);
                packet.extend(payload);
                link.stream.write_all(&packet).ok();
            }
        }
    }
}

fn read_packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut octet = [0];
    stream.read_exact(&mut octet).ok()?;
    let first = octet[0];
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        stream.read_exact(&mut octet).ok()?;
        length |= usize::from(octet[0] & 0x7f) << shift;
        if octet[0] < 0x80 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((first, body))
}

fn text(octets: &[u8]) -> (String, &[u8]) {
    let length = usize::from(u16::from_be_bytes([octets[0], octets[1]]));
    let (text, rest) = octets[2..].split_at(length);
    (String::from_utf8(text.to_vec()).unwrap(), rest)
}

fn upstream(port: u16) -> String {
    format!("[[gateway.upstream]]\nurl = \"mqtt://127.0.0.1:{port}\"\n")
}

/// Debian's mosquitto.
pub(crate) struct Mosquitto {
    port: u16,
    child: Child,
    _place: tempfile::TempDir,
}

impl Mosquitto {
    /// Nothing where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let path = place.path().join("mosquitto.conf");
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\n");
        std::fs::write(&path, text).unwrap();
        let paths = ["mosquitto", "/usr/sbin/mosquitto"];
        let child = paths.iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&path).stderr(Stdio::null());
            command.stdout(Stdio::null()).spawn().ok()
        })?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(std::time::Duration::from_millis(5));
        }
        Some(Self {
            port,
            child,
            _place: place,
        })
    }

    pub(crate) fn upstream(&self) -> String {
        upstream(self.port)
    }

    /// Retains messages, in this order.
    pub(crate) fn publish(&self, messages: &[(String, Vec<u8>)]) {
        use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
        use rumqttc::v5::{Client, Event, MqttOptions};
        let mut options = MqttOptions::new("operator", "127.0.0.1", self.port);
        options.set_max_packet_size(Some(1 << 21));
        let (client, mut connection) = Client::new(options, messages.len() + 1);
        for (topic, payload) in messages {
            let payload = payload.clone();
            client
                .publish(topic, QoS::AtLeastOnce, true, payload)
                .unwrap();
        }
        let mut left = messages.len();
        for event in connection.iter() {
            if let Event::Incoming(Packet::PubAck(_)) = event.unwrap() {
                left -= 1;
                if left == 0 {
                    return;
                }
            }
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
