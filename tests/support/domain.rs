//! The trust domain `farm` that every vector speaks of. All keys are made of fixed seeds.

use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey, Role, TrustView};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::topic::TopicFilter;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The moment of every vector that names no other: 2027-01-15T08:00:00Z.
pub const NOW: u64 = 1_800_000_000;
/// When the keys became valid.
pub const ENROLLED: u64 = NOW - 1_000_000;
/// When `rotated`'s first key was retired.
pub const RETIRED: u64 = NOW - 3_600;
/// Sequence of the manifest in force.
pub const SEQUENCE: u64 = 7;

/// The domain, ready to judge.
pub struct Domain {
    /// Trust data without the keys.
    pub view: TrustView,
    /// Keys by thumbprint.
    pub keys: HashMap<KeyId, PeerKey>,
}

/// A device of the domain: id, state, roles, groups, and its keys by seed.
pub struct Member {
    pub id: &'static str,
    pub state: DeviceState,
    pub roles: &'static [&'static str],
    pub groups: &'static [&'static str],
    pub keys: &'static [(u8, KeyState)],
}

/// Every device of the domain. `pump` receives.
pub const MEMBERS: &[Member] = &[
    Member {
        id: "bridge",
        state: DeviceState::Active,
        roles: &["bridge"],
        groups: &[],
        keys: &[(21, KeyState::Active)],
    },
    Member {
        id: "burned",
        state: DeviceState::Active,
        roles: &["sensor"],
        groups: &[],
        keys: &[(10, KeyState::Revoked)],
    },
    Member {
        id: "gateway",
        state: DeviceState::Active,
        roles: &["relay"],
        groups: &[],
        keys: &[(11, KeyState::Active)],
    },
    Member {
        id: "meter",
        state: DeviceState::Active,
        roles: &["meter"],
        groups: &[],
        keys: &[(22, KeyState::Active)],
    },
    Member {
        id: "newcomer",
        state: DeviceState::Pending,
        roles: &["sensor"],
        groups: &[],
        keys: &[(12, KeyState::Active)],
    },
    Member {
        id: "panel",
        state: DeviceState::Active,
        roles: &["panel"],
        groups: &[],
        keys: &[(13, KeyState::Active)],
    },
    Member {
        id: "pump",
        state: DeviceState::Active,
        roles: &["pump"],
        groups: &["pumps"],
        keys: &[(14, KeyState::Active)],
    },
    Member {
        id: "rotated",
        state: DeviceState::Active,
        roles: &["sensor"],
        groups: &[],
        keys: &[
            (15, KeyState::Retired),
            (16, KeyState::Retiring),
            (17, KeyState::Active),
        ],
    },
    Member {
        id: "sensor",
        state: DeviceState::Active,
        roles: &["sensor"],
        groups: &["sensors"],
        keys: &[(18, KeyState::Active)],
    },
    Member {
        id: "stolen",
        state: DeviceState::Revoked,
        roles: &["sensor"],
        groups: &[],
        keys: &[(19, KeyState::Active)],
    },
    Member {
        id: "suspended",
        state: DeviceState::Suspended,
        roles: &["sensor"],
        groups: &[],
        keys: &[(20, KeyState::Active)],
    },
];

/// The key of a seed.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// The first key of a member.
pub fn key_of(id: &str) -> SigningKey {
    let member = MEMBERS
        .iter()
        .find(|member| member.id == id)
        .expect("a member");
    key(member.keys[0].0)
}

/// When the key of a seed became valid: `rotated`'s newest when its oldest was retired.
pub fn not_before(seed: u8) -> u64 {
    match seed {
        17 => RETIRED,
        _ => ENROLLED,
    }
}

/// The roles of the domain.
pub fn roles() -> Vec<Role> {
    let grant = |publish: &[&str], audiences: &[&str]| Grant {
        publish: publish
            .iter()
            .map(|text| TopicFilter::parse(text).expect("filter"))
            .collect(),
        audiences: audiences
            .iter()
            .map(|text| AudiencePattern::parse(text).expect("audience"))
            .collect(),
        ..Grant::default()
    };
    let role = |name: &str, grants| Role {
        name: RoleName::parse(name).expect("name"),
        grants,
        manifest_age_seconds: None,
    };
    vec![
        role("bridge", vec![grant(&["#"], &["domain"])]),
        Role {
            manifest_age_seconds: Some(90_000),
            ..role("meter", vec![grant(&["site/{device}/temp"], &["domain"])])
        },
        role(
            "panel",
            vec![
                Grant {
                    responses: vec![TopicFilter::parse("site/{device}/reply").expect("filter")],
                    ..grant(&["site/+/cmd"], &["device:*", "group:pumps"])
                },
                grant(&["site/{device}/note"], &["device:pump", "group:*"]),
            ],
        ),
        role("pump", vec![grant(&["site/{device}/#"], &["domain"])]),
        role(
            "relay",
            vec![Grant {
                vouch: true,
                ..grant(&["legacy/#"], &["domain"])
            }],
        ),
        role(
            "sensor",
            vec![
                grant(&["site/{device}/temp"], &["domain"]),
                Grant {
                    lifetime_seconds: Some(3_600),
                    ..grant(&["site/{device}/log"], &["domain"])
                },
                Grant {
                    retained_seconds: Some(86_400),
                    ..grant(&["site/{device}/state"], &["domain", "device:*"])
                },
                Grant {
                    will_seconds: Some(604_800),
                    ..grant(&["site/{device}/online"], &["domain"])
                },
            ],
        ),
    ]
}

impl Domain {
    /// The domain as its registry has it.
    pub fn new() -> Self {
        let domain = TrustDomain::parse("farm").expect("name");
        let view = TrustView {
            domain,
            root_version: 1,
            root_expires_at: UnixTime::from_seconds(NOW + 100_000_000),
            sequence: SEQUENCE,
            issued_at: UnixTime::from_seconds(NOW - 86_400),
            expires_at: UnixTime::from_seconds(NOW + 1_000_000),
            roles: roles()
                .into_iter()
                .map(|role| (role.name.clone(), Arc::new(role)))
                .collect::<BTreeMap<_, _>>(),
        };
        let keys = MEMBERS
            .iter()
            .flat_map(peer_keys)
            .map(|peer| (peer.key.id(), peer))
            .collect();
        Self { view, keys }
    }
}

fn peer_keys(member: &Member) -> Vec<PeerKey> {
    let device = Arc::new(Device {
        id: DeviceId::parse(member.id).expect("name"),
        state: member.state,
        roles: member
            .roles
            .iter()
            .map(|name| RoleName::parse(name).expect("name"))
            .collect(),
        groups: member
            .groups
            .iter()
            .map(|name| GroupName::parse(name).expect("name"))
            .collect(),
    });
    let peer = |(seed, state): &(u8, KeyState)| PeerKey {
        key: key(*seed).public().clone(),
        state: *state,
        not_before: UnixTime::from_seconds(not_before(*seed)),
        retired_at: (*state == KeyState::Retired).then(|| UnixTime::from_seconds(RETIRED)),
        device: Arc::clone(&device),
    };
    member.keys.iter().map(peer).collect()
}
