//! A plain MQTT program, whatever its language: what it is told to do, and what it tells.

use crate::mosquitto;
use crate::process::PATIENCE;
use crate::rust;
use crate::scripted::{self, Scripted};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// The library that the program is written with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    C,
    Mosquitto,
    Node,
    Paho1,
    Paho2,
    Rust,
}

/// Where it connects.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Tcp(u16),
    Unix(PathBuf),
}

/// How it is started.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    /// 4 is MQTT 3.1.1.
    pub(crate) version: u8,
    pub(crate) at: At,
    pub(crate) id: String,
    pub(crate) persistent: bool,
    pub(crate) filters: Vec<(String, u8)>,
    pub(crate) will: Option<Will>,
}

/// What its broker says when it dies.
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
}

/// A message as the program got it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u64,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) user: Vec<(String, String)>,
}

/// What it told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Acked(String),
    Connected { session: bool },
    Disconnected,
    Message(Message),
    Refused(String),
    Subscribed(Vec<u64>),
}

/// Everything that a program told so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<(Mutex<Vec<Event>>, Condvar)>);

/// What a running program can be told.
pub(crate) trait Program: Send {
    /// Publishes `count` messages; their payloads are `prefix`, a hyphen and their number.
    fn publish(&mut self, topic: &str, qos: u8, retain: bool, count: usize, prefix: &str);
    /// An empty payload with RETAIN.
    fn delete(&mut self, topic: &str, qos: u8);
    /// Ends as `kill -9` does.
    fn kill(self: Box<Self>);
    /// Disconnects and ends.
    fn quit(self: Box<Self>);
}

/// A running program.
pub(crate) struct Client {
    pub(crate) plan: Plan,
    pub(crate) log: Log,
    program: Box<dyn Program>,
}

impl Plan {
    /// A program that neither subscribes nor leaves a will, with a clean session.
    pub(crate) fn new(kind: Kind, version: u8, at: At, id: &str) -> Self {
        Self {
            kind,
            version,
            at,
            id: id.to_owned(),
            persistent: false,
            filters: Vec::new(),
            will: None,
        }
    }

    pub(crate) fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    pub(crate) fn filter(mut self, filter: &str, qos: u8) -> Self {
        self.filters.push((filter.to_owned(), qos));
        self
    }

    pub(crate) fn will(mut self, topic: &str, payload: &str, qos: u8, retain: bool) -> Self {
        self.will = Some(Will {
            topic: topic.to_owned(),
            payload: payload.to_owned(),
            qos,
            retain,
        });
        self
    }

    /// Starts it, and waits until it is connected and has subscribed.
    pub(crate) fn start(self) -> Client {
        let client = self.start_unready();
        client.is_ready();
        client
    }

    /// Starts it.
    pub(crate) fn start_unready(self) -> Client {
        let log = Log::default();
        let program: Box<dyn Program> = match self.kind {
            Kind::C | Kind::Node | Kind::Paho1 | Kind::Paho2 => {
                Box::new(Scripted::start(&self, &log))
            }
            Kind::Mosquitto => Box::new(mosquitto::Tools::start(&self, &log)),
            Kind::Rust => Box::new(rust::Program::start(&self, &log)),
        };
        Client {
            plan: self,
            log,
            program,
        }
    }
}

impl Client {
    pub(crate) fn publish(&mut self, topic: &str, qos: u8, count: usize, prefix: &str) {
        self.program.publish(topic, qos, false, count, prefix);
    }

    pub(crate) fn retain(&mut self, topic: &str, qos: u8, prefix: &str) {
        self.program.publish(topic, qos, true, 1, prefix);
    }

    pub(crate) fn delete(&mut self, topic: &str, qos: u8) {
        self.program.delete(topic, qos);
    }

    pub(crate) fn kill(self) {
        self.program.kill();
    }

    pub(crate) fn quit(self) {
        self.program.quit();
    }

    /// Waits until what it published under this prefix is acknowledged.
    pub(crate) fn acked(&self, prefix: &str) {
        let what = format!("{prefix} is acknowledged");
        self.wait(&what, |events| {
            events.contains(&Event::Acked(prefix.to_owned()))
        });
    }

    /// Waits until it told something that fulfils `condition`.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&[Event]) -> bool) {
        self.log.wait(&self.plan.id, what, condition);
    }

    /// Waits for a message, and gives the first such one.
    pub(crate) fn message(&self, what: &str, condition: impl Fn(&Message) -> bool) -> Message {
        self.wait(what, |events| messages_of(events).any(&condition));
        let found = self.messages().into_iter().find(condition);
        found.unwrap()
    }

    /// Every message that it got.
    pub(crate) fn messages(&self) -> Vec<Message> {
        messages_of(&self.log.events()).cloned().collect()
    }

    fn is_ready(&self) {
        if self.plan.filters.is_empty() {
            // mosquitto_pub connects when there is something to publish.
            if self.plan.kind != Kind::Mosquitto {
                self.wait("connected", |events| {
                    events
                        .iter()
                        .any(|event| matches!(event, Event::Connected { .. }))
                });
            }
            return;
        }
        self.wait("subscribed", |events| {
            let granted = events.iter().map(|event| match event {
                Event::Subscribed(codes) => codes.len(),
                Event::Connected { session: true } => usize::MAX,
                _ => 0,
            });
            granted.fold(0, usize::saturating_add) >= self.plan.filters.len()
        });
    }
}

impl Log {
    pub(crate) fn push(&self, event: Event) {
        let (events, told) = &*self.0;
        events.lock().unwrap().push(event);
        told.notify_all();
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.0.lock().unwrap().clone()
    }

    pub(crate) fn wait(&self, who: &str, what: &str, condition: impl Fn(&[Event]) -> bool) {
        let (events, told) = &*self.0;
        let deadline = Instant::now() + PATIENCE;
        let mut had = events.lock().unwrap();
        while !condition(&had) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let shown: Vec<String> = had.iter().rev().take(30).map(brief).collect();
                drop(had);
                panic!("{who}: not in time: {what}; newest first: {shown:#?}");
            }
            had = told.wait_timeout(had, left).unwrap().0;
        }
    }
}

impl Kind {
    /// Can this program be had here? In CI it must.
    pub(crate) fn is_here(self) -> bool {
        let here = match self {
            Self::Rust => true,
            Self::Mosquitto => mosquitto::is_here(),
            Self::C | Self::Node | Self::Paho1 | Self::Paho2 => scripted::is_here(self),
        };
        assert!(
            here || std::env::var_os("CI").is_none(),
            "CI must have {self:?}: tests/gateway/clients/install.sh"
        );
        here
    }
}

/// Every library with every version, and a name for each; one of them on a Unix socket.
/// `EDGESEAL_TESTS_CLIENT=Node` leaves out all others.
pub(crate) fn all() -> Vec<(String, Kind, u8, bool)> {
    let kinds = [
        Kind::C,
        Kind::Mosquitto,
        Kind::Node,
        Kind::Paho1,
        Kind::Paho2,
        Kind::Rust,
    ];
    let mut found = Vec::new();
    let only = std::env::var("EDGESEAL_TESTS_CLIENT").unwrap_or_default();
    for kind in kinds.into_iter().filter(|kind| kind.is_here()) {
        if !format!("{kind:?}").contains(&only) {
            continue;
        }
        for version in [4, 5] {
            let unix = kind == Kind::Paho2 && version == 5;
            let name = format!("{kind:?}{version}").to_lowercase();
            found.push((name, kind, version, unix));
        }
    }
    found
}

pub(crate) fn messages_of(events: &[Event]) -> impl Iterator<Item = &Message> {
    events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message),
        _ => None,
    })
}

fn brief(event: &Event) -> String {
    match event {
        Event::Message(at) => format!(
            "message {} {:?} q{} r{} d{}",
            at.topic,
            at.payload,
            at.qos,
            u8::from(at.retain),
            u8::from(at.dup)
        ),
        other => format!("{other:?}"),
    }
}
