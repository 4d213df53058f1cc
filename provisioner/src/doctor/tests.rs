//! One thing is broken at a time, and the check that is about it says so.
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::facts::{
    ApprovalsFacts, BrokerFacts, Facts, KeyFacts, KeysFacts, PlaceFacts, PreparedFacts,
    RegistryFacts, UnitFacts, Unpublished, WaitingFacts,
};
use super::gather::{RESTORE_PUBLISHED, RESTORE_ROOTS};
use super::{CHECKS, examine};
use crate::cli::command_line;
use crate::command::fleet::Glance;
use crate::command::publish::Prepared;
use crate::distribution::Standing;
use crate::error::CommandError;
use crate::mqtt::Stage;
use crate::registry::{BackedUp, TokenRecord, TokenUse};
use clap::parser::ValueSource;
use edgeseal_doctor::State::{Broken, Ok as Well, Unknown, Warning};
use edgeseal_doctor::{MachineFacts, Space, State};
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::document::{Authority, Digest, Manifest, Root};
use edgeseal_trust::enrollment::{JoinDraft, JoinId};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::time::UnixTime;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const NOW: UnixTime = UnixTime::from_seconds(1_900_000_000);
const DAY: u64 = 86_400;

/// The check that must say it, how bad it is, and what is broken.
type Fault = (&'static str, State, fn(&mut Facts));

#[test]
fn all_is_well_where_nothing_is_broken() {
    let report = examine(&healthy());
    assert_eq!(report.state, Well);
    assert_eq!(report.count(Well), CHECKS.len(), "{:#?}", report.checks);
    let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), CHECKS.len(), "a name twice");
}

#[test]
fn each_fault_is_told_by_the_check_that_is_about_it() {
    let faults = || REGISTRY.iter().chain(KEYS).chain(PUBLISHED).chain(AROUND);
    for (check, state, fault) in faults() {
        let mut facts = healthy();
        fault(&mut facts);
        let report = examine(&facts);
        let about = report.checks.iter().find(|entry| entry.check == *check);
        assert_eq!(
            about.map(|entry| entry.state),
            Some(*state),
            "{check}: {about:?}"
        );
        assert_eq!(report.state == Broken, *state == Broken, "{check}");
        for entry in &report.checks {
            let is_told = !entry.what.is_empty() && !entry.what.contains('\n');
            assert!(is_told, "{entry:?}");
            assert_eq!(entry.repair.is_none(), entry.state == Well, "{entry:?}");
        }
    }
    let told: BTreeSet<_> = faults().map(|(check, ..)| *check).collect();
    let untold = CHECKS.iter().filter(|check| !told.contains(check.name));
    assert_eq!(
        untold.map(|check| check.name).collect::<Vec<_>>(),
        ["architecture"]
    );
}

#[test]
fn what_cannot_be_seen_is_unknown() {
    let facts = Facts {
        registry: Err(refused("no-registry")),
        keys: None,
        broker: BrokerFacts::Unseen,
        fleet: None,
        ..healthy()
    };
    let report = examine(&facts);
    assert_eq!((report.count(Broken), report.count(Warning)), (1, 0));
    assert_eq!(report.count(Unknown), 25, "{:#?}", report.checks);
    let mut facts = healthy();
    facts.broker = BrokerFacts::NotSet;
    facts.fleet = None;
    assert_eq!(examine(&facts).state, Well, "islands need no broker");
}

#[test]
fn every_command_that_repairs_is_one_that_the_program_takes() {
    let (mut seen, mut wrong) = (BTreeSet::new(), BTreeSet::new());
    let faults = REGISTRY.iter().chain(KEYS).chain(PUBLISHED).chain(AROUND);
    let unseen: Fault = ("", Unknown, |f| {
        f.registry = Err(refused("no-registry"));
        f.broker = BrokerFacts::Unseen;
        f.fleet = None;
    });
    for (_, _, fault) in faults.chain([&unseen]) {
        let mut facts = healthy();
        fault(&mut facts);
        for entry in examine(&facts).checks {
            let repair = entry.repair.unwrap_or_default();
            for command in commands(&repair) {
                let refused = takes(&command).err();
                wrong.extend(refused.map(|why| format!("{}: {command}: {why}", entry.check)));
                seen.insert(command);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.len() > 25, "{seen:#?}");
    for bad in [
        "publish --yes",
        "root rotate",
        "device approve",
        "device approve --every",
        "fleet state",
    ] {
        assert!(takes(bad).is_err(), "edgeseal {bad}");
    }
}

/// The command lines of `edgeseal` in a repair: each ends before a comma, a semicolon, a bracket, or the end.
fn commands(repair: &str) -> Vec<String> {
    let repair = repair.replace(", ", ";");
    let parts = repair.split([';', '(', ')', '?']);
    let commands = parts.flat_map(|part| part.split("edgeseal ").skip(1));
    commands.map(|words| words.trim().to_owned()).collect()
}

/// Parses a command line as the program does. That a verb that signs is given keys it says only once it runs.
fn takes(command: &str) -> Result<(), String> {
    let words = command.split_whitespace().map(|word| match word {
        "ID" => "pump-1",
        "ROLE" => "pump",
        word => word,
    });
    let parsed = command_line().try_get_matches_from(["edgeseal"].into_iter().chain(words));
    let parsed = parsed.map_err(|why| why.to_string())?;
    let (mut name, mut matches) = ("", &parsed);
    while let Some((verb, below)) = matches.subcommand() {
        (name, matches) = (verb, below);
    }
    let given = |option: &str| {
        let is_known = matches.try_contains_id(option).is_ok();
        is_known.then(|| matches.value_source(option) == Some(ValueSource::CommandLine))
    };
    let signs_nothing = ["again", "signed"].map(given).contains(&Some(true));
    match name != "doctor" && !signs_nothing && given("keys") == Some(false) {
        true => Err("no keys".to_owned()),
        false => Ok(()),
    }
}

const REGISTRY: &[Fault] = &[
    ("registry", Broken, |f| {
        f.registry = Err(refused("registry-format"));
    }),
    ("registry-files", Broken, |f| {
        f.place.open = vec![PathBuf::from("registry/roles.json")];
    }),
    ("keys-in-registry", Broken, |f| {
        f.place.keys = vec![PathBuf::from("registry/registrar-1.pem")];
    }),
    ("keys-in-registry", Broken, |f| {
        f.place.keys = vec![PathBuf::from("registry/root-1.pem")];
    }),
    ("registry-writable", Warning, |f| space(f).read_only = true),
    ("disk-space", Warning, |f| space(f).free_octets = 100 << 20),
    ("disk-space", Broken, |f| space(f).free_octets = 1 << 20),
    ("disk-space", Broken, |f| space(f).free_files = Some(3)),
    ("root-chain", Broken, |f| {
        let why = CommandError::no("root-chain", "no").hint(RESTORE_ROOTS);
        registry(f).chain = Err(why);
    }),
    ("root-threshold", Warning, |f| {
        root(f).root = authority(2, &[1, 2]);
    }),
    ("root-age", Warning, |f| {
        root(f).expires_at = NOW.plus(30 * DAY);
    }),
    ("root-age", Broken, |f| root(f).expires_at = NOW),
    ("history", Broken, |f| {
        registry(f).history = Ok(vec!["sequence 4: another manifest".to_owned()]);
    }),
    ("history", Broken, |f| {
        registry(f).history = Err(refused("registry-corrupt"));
    }),
    ("backup", Warning, |f| registry(f).backed_up = Ok(None)),
    ("backup", Warning, |f| {
        let at = NOW.minus(31 * DAY);
        registry(f).backed_up = Ok(Some(BackedUp { at, ..backed_up() }));
    }),
];

const KEYS: &[Fault] = &[
    ("registrar-keys", Broken, |f| {
        keys(f).registrar = Err(refused("no-keys"));
    }),
    ("registrar-keys", Broken, |f| {
        keys(f).registrar = Ok(vec![KeyFacts {
            is_encrypted: Err(refused("key-file-open")),
            ..key_file(3)
        }]);
    }),
    ("registrar-keys", Unknown, |f| f.keys = None),
    ("keys-place", Broken, |f| {
        keys(f).place = Err(refused("keys-in-git"));
    }),
    ("key-passphrase", Warning, |f| {
        keys(f).registrar = Ok(vec![KeyFacts {
            is_encrypted: Ok(false),
            ..key_file(3)
        }]);
    }),
    ("key-named", Broken, |f| {
        keys(f).registrar = Ok(vec![key_file(9)])
    }),
    ("key-named", Unknown, |f| {
        let kid = None;
        keys(f).registrar = Ok(vec![KeyFacts { kid, ..key_file(3) }]);
    }),
    ("key-named", Unknown, |f| {
        let kid = Some(Err(refused("passphrase-wrong")));
        keys(f).registrar = Ok(vec![KeyFacts { kid, ..key_file(3) }]);
    }),
    ("root-keys", Warning, |f| {
        keys(f).root = vec![PathBuf::from("keys/root-1.pem")];
    }),
];

const PUBLISHED: &[Fault] = &[
    ("published", Broken, |f| {
        let why = CommandError::no("published", "no").hint(RESTORE_PUBLISHED);
        registry(f).whole = Err(why);
    }),
    ("manifest-age", Warning, |f| registry(f).last = Ok(None)),
    ("manifest-age", Warning, |f| {
        last(f).issued_at = NOW.minus(6 * DAY);
        last(f).expires_at = NOW.plus(DAY);
    }),
    ("manifest-age", Broken, |f| last(f).expires_at = NOW),
    ("manifest-age", Broken, |f| root(f).version = 2),
    ("unpublished", Warning, |f| unpublished(f).tables = true),
    ("unpublished", Warning, |f| {
        unpublished(f).devices = devices()
    }),
    ("unpublished", Broken, |f| unpublished(f).lost = devices()),
    ("unpublished", Broken, |f| {
        unpublished(f).unapproved = devices()
    }),
    ("prepared", Warning, |f| {
        registry(f).prepared = Ok(Some(waiting_manifest(1)));
    }),
    ("prepared", Warning, |f| {
        registry(f).prepared = Ok(Some(waiting_manifest(2)));
    }),
    ("prepared", Warning, |f| {
        let prepared = waiting_manifest(1);
        registry(f).prepared = Ok(Some(PreparedFacts {
            next: None,
            ..prepared
        }));
    }),
    ("pending", Warning, |f| wait(f, 1)),
    ("pending", Broken, |f| wait(f, 100)),
    ("approvals", Warning, |f| registry(f).approvals.waiting = 2),
    ("approvals", Broken, |f| {
        let door = RoleName::parse("door").unwrap();
        registry(f).approvals.strictest = Some((door, 2));
    }),
    ("join-tokens", Warning, |f| {
        let expires_at = NOW.plus(DAY);
        registry(f).tokens = Ok(vec![TokenRecord {
            expires_at,
            ..token()
        }]);
    }),
    ("join-tokens", Warning, |f| {
        let used = Some(TokenUse {
            kid: key(5).public().id(),
            device: devices().remove(0),
            at: NOW,
        });
        let refused = BTreeMap::from([("join-used".to_owned(), 1)]);
        registry(f).tokens = Ok(vec![TokenRecord {
            used,
            refused,
            ..token()
        }]);
    }),
];

const AROUND: &[Fault] = &[
    ("broker-settings", Broken, |f| {
        f.broker = BrokerFacts::Unusable(refused("broker-ca"));
    }),
    ("broker", Broken, |f| fails_at(f, Stage::Address)),
    ("broker-tls", Broken, |f| fails_at(f, Stage::Tls)),
    ("broker-tls", Warning, |f| {
        if let BrokerFacts::Asked { url, .. } = &mut f.broker {
            *url = "mqtt://broker:1883".to_owned();
        }
    }),
    ("broker-login", Broken, |f| fails_at(f, Stage::Login)),
    ("broker-link", Broken, |f| fails_at(f, Stage::Link)),
    ("broker-login", Unknown, |f| {
        f.broker = BrokerFacts::Unseen;
    }),
    ("broker-sequence", Broken, |f| {
        stands(f, Standing::Behind(4))
    }),
    ("broker-sequence", Broken, |f| stands(f, Standing::Empty)),
    ("broker-sequence", Broken, |f| stands(f, Standing::Foreign)),
    ("broker-sequence", Broken, |f| {
        stands(f, Standing::Differs(refused("broker-ahead")));
    }),
    ("broker-shards", Broken, |f| {
        stands(
            f,
            Standing::Same {
                shards: 4,
                looked_at: 4,
                missing: 1,
            },
        );
    }),
    ("fleet", Warning, |f| attention(f, "behind")),
    ("fleet", Broken, |f| attention(f, "clone")),
    ("fleet", Broken, |f| attention(f, "ahead")),
    ("fleet", Unknown, |f| {
        f.fleet = Some(Err(refused("broker-connection")))
    }),
    ("clock", Broken, |f| f.clock.synchronized = false),
    ("clock", Warning, |f| {
        f.clock.synchronized = false;
        f.unsynchronized_clock = true;
    }),
    ("clock-floor", Broken, |f| f.clock.time = NOW.minus(2 * DAY)),
    ("units", Broken, |f| unit(f, "edgeseal-registrar.service")),
    ("units", Warning, |f| unit(f, "edgeseal-status.service")),
];

fn healthy() -> Facts {
    Facts {
        clock: ClockReading {
            time: NOW,
            synchronized: true,
        },
        unsynchronized_clock: false,
        place: PlaceFacts {
            dir: PathBuf::from("registry"),
            open: Vec::new(),
            keys: Vec::new(),
            space: Some(Space {
                free_octets: 1 << 30,
                free_files: Some(1 << 20),
                ..Space::default()
            }),
            is_in_git: false,
        },
        registry: Ok(opened()),
        keys: Some(KeysFacts {
            dirs: vec![PathBuf::from("keys")],
            place: Ok(()),
            registrar: Ok(vec![key_file(3)]),
            root: Vec::new(),
        }),
        broker: BrokerFacts::Asked {
            url: "mqtts://broker:8883".to_owned(),
            standing: Ok(Standing::Same {
                shards: 4,
                looked_at: 4,
                missing: 0,
            }),
        },
        fleet: Some(Ok(Glance {
            active: 3,
            ..Glance::default()
        })),
        units: Some(Vec::new()),
        machine: MachineFacts {
            machine: "x86_64".to_owned(),
            ..MachineFacts::default()
        },
    }
}

fn opened() -> RegistryFacts {
    RegistryFacts {
        domain: TrustDomain::parse("farm").unwrap(),
        devices: 3,
        chain: Ok(()),
        root: Ok(Root {
            domain: TrustDomain::parse("farm").unwrap(),
            version: 1,
            issued_at: NOW.minus(DAY),
            expires_at: NOW.plus(3650 * DAY),
            root: authority(1, &[1]),
            registrar: authority(1, &[3]),
        }),
        last: Ok(Some(Manifest {
            domain: TrustDomain::parse("farm").unwrap(),
            root_version: 1,
            sequence: 5,
            issued_at: NOW.minus(DAY),
            expires_at: NOW.plus(6 * DAY),
            roles: Vec::new(),
            groups: Vec::new(),
            shards: vec![Digest::of(b"shard")],
        })),
        whole: Ok(()),
        history: Ok(Vec::new()),
        unpublished: Ok(Unpublished::default()),
        prepared: Ok(None),
        waiting: Ok(WaitingFacts::default()),
        approvals: ApprovalsFacts {
            waiting: 0,
            strictest: Some((RoleName::parse("door").unwrap(), 1)),
        },
        tokens: Ok(vec![token()]),
        backed_up: Ok(Some(backed_up())),
    }
}

fn registry(facts: &mut Facts) -> &mut RegistryFacts {
    facts.registry.as_mut().unwrap()
}

fn root(facts: &mut Facts) -> &mut Root {
    registry(facts).root.as_mut().unwrap()
}

fn last(facts: &mut Facts) -> &mut Manifest {
    registry(facts).last.as_mut().unwrap().as_mut().unwrap()
}

fn unpublished(facts: &mut Facts) -> &mut Unpublished {
    registry(facts).unpublished.as_mut().unwrap()
}

fn keys(facts: &mut Facts) -> &mut KeysFacts {
    facts.keys.as_mut().unwrap()
}

fn space(facts: &mut Facts) -> &mut Space {
    facts.place.space.as_mut().unwrap()
}

fn wait(facts: &mut Facts, requests: usize) {
    registry(facts).waiting = Ok(WaitingFacts {
        requests,
        most: 100,
        since: Some(NOW.minus(DAY)),
    });
}

fn fails_at(facts: &mut Facts, stage: Stage) {
    facts.broker = BrokerFacts::Asked {
        url: "mqtts://broker:8883".to_owned(),
        standing: Err((stage, refused("no-broker"))),
    };
}

fn stands(facts: &mut Facts, how: Standing) {
    facts.broker = BrokerFacts::Asked {
        url: "mqtts://broker:8883".to_owned(),
        standing: Ok(how),
    };
}

fn attention(facts: &mut Facts, why: &'static str) {
    facts.fleet = Some(Ok(Glance {
        active: 3,
        attention: BTreeMap::from([(why, devices())]),
    }));
}

fn unit(facts: &mut Facts, name: &'static str) {
    let state = "failed".to_owned();
    facts.units = Some(vec![UnitFacts { name, state }]);
}

fn key_file(number: u8) -> KeyFacts {
    KeyFacts {
        path: PathBuf::from(format!("keys/registrar-{number}.pem")),
        is_encrypted: Ok(true),
        kid: Some(Ok(key(number).public().id())),
    }
}

/// A manifest for two signatures that has so many.
fn waiting_manifest(signatures: u8) -> PreparedFacts {
    let path = PathBuf::from("registry/prepared/manifest.json");
    PreparedFacts {
        path: path.clone(),
        sequence: 6,
        next: Some(Prepared {
            path,
            sequence: 6,
            signed_by: (0..signatures).map(|n| key(n).public().id()).collect(),
            needed: 2,
        }),
    }
}

fn token() -> TokenRecord {
    TokenRecord::new(JoinDraft {
        domain: TrustDomain::parse("farm").unwrap(),
        id: JoinId::from_octets([7; 16]),
        one_time: key(4).public().id(),
        device: None,
        roles: Vec::new(),
        groups: Vec::new(),
        serial: None,
        issued_at: NOW.minus(DAY),
        expires_at: NOW.plus(30 * DAY),
    })
}

fn backed_up() -> BackedUp {
    BackedUp {
        at: NOW.minus(DAY),
        root_version: 1,
        sequence: 5,
    }
}

fn devices() -> Vec<DeviceId> {
    vec![DeviceId::parse("pump-1").unwrap()]
}

fn authority(threshold: u32, numbers: &[u8]) -> Authority {
    let keys = numbers.iter().map(|number| key(*number).public().clone());
    Authority::new(threshold, keys.collect()).unwrap()
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn refused(code: &'static str) -> CommandError {
    CommandError::no(code, format!("refused: {code}")).hint("edgeseal status")
}
