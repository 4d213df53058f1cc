//! One case in one run: connections by name, what is sent on them, and what is heard.

use crate::packet::{self, Connect, PINGREQ, PINGRESP, PUBCOMP, PUBLISH, PUBREC, PUBREL, Publish};
use crate::raw::{Heard, Raw};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What was heard on each connection between two settlements, in order.
pub(crate) type Transcript = Vec<BTreeMap<&'static str, Vec<String>>>;

/// A case that is being played, against the broker or through a gateway.
pub(crate) struct Talk<'a> {
    /// 4 is MQTT 3.1.1.
    pub(crate) version: u8,
    port: u16,
    prefix: String,
    id: String,
    lines: BTreeMap<&'static str, Line>,
    heard: Transcript,
    /// What the broker alone did; absent while that is found out.
    measure: Option<&'a Transcript>,
}

struct Line {
    raw: Raw,
    last_id: u16,
    /// Packets that wait for an acknowledgement of the program.
    due: Vec<(u8, u16)>,
    is_closed: bool,
}

impl<'a> Talk<'a> {
    pub(crate) fn new(
        route: &str,
        port: u16,
        case: &str,
        version: u8,
        measure: Option<&'a Transcript>,
    ) -> Self {
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        };
        let case: String = case.chars().map(plain).collect();
        Self {
            version,
            port,
            prefix: format!("site/alpha/{route}-{case}-{version}"),
            id: format!("{route}-{case}-{version}"),
            lines: BTreeMap::new(),
            heard: Vec::new(),
            measure,
        }
    }

    pub(crate) fn is_five(&self) -> bool {
        self.version == 5
    }

    /// A topic or filter of this case alone.
    pub(crate) fn topic(&self, rest: &str) -> String {
        format!("{}/{rest}", self.prefix)
    }

    /// The CONNECT of a connection: a clean session.
    pub(crate) fn hello(&self, name: &str) -> Connect {
        Connect::new(self.version, &format!("{}-{name}", self.id))
    }

    /// The same with a session that stays for an hour.
    pub(crate) fn lasting(&self, name: &str) -> Connect {
        let mut connect = self.hello(name);
        connect.clean = false;
        if self.is_five() {
            connect
                .properties
                .push((packet::SESSION_EXPIRY, packet::Value::Four(3600)));
        }
        connect
    }

    /// A TCP connection on which nothing is said.
    pub(crate) fn open(&mut self, name: &'static str) {
        let line = Line {
            raw: Raw::open(self.port, self.version),
            last_id: 0,
            due: Vec::new(),
            is_closed: false,
        };
        self.lines.insert(name, line);
    }

    /// Connects; the CONNACK is heard at the next settlement.
    pub(crate) fn connect(&mut self, name: &'static str) {
        self.connect_as(name, &self.hello(name));
    }

    pub(crate) fn connect_as(&mut self, name: &'static str, connect: &Connect) {
        self.open(name);
        self.raw(name, &connect.octets());
        self.settle();
    }

    pub(crate) fn raw(&mut self, name: &'static str, octets: &[u8]) {
        self.line(name).raw.send(octets);
    }

    pub(crate) fn subscribe(&mut self, name: &'static str, filters: &[(&str, u8)]) {
        let filters: Vec<_> = filters.iter().map(|(at, q)| (self.topic(at), *q)).collect();
        let filters: Vec<_> = filters.iter().map(|(at, q)| (at.as_str(), *q)).collect();
        let (version, id) = (self.version, self.next_id(name));
        self.raw(name, &packet::subscribe(version, id, &filters, &Vec::new()));
        self.settle();
    }

    /// Publishes at QoS 0.
    pub(crate) fn say(&mut self, name: &'static str, topic: &str, payload: &str) {
        let publish = Publish::new(&self.topic(topic), payload);
        self.publish(name, &publish);
    }

    /// Publishes as it is; a QoS above 0 without an identifier gets the next one.
    pub(crate) fn publish(&mut self, name: &'static str, publish: &Publish) {
        let mut publish = publish.clone();
        if publish.qos > 0 && publish.id == 0 {
            publish.id = self.next_id(name);
        }
        let octets = publish.octets(self.version);
        self.raw(name, &octets);
        self.settle();
    }

    /// A PUBLISH for a topic of this case.
    pub(crate) fn message(&self, topic: &str, payload: &str) -> Publish {
        Publish::new(&self.topic(topic), payload)
    }

    /// Acknowledges everything that came.
    pub(crate) fn acknowledge(&mut self, name: &'static str) {
        while !self.line(name).due.is_empty() {
            for (kind, id) in std::mem::take(&mut self.line(name).due) {
                self.raw(name, &packet::ack(kind, id));
            }
            self.settle();
        }
    }

    /// Acknowledges the oldest.
    pub(crate) fn acknowledge_one(&mut self, name: &'static str) {
        let due = &mut self.line(name).due;
        if due.is_empty() {
            return;
        }
        let (kind, id) = due.remove(0);
        self.raw(name, &packet::ack(kind, id));
        self.settle();
    }

    /// DISCONNECT, and the end of the connection.
    pub(crate) fn leave(&mut self, name: &'static str) {
        let octets = packet::disconnect(self.version, 0);
        self.raw(name, &octets);
        self.settle();
        self.lines.remove(name);
    }

    /// The connection ends without a word.
    pub(crate) fn vanish(&mut self, name: &'static str) {
        self.lines.remove(name).unwrap().raw.close();
    }

    /// Hears everything that has to come.
    pub(crate) fn settle(&mut self) {
        self.heard.push(BTreeMap::new());
        match self.measure {
            None => {
                // The broker has one thread: the first round ends when all that was sent is done, the second when its effects are heard.
                for _ in 0..2 {
                    for name in self.names() {
                        self.hear_until_pong(name);
                    }
                }
            }
            Some(measure) => {
                let step = self.heard.len() - 1;
                for name in self.names() {
                    let due = measure.get(step).and_then(|step| step.get(name));
                    self.hear_as_many(name, due.map_or(0, Vec::len));
                }
            }
        }
    }

    /// Waits until something comes that the broker sends in its own time.
    pub(crate) fn patient(&mut self, name: &'static str) {
        self.heard.push(BTreeMap::new());
        self.hear(name, Instant::now() + PATIENCE);
    }

    /// What was heard in all.
    pub(crate) fn end(self) -> Transcript {
        self.heard
    }

    fn names(&self) -> Vec<&'static str> {
        self.lines.keys().copied().collect()
    }

    fn hear_until_pong(&mut self, name: &'static str) {
        if !self.has_connected(name) {
            // Before CONNACK a PINGREQ is an error of its own.
            self.hear_as_many(name, 1);
            return;
        }
        self.raw(name, &packet::packet(PINGREQ, &[]));
        let deadline = Instant::now() + PATIENCE;
        while self.hear(name, deadline) {}
    }

    fn hear_as_many(&mut self, name: &'static str, due: usize) {
        let step = self.heard.len() - 1;
        let deadline = Instant::now() + PATIENCE;
        while self.heard[step].get(name).map_or(0, Vec::len) < due && self.hear(name, deadline) {}
        // Nothing more than that.
        while self.hear(name, Instant::now() + GRACE) {}
    }

    /// Hears one packet or the end. False: neither, or the end of a round.
    fn hear(&mut self, name: &'static str, deadline: Instant) -> bool {
        let (version, prefix, id) = (self.version, self.prefix.clone(), self.id.clone());
        let line = self.line(name);
        if line.is_closed {
            return false;
        }
        let patience = deadline.saturating_duration_since(Instant::now());
        let told = match line.raw.next(patience.max(Duration::from_millis(1))) {
            Heard::Nothing => return false,
            Heard::Closed => {
                line.is_closed = true;
                "closed".to_owned()
            }
            Heard::Packet(at) if at.kind() == PINGRESP => return false,
            Heard::Packet(at) => {
                line.due.extend(owed(&at, version));
                at.describe(version)
                    .replace(&prefix, "T")
                    .replace(&id, "ID")
            }
        };
        let step = self.heard.last_mut().unwrap();
        step.entry(name).or_default().push(told);
        true
    }

    fn has_connected(&self, name: &'static str) -> bool {
        let mut of_it = self.heard.iter().filter_map(|step| step.get(name));
        of_it.any(|told| told.iter().any(|at| at.starts_with("CONNACK")))
    }

    fn next_id(&mut self, name: &'static str) -> u16 {
        let line = self.line(name);
        line.last_id += 1;
        line.last_id
    }

    fn line(&mut self, name: &'static str) -> &mut Line {
        self.lines.get_mut(name).unwrap()
    }
}

/// What the program has to answer.
fn owed(packet: &packet::Packet, version: u8) -> Option<(u8, u16)> {
    if packet.kind() == PUBLISH {
        let publish = packet.publish(version)?;
        return match publish.qos {
            1 => Some((packet::PUBACK, publish.id)),
            2 => Some((PUBREC, publish.id)),
            _ => None,
        };
    }
    (packet.kind() == PUBREL).then(|| {
        (
            PUBCOMP,
            u16::from_be_bytes([packet.body[0], packet.body[1]]),
        )
    })
}

const PATIENCE: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_millis(15);
