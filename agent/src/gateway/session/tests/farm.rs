//! A device with its gateway, and another one that sends. The fuzz targets include this file: it names
//! the agent as `super::agent` for that reason.

use super::agent::config::{
    Credentials, ListenAddress, ListenerConfig, UpstreamConfig, UpstreamUrl, UpstreamVersion,
};
use super::agent::engine::{Engine, InForce, KeyTable, Settings, Signing};
use super::agent::gateway::clients::{Clients, ConnectionId};
use super::agent::gateway::flows::Flows;
use super::agent::gateway::message::{EngineNotary, SendContext, Sent, send};
use super::agent::gateway::metrics::GatewayCounts;
use super::agent::gateway::packet::{Publish, Version};
use super::agent::gateway::rules::{
    AcceptedKinds, IncomingRule, IncomingSettings, Mode, OutgoingRule, Permissions, Rule, RuleName,
    Rules,
};
use super::agent::gateway::session::{Event, ListenerPlan, LocalPeer, Session, Surroundings};
use bytes::BytesMut;
use edgeseal_trust::clock::{ClockReading, Now};
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey, Role, TrustView};
use edgeseal_trust::replay::{Bounds, Past, ReplayMemory};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::Kind;
use edgeseal_trust::topic::TopicFilter;
use std::sync::Arc;
use std::time::Duration;

/// What the tests' clock shows at the start.
pub(super) const NOW: u64 = 1_800_000_000;

/// What all sessions of a device share.
pub(super) struct Desk {
    pub(super) engine: Engine,
    pub(super) rules: Arc<Rules>,
    pub(super) flows: Flows,
    pub(super) clients: Clients,
    pub(super) counts: GatewayCounts,
    pub(super) upstream_is_v311: bool,
    pub(super) is_synchronized: bool,
    pub(super) now: Duration,
}

impl Desk {
    pub(super) fn new(seed: u8) -> Self {
        Self {
            engine: engine(seed),
            rules: Arc::new(rules()),
            flows: Flows::default(),
            clients: Clients::new(64),
            counts: GatewayCounts::default(),
            upstream_is_v311: false,
            is_synchronized: true,
            now: Duration::ZERO,
        }
    }

    pub(super) fn handle(&mut self, session: &mut Session, event: Event<'_>) {
        let now = self.clock();
        let mut notary = EngineNotary {
            engine: &mut self.engine,
            now,
        };
        let mut around = Surroundings {
            notary: &mut notary,
            rules: &self.rules,
            flows: &mut self.flows,
            clients: &mut self.clients,
            counts: &mut self.counts,
            upstream_is_v311: &mut self.upstream_is_v311,
            now: self.now,
        };
        session.handle(event, &mut around);
    }

    /// A message of this device as the broker gets it.
    pub(super) fn sends(&mut self, publish: &Publish<'_>, upstream: Version) -> Vec<u8> {
        let everything = vec![TopicFilter::parse("#").unwrap()];
        let permissions = Permissions {
            publish: everything.clone(),
            subscribe: everything,
        };
        let context = SendContext {
            rules: &self.rules,
            permissions: &permissions,
            upstream,
            max_packet_octets: u32::MAX,
            resend: None,
        };
        let now = self.clock();
        let mut notary = EngineNotary {
            engine: &mut self.engine,
            now,
        };
        let mut out = BytesMut::new();
        let sent = send(publish, &context, &mut notary, &mut out);
        assert!(matches!(sent, Sent::Forwarded { .. }), "{sent:?}");
        out.to_vec()
    }

    fn clock(&self) -> Now {
        self.engine.now(ClockReading {
            time: at(NOW.saturating_add(self.now.as_secs())),
            synchronized: self.is_synchronized,
        })
    }
}

/// A session of a program on TCP.
pub(super) fn session(plan: ListenerPlan, number: u64, now: Duration) -> Session {
    let peer = LocalPeer::Tcp(([127, 0, 0, 1], 50_000).into());
    Session::new(Arc::new(plan), peer, ConnectionId::new(number), now)
}

pub(super) fn plan() -> ListenerPlan {
    let filters = |texts: &[&str]| {
        let parsed = texts.iter().map(|text| TopicFilter::parse(text).unwrap());
        parsed.collect::<Vec<_>>()
    };
    ListenerPlan {
        listener: ListenerConfig {
            name: "apps".to_owned(),
            address: ListenAddress::Tcp(([127, 0, 0, 1], 1884).into()),
            upstream: "main".to_owned(),
            permissions: Permissions {
                publish: filters(&[
                    "site/{device}/#",
                    "state/{device}/#",
                    "open/#",
                    "pass/#",
                    "watch/#",
                ]),
                subscribe: filters(&["site/#", "state/#", "open/#", "pass/#", "watch/#"]),
            },
            client_id: Default::default(),
            sender_in_topic: false,
            allow_nonloopback: false,
            max_connections: 64,
            close_on_refused: false,
            users: Vec::new(),
        },
        upstream: UpstreamConfig {
            name: "main".to_owned(),
            url: UpstreamUrl::Mqtt {
                host: "broker".to_owned(),
                port: 1883,
            },
            version: UpstreamVersion::Auto,
            credentials: Credentials::None,
            tls: None,
            keep_alive_seconds: 60,
            will_delay_seconds: 10,
            connect_timeout_seconds: 10,
            renewal: false,
        },
        upstream_password: None,
        max_message_octets: 64 * 1024,
    }
}

/// `state/#` holds retained statements, `pass/#` passes, `watch/#` is observed, the rest enforced.
pub(super) fn rules() -> Rules {
    let rule = |number, filter: &str, mode, kind| {
        let filter = TopicFilter::parse(filter).unwrap();
        Rule {
            name: RuleName::numbered(number, &filter),
            filter,
            mode,
            outgoing: OutgoingRule {
                kind,
                ..OutgoingRule::default()
            },
            incoming: IncomingRule::new(&IncomingSettings {
                accept: AcceptedKinds::by_default(kind),
                command: false,
                max_age_seconds: None,
                any_audience: false,
                as_published: None,
                after_power_loss: false,
                bind_user_properties: true,
            }),
        }
    };
    Rules::new(vec![
        rule(1, "state/#", Mode::Enforce, Kind::Retained),
        rule(2, "pass/#", Mode::Pass, Kind::Message),
        rule(3, "watch/#", Mode::Observe, Kind::Message),
    ])
}

/// Keys of the seeds 1 to 8 belong to the devices `one` to `eight`; only the first two are in the registry.
pub(super) fn engine(seed: u8) -> Engine {
    let bounds = Bounds {
        consumers: 16,
        windows: 256,
        statements: 256,
    };
    let memory = ReplayMemory::new(bounds, Past::Known, at(NOW));
    let signing = Signing::Ready {
        epoch: 5,
        key: Box::new(key(seed)),
    };
    let mut engine = Engine::new(Settings::default(), signing, Some(memory));
    engine.set_in_force(Some(in_force(seed, &[1, 2])));
    engine
}

/// Trust data with the keys of these seeds.
pub(super) fn in_force(own: u8, seeds: &[u8]) -> InForce {
    let names = [
        "", "one", "two", "three", "four", "five", "six", "seven", "eight",
    ];
    let peers = seeds.iter().chain([&own]).map(|seed| PeerKey {
        key: key(*seed).public().clone(),
        state: KeyState::Active,
        not_before: at(0),
        retired_at: None,
        device: Arc::new(Device {
            id: DeviceId::parse(names[usize::from(*seed)]).unwrap(),
            state: DeviceState::Active,
            roles: [RoleName::parse("sensor").unwrap()].into(),
            groups: [].into(),
        }),
    });
    let keys: KeyTable = peers.collect();
    InForce {
        view: Arc::new(view()),
        own: keys.get(key(own).public().id()).map(|key| (&**key).into()),
        keys: Box::new(keys),
    }
}

fn view() -> TrustView {
    let grant = |publish: &str| Grant {
        publish: vec![TopicFilter::parse(publish).unwrap()],
        audiences: vec![AudiencePattern::parse("domain").unwrap()],
        retained_seconds: Some(3600),
        will_seconds: Some(604_800),
        ..Grant::default()
    };
    let role = Role {
        name: RoleName::parse("sensor").unwrap(),
        grants: vec![grant("site/{device}/#"), grant("state/{device}/#")],
        manifest_age_seconds: None,
    };
    TrustView {
        domain: TrustDomain::parse("farm").unwrap(),
        root_version: 1,
        root_expires_at: at(NOW + 10_000_000),
        sequence: 7,
        issued_at: at(NOW - 100),
        expires_at: at(NOW + 1_000_000),
        roles: [(role.name.clone(), Arc::new(role))].into(),
    }
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}
