//! A gateway over real sockets, programs that speak octets, and a broker that does what it is told.

use crate::clock::SystemClock;
use crate::config::{
    ClientIdTemplate, Credentials, GatewayConfig, ListenAddress, ListenerConfig, UpstreamConfig,
    UpstreamUrl, UpstreamVersion,
};
use crate::daemon::Agent;
use crate::engine::{Engine, Settings, SignBlock, Signing};
use crate::gateway::flows::Flows;
use crate::gateway::link::{Gateway, GatewayError, GatewayStatus, PassedSockets};
use crate::gateway::packet::{
    self, ConnAck, Connect, Frame, Framed, Framer, Packet, PacketType, Properties, Publish, Version,
};
use crate::gateway::rules::{IncomingRule, Mode, OutgoingRule, Permissions, Rule, RuleName, Rules};
use crate::wire::Qos;
use bytes::BytesMut;
use edgeseal_trust::store::Store;
use edgeseal_trust::topic::TopicFilter;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

pub(super) struct Rig {
    pub(super) gateway: Gateway,
    pub(super) config: GatewayConfig,
    _directory: TempDir,
}

/// One end of a connection, in packets.
pub(super) struct Talk {
    stream: Box<dyn Octets>,
    input: BytesMut,
    framer: Framer,
    pub(super) version: Version,
}

pub(super) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// The broker's socket.
pub(super) struct Broker {
    pub(super) listener: TcpListener,
    pub(super) port: u16,
}

impl Rig {
    /// A gateway with one listener that leads to `broker`, where everything passes.
    pub(super) fn at(broker: &Broker) -> Self {
        Self::with(broker.port, |_| {})
    }

    pub(super) fn with(port: u16, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let (rig, started) = Self::try_with(port, change);
        started.unwrap();
        rig.unwrap()
    }

    pub(super) fn try_with(
        port: u16,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> (Option<Self>, Result<(), GatewayError>) {
        let directory = tempfile::tempdir().unwrap();
        let mut config = GatewayConfig {
            listeners: vec![listener("apps")],
            upstreams: vec![upstream(port)],
            rules: Arc::new(Rules::new(vec![rule("#", Mode::Pass)])),
            ..GatewayConfig::default()
        };
        change(&mut config);
        let agent = agent(directory.path());
        let passed = PassedSockets::default();
        match Gateway::start(&config, &agent, Flows::default(), passed, None) {
            Ok(gateway) => {
                let rig = Self {
                    gateway,
                    config,
                    _directory: directory,
                };
                (Some(rig), Ok(()))
            }
            Err(error) => (None, Err(error)),
        }
    }

    pub(super) fn status(&self) -> GatewayStatus {
        self.gateway.status()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.status().listeners[0].address.parse().unwrap()
    }

    /// A program that has connected its socket.
    pub(super) async fn program(&self, version: Version) -> Talk {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        Talk::new(stream, version)
    }

    /// A program whose CONNECT the broker has accepted, and the broker's end of it.
    pub(super) async fn connected(&self, broker: &Broker, client_id: &str) -> (Talk, Talk) {
        let mut program = self.program(Version::V5).await;
        program.connect(client_id).await;
        let mut remote = broker.accept().await;
        assert_eq!(remote.packet().await.packet_type(), PacketType::Connect);
        remote.accept_connect().await;
        let answer = program.packet().await;
        assert_eq!(answer.octets()[..4], [0x20, answer.octets()[1], 0, 0]);
        (program, remote)
    }

    /// Looks at the status until it is as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&GatewayStatus) -> bool) -> GatewayStatus {
        let looks = async {
            loop {
                let status = self.status();
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let seen = timeout(PATIENCE, looks).await;
        seen.unwrap_or_else(|_| panic!("{:#?} {}", self.status(), self.endings()))
    }

    /// How connections ended, by code.
    pub(super) fn endings(&self) -> String {
        let counts = self.gateway.counts();
        let of = |(_, listener): (&str, &crate::gateway::metrics::ListenerCounts)| {
            format!("{:?}", listener.closed)
        };
        counts.listeners().map(of).collect()
    }

    pub(super) fn counted(&self, code: &str) -> u64 {
        let counts = self.gateway.counts();
        let listeners = counts.listeners();
        let of = |(_, listener): (&str, &crate::gateway::metrics::ListenerCounts)| {
            let closed = listener.closed.get(code).copied().unwrap_or_default();
            closed + listener.refused.get(code).copied().unwrap_or_default()
        };
        listeners.map(of).sum()
    }
}

impl Broker {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    pub(super) async fn accept(&self) -> Talk {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("the gateway connects").unwrap();
        Talk::new(stream, Version::V5)
    }

    /// Nobody connects, now that all that was sent has been answered.
    pub(super) async fn expect_nobody(&self) {
        let soon = Duration::from_millis(20);
        assert!(timeout(soon, self.listener.accept()).await.is_err());
    }
}

impl Talk {
    pub(super) fn new(stream: impl Octets + 'static, version: Version) -> Self {
        Self {
            stream: Box::new(stream),
            input: BytesMut::new(),
            framer: Framer::new(1 << 24),
            version,
        }
    }

    pub(super) async fn unix(path: &Path) -> Self {
        Self::new(UnixStream::connect(path).await.unwrap(), Version::V5)
    }

    pub(super) async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    pub(super) async fn connect(&mut self, client_id: &str) {
        let octets = connect(self.version, client_id, None);
        self.send(&octets).await;
    }

    /// Answers CONNECT with success.
    pub(super) async fn accept_connect(&mut self) {
        let mut octets = BytesMut::new();
        let answer = ConnAck {
            session_present: false,
            code: 0,
            properties: Properties::EMPTY,
        };
        answer.write(self.version, &mut octets).unwrap();
        self.send(&octets).await;
    }

    pub(super) async fn publish(&mut self, topic: &str, payload: &[u8]) {
        let octets = publish(self.version, topic, payload);
        self.send(&octets).await;
    }

    /// The next packet.
    pub(super) async fn packet(&mut self) -> Frame {
        self.next().await.expect("a packet, not the end")
    }

    /// The next packet; nothing at the end.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let read = async {
            loop {
                match self.framer.next(&mut self.input).unwrap() {
                    Some(Framed::Packet(frame)) => return Some(frame),
                    Some(Framed::Oversized(_)) => panic!("oversized"),
                    None => {}
                }
                match self.stream.read_buf(&mut self.input).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(PATIENCE, read)
            .await
            .expect("something within time")
    }

    /// The payload of the next PUBLISH.
    pub(super) async fn payload(&mut self) -> Vec<u8> {
        let frame = self.packet().await;
        match packet::read(&frame, self.version) {
            Ok(Packet::Publish(publish)) => publish.payload.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn ping(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.packet().await.packet_type(), PacketType::PingResp);
    }
}

pub(super) fn connect(version: Version, client_id: &str, login: Option<(&str, &str)>) -> BytesMut {
    let mut octets = BytesMut::new();
    let connect = Connect {
        version,
        bridge: false,
        clean_start: true,
        keep_alive_seconds: 0,
        client_id,
        will: None,
        username: login.map(|(name, _)| name),
        password: login.map(|(_, password)| password.as_bytes()),
        properties: Properties::EMPTY,
    };
    connect.write(version, &mut octets).unwrap();
    octets
}

pub(super) fn publish(version: Version, topic: &str, payload: &[u8]) -> BytesMut {
    let mut octets = BytesMut::new();
    let publish = Publish {
        dup: false,
        qos: Qos::AtMostOnce,
        retain: false,
        topic,
        packet_id: None,
        properties: Properties::EMPTY,
        payload,
    };
    publish.write(version, &mut octets).unwrap();
    octets
}

/// An agent without identity and trust data: everything passes, or nothing does.
pub(super) fn agent(directory: &Path) -> Arc<Agent> {
    agent_with(directory, Settings::default())
}

pub(super) fn agent_with(directory: &Path, settings: Settings) -> Arc<Agent> {
    let state = directory.join("state");
    std::fs::create_dir_all(&state).unwrap();
    let (store, _) = Store::open(&state).unwrap();
    let signing = Signing::Blocked {
        why: SignBlock::NoIdentity,
        kid: None,
    };
    let engine = Engine::new(settings, signing, None);
    Arc::new(Agent::new(engine, store, SystemClock::start()))
}

pub(super) fn rule(filter: &str, mode: Mode) -> Rule {
    let filter = TopicFilter::parse(filter).unwrap();
    Rule {
        name: RuleName::numbered(1, &filter),
        filter,
        mode,
        outgoing: OutgoingRule::default(),
        incoming: IncomingRule::default(),
    }
}

pub(super) fn everything() -> Permissions {
    let all = || vec![TopicFilter::parse("#").unwrap()];
    Permissions {
        publish: all(),
        subscribe: all(),
    }
}

pub(super) fn listener(name: &str) -> ListenerConfig {
    ListenerConfig {
        name: name.to_owned(),
        address: ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()),
        upstream: "main".to_owned(),
        permissions: everything(),
        client_id: ClientIdTemplate::default(),
        sender_in_topic: false,
        allow_nonloopback: false,
        max_connections: 64,
        close_on_refused: false,
        users: Vec::new(),
    }
}

pub(super) fn upstream(port: u16) -> UpstreamConfig {
    UpstreamConfig {
        name: "main".to_owned(),
        url: UpstreamUrl::Mqtt {
            host: "127.0.0.1".to_owned(),
            port,
        },
        version: UpstreamVersion::Auto,
        credentials: Credentials::None,
        tls: None,
        keep_alive_seconds: 60,
        will_delay_seconds: 10,
        connect_timeout_seconds: 10,
        renewal: false,
    }
}

/// No test waits as long where all is well.
const PATIENCE: Duration = Duration::from_secs(20);
