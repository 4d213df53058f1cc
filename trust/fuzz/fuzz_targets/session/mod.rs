//! One session, driven by the octets of a fuzzer as the edge would drive it.

#[allow(dead_code)] // what the agent's own tests need besides
#[path = "../../../../agent/src/gateway/session/tests/farm.rs"]
mod farm;

use bytes::{Buf, BytesMut};
use edgeseal_agent as agent;
use edgeseal_agent::config::UpstreamVersion;
use edgeseal_agent::gateway::packet::{
    self, ConnAck, Connect, Framed, Framer, LONGEST_PACKET_OCTETS, Packet, Publish, Version,
};
use edgeseal_agent::gateway::session::{Action, Event, Phase, Session};
use edgeseal_agent::wire::Qos;
use farm::Desk;
use std::time::Duration;

/// Whose octets the fuzzer sends.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Side {
    Broker,
    Program,
}

pub(crate) struct Line {
    desk: Desk,
    session: Session,
    side: Side,
    program: Version,
    wanted: bool,
    from_program: BytesMut,
    from_broker: BytesMut,
    to_program: BytesMut,
}

impl Line {
    /// The first octet picks versions and whether the session runs already; then come a kind, a length and octets, again
    /// and again.
    pub(crate) fn run(data: &[u8], side: Side) {
        let Some((how, mut rest)) = data.split_first() else {
            return;
        };
        let mut line = Self::new(*how, side);
        if how & 4 == 0 {
            line.begin();
        }
        while let [kind, length, more @ ..] = rest {
            let length = usize::from(*length).min(more.len());
            let (octets, more) = more.split_at(length);
            line.happens(*kind, octets);
            line.expect_bounds();
            rest = more;
        }
        line.expect_verified();
    }

    fn new(how: u8, side: Side) -> Self {
        let mut plan = farm::plan();
        plan.max_message_octets = 4096;
        let is_v311 = how & 2 != 0;
        if is_v311 {
            plan.upstream.version = UpstreamVersion::V311;
        }
        let program = if how & 1 == 0 || is_v311 { Version::V311 } else { Version::V5 };
        Self {
            desk: Desk::new(1),
            session: farm::session(plan, 1, Duration::ZERO),
            side,
            program,
            wanted: false,
            from_program: BytesMut::new(),
            from_broker: BytesMut::new(),
            to_program: BytesMut::new(),
        }
    }

    /// A handshake that goes well.
    fn begin(&mut self) {
        let connect = Connect {
            version: self.program,
            bridge: false,
            clean_start: true,
            keep_alive_seconds: 30,
            client_id: "app",
            will: None,
            username: None,
            password: None,
            properties: Default::default(),
        };
        connect.write(self.program, &mut self.from_program).unwrap();
        self.pump();
        self.connect();
        let connack = Packet::ConnAck(ConnAck {
            session_present: false,
            code: 0,
            properties: Default::default(),
        });
        let version = self.session.status().upstream;
        connack.write(version, &mut self.from_broker).unwrap();
        self.pump();
        assert_eq!(self.session.status().phase, Phase::Runs);
    }

    fn happens(&mut self, kind: u8, octets: &[u8]) {
        match kind % 16 {
            0..=7 => match self.side {
                Side::Broker => self.from_broker.extend_from_slice(octets),
                Side::Program => self.from_program.extend_from_slice(octets),
            },
            8 => self.answers(octets),
            9 => {
                let seconds = octets.first().copied().unwrap_or(1);
                self.desk.now += Duration::from_secs(seconds.into());
                self.event(Event::Timer);
            }
            10 => self.event(Event::TrustChanged),
            11 => self.connect(),
            12 => self.event(Event::Stop),
            13 => self.event(Event::UpstreamClosed),
            14 => self.verified(),
            _ => self.event(Event::UpstreamUnavailable),
        }
        self.pump();
    }

    /// The other side acknowledges something.
    fn answers(&mut self, octets: &[u8]) {
        let [which, id, ..] = octets else { return };
        let first = [0x40, 0x50, 0x62, 0x70][usize::from(which % 4)];
        let packet = [first, 2, 0, *id];
        match self.side {
            Side::Broker => self.from_program.extend_from_slice(&packet),
            Side::Program => self.from_broker.extend_from_slice(&packet),
        }
    }

    /// A message of another device, or one of the program.
    fn verified(&mut self) {
        let (topic, version) = match self.side {
            Side::Broker => ("site/one/a", self.program),
            Side::Program => ("site/two/a", self.session.status().upstream),
        };
        let publish = Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            retain: false,
            topic,
            packet_id: Some(7),
            properties: Default::default(),
            payload: b"right",
        };
        match self.side {
            Side::Broker => Packet::Publish(publish)
                .write(version, &mut self.from_program)
                .unwrap(),
            Side::Program => {
                let octets = Desk::new(2).sends(&publish, version);
                self.from_broker.extend_from_slice(&octets);
            }
        }
    }

    fn connect(&mut self) {
        if std::mem::take(&mut self.wanted) {
            self.event(Event::UpstreamConnected);
        }
    }

    fn event(&mut self, event: Event<'_>) {
        self.desk.handle(&mut self.session, event);
        self.collect();
    }

    fn pump(&mut self) {
        loop {
            let before = self.from_program.remaining() + self.from_broker.remaining();
            if self.session.reads_upstream() {
                let mut octets = std::mem::take(&mut self.from_broker);
                self.event(Event::UpstreamOctets(&mut octets));
                octets.unsplit(std::mem::take(&mut self.from_broker));
                self.from_broker = octets;
            }
            if self.session.reads_local() {
                let mut octets = std::mem::take(&mut self.from_program);
                self.event(Event::LocalOctets(&mut octets));
                self.from_program = octets;
            }
            if self.from_program.remaining() + self.from_broker.remaining() == before {
                return;
            }
        }
    }

    fn collect(&mut self) {
        let out = self.session.local_output().split();
        self.to_program.extend_from_slice(&out);
        self.session.upstream_output().clear();
        while let Some(action) = self.session.next_action() {
            match action {
                Action::ConnectUpstream => self.wanted = true,
                Action::CloseUpstream => self.from_broker.clear(),
                _ => {}
            }
        }
        if self.session.status().phase == Phase::Closed {
            self.desk.handle(&mut self.session, Event::Timer);
            assert!(self.session.local_output().is_empty());
            assert_eq!(self.session.deadline(), None);
        }
    }

    fn expect_bounds(&self) {
        let held = self.session.buffered_octets();
        assert!(held < 4 << 20, "{held} octets");
    }

    /// Of a fuzzer nothing is verified: what the program got of it came under rules that do not enforce.
    fn expect_verified(&mut self) {
        let mut framer = Framer::new(LONGEST_PACKET_OCTETS);
        while let Ok(Some(Framed::Packet(frame))) = framer.next(&mut self.to_program) {
            let Ok(Packet::Publish(publish)) = packet::read(&frame, self.program) else {
                continue;
            };
            let free = ["pass/", "watch/"]
                .iter()
                .any(|prefix| publish.topic.starts_with(prefix));
            let ours = self.side == Side::Program && publish.topic == "site/two/a";
            let bare = ["pass", "watch"].contains(&publish.topic);
            assert!(free || ours || bare, "{:?}", publish.topic);
        }
        // A program of 3.1.1 is told an alert of its own version, or nothing.
        assert!(self.to_program.is_empty());
    }
}
