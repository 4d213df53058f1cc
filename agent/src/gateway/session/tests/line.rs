//! A program, its session and a broker, driven like the edge drives them.

use super::farm::{self, Desk};
use super::words::{V5, connack, connect, plain_connect, told};
use crate::gateway::packet::{Connect, Property, Version};
use crate::gateway::session::{Action, Event, ListenerPlan, Note, Phase, Session};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::time::Duration;

pub(super) struct Line {
    pub(super) desk: Desk,
    pub(super) session: Session,
    /// How many octets arrive at once.
    pub(super) cut: usize,
    pub(super) program_reads: bool,
    pub(super) broker_reads: bool,
    pub(super) notes: Vec<Note>,
    pub(super) asked: Vec<Action>,
    pub(super) broker: Broker,
    pub(super) is_local_closed: bool,
    program_version: Version,
    local: Side,
    upstream: Side,
}

/// The broker's connection as the edge sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Broker {
    Closed,
    Open,
    Wanted,
}

/// Octets on their way, those that the edge holds, and those that came out.
#[derive(Default)]
struct Side {
    wire: VecDeque<u8>,
    held: BytesMut,
    out: BytesMut,
}

impl Line {
    pub(super) fn new(program: Version) -> Self {
        Self::with(program, farm::plan())
    }

    pub(super) fn with(program: Version, plan: ListenerPlan) -> Self {
        Self::on(Desk::new(1), program, plan, 1)
    }

    pub(super) fn on(desk: Desk, program: Version, plan: ListenerPlan, number: u64) -> Self {
        let session = farm::session(plan, number, desk.now);
        Self {
            desk,
            session,
            cut: usize::MAX,
            program_reads: true,
            broker_reads: true,
            notes: Vec::new(),
            asked: Vec::new(),
            broker: Broker::Closed,
            is_local_closed: false,
            program_version: program,
            local: Side::default(),
            upstream: Side::default(),
        }
    }

    /// A session that runs; what was said on the way is forgotten.
    pub(super) fn running(program: Version) -> Self {
        let mut line = Self::new(program);
        line.runs(&plain_connect(program), &[]);
        line
    }

    /// CONNECT, and a CONNACK of MQTT 5 that says this.
    pub(super) fn runs(&mut self, program: &Connect<'_>, said: &[Property<'_>]) {
        self.program_sends(&connect(program));
        self.is_connected();
        self.broker_sends(&connack(false, 0, said, V5));
        assert_eq!(self.phase(), Phase::Runs, "{:?}", self.notes);
        self.program_got();
        self.broker_got();
    }

    pub(super) fn is_connected(&mut self) {
        assert_eq!(self.broker, Broker::Wanted, "{:?}", self.notes);
        self.broker = Broker::Open;
        self.event(Event::UpstreamConnected);
    }

    pub(super) fn phase(&self) -> Phase {
        self.session.status().phase
    }

    pub(super) fn program_sends(&mut self, octets: &[u8]) {
        self.local.wire.extend(octets);
        self.pump();
    }

    pub(super) fn broker_sends(&mut self, octets: &[u8]) {
        self.upstream.wire.extend(octets);
        self.pump();
    }

    /// What came to the program since it was asked last.
    pub(super) fn program_got(&mut self) -> Vec<String> {
        self.collect();
        told(&self.local.out.split(), self.program_version)
    }

    pub(super) fn program_got_octets(&mut self) -> Vec<u8> {
        self.collect();
        self.local.out.split().to_vec()
    }

    /// What came to the broker since it was asked last.
    pub(super) fn broker_got(&mut self) -> Vec<String> {
        let version = self.session.status().upstream;
        told(&self.broker_got_octets(), version)
    }

    pub(super) fn broker_got_octets(&mut self) -> Vec<u8> {
        self.collect();
        self.upstream.out.split().to_vec()
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
        self.desk.handle(&mut self.session, event);
        self.pump();
    }

    /// Lets time go by, with every deadline on the way.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.desk.now + time;
        for _ in 0..1000 {
            match self.session.deadline() {
                Some(due) if due <= until => {
                    self.desk.now = self.desk.now.max(due);
                    self.event(Event::Timer);
                }
                _ => {
                    self.desk.now = until;
                    return;
                }
            }
        }
        panic!(
            "a deadline that is always due: {:?}",
            self.session.deadline()
        );
    }

    pub(super) fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// The codes by which sessions ended.
    pub(super) fn closed_by(&self) -> Vec<&'static str> {
        let codes = self.notes.iter().filter_map(|note| match note {
            Note::Closed { code, .. } => Some(*code),
            _ => None,
        });
        codes.collect()
    }

    /// Gives octets as long as anything moves.
    pub(super) fn pump(&mut self) {
        loop {
            self.collect();
            let mut moved = false;
            if self.session.reads_upstream() && self.broker == Broker::Open {
                moved |= self.upstream.arrive(self.cut);
                let before = self.upstream.held.len();
                let event = Event::UpstreamOctets(&mut self.upstream.held);
                self.desk.handle(&mut self.session, event);
                moved |= self.upstream.held.len() != before;
            }
            self.collect();
            if self.session.reads_local() {
                moved |= self.local.arrive(self.cut);
                let before = self.local.held.len();
                let event = Event::LocalOctets(&mut self.local.held);
                self.desk.handle(&mut self.session, event);
                moved |= self.local.held.len() != before;
            }
            self.collect();
            if !moved {
                return;
            }
        }
    }

    /// Takes out what came out.
    fn collect(&mut self) {
        if self.program_reads {
            let out = self.session.local_output().split();
            self.local.out.extend_from_slice(&out);
        }
        if self.broker_reads {
            let out = self.session.upstream_output().split();
            self.upstream.out.extend_from_slice(&out);
        }
        while let Some(action) = self.session.next_action() {
            match action {
                Action::CloseLocal => self.is_local_closed = true,
                Action::CloseUpstream => {
                    self.broker = Broker::Closed;
                    self.upstream.wire.clear();
                    self.upstream.held.clear();
                }
                Action::ConnectUpstream => self.broker = Broker::Wanted,
                Action::Note(note) => self.notes.push(note),
                Action::Yield => {}
                asked => self.asked.push(asked),
            }
        }
    }
}

impl Side {
    fn arrive(&mut self, most: usize) -> bool {
        let count = self.wire.len().min(most);
        self.held.extend(self.wire.drain(..count));
        count > 0
    }
}
