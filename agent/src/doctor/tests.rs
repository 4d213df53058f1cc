#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::facts::Ownership;
use super::*;
use crate::clock::Synchronization;
use crate::config::Origin;
use crate::daemon::AgentStatus;
use edgeseal_doctor::State::{Broken, Unknown, Warning};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::store::{Look, Recovery};
use edgeseal_trust::time::UnixTime;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn status() -> serde_json::Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": 100, "floor": NOW - DAY, "noted_time": 0,
        "enrolled": true, "kid": SigningKey::from_seed(&[7; 32]).public().id(), "device": "pump-1",
        "roles": ["sensor"], "groups": [], "epoch": 3, "time": NOW, "clock": "synchronized",
        "trust": {"domain": "farm", "root_version": 1, "root_exp": NOW + 300 * DAY, "sequence": 5,
                  "iat": NOW - DAY, "exp": NOW + 29 * DAY, "staleness": "fresh"},
        "signing": null, "verifying": null,
        "counts": {"signed": 0, "verified": 0, "rejected": {}, "refused": {}, "failed": {}},
        "trust_link": {"connected": true, "broker": "mqtts://broker:8883", "applied": 0, "refused": {},
                       "connections": 1, "taken_over": 0},
    })
}

fn answered(change: impl FnOnce(&mut serde_json::Value)) -> AgentFacts {
    let mut status = status();
    change(&mut status);
    let status: AgentStatus = serde_json::from_value(status).unwrap();
    AgentFacts::Answered(Box::new(status))
}

fn file(path: &str, mode: u32, is_dir: bool) -> FileFacts {
    let found = Ownership {
        uid: 990,
        gid: 990,
        mode,
        is_dir,
    };
    FileFacts {
        path: PathBuf::from(path),
        found: Ok(Some(found)),
    }
}

fn directory(path: &str, volatile: Option<&'static str>) -> DirectoryFacts {
    DirectoryFacts {
        file: file(path, 0o700, true),
        space: Some(Space {
            volatile,
            read_only: false,
            free_octets: 1 << 30,
            free_files: Some(100_000),
        }),
    }
}

fn healthy() -> Facts {
    let sandbox = service::SANDBOX.iter().copied();
    let unit = [
        ("LoadState", "loaded"),
        ("ActiveState", "active"),
        ("UnitFileState", "enabled"),
        ("NeedDaemonReload", "no"),
        ("NRestarts", "0"),
        ("MemoryMax", "33554432"),
    ];
    let service = sandbox.chain(unit);
    Facts {
        is_root: true,
        configuration: ConfigurationFacts {
            path: PathBuf::from("/etc/edgeseal/config.toml"),
            files: vec![FileFacts {
                found: Ok(Some(Ownership {
                    uid: 0,
                    gid: 0,
                    mode: 0o644,
                    is_dir: false,
                })),
                ..file("/etc/edgeseal/config.toml", 0, false)
            }],
            secrets: vec![file("/etc/edgeseal/password", 0o600, false)],
            ..ConfigurationFacts::default()
        },
        state: directory("/var/lib/edgeseal", None),
        runtime: directory("/run/edgeseal", Some("tmpfs")),
        service_uid: Some(990),
        identity: IdentityFacts::Loaded {
            kid: SigningKey::from_seed(&[7; 32]).public().id(),
            mismatch: None,
            in_the_clear: false,
        },
        join_files: Vec::new(),
        time: TimeFacts {
            now: UnixTime::from_seconds(NOW),
            synchronization: Ok(Synchronization::Synchronized {
                max_error_microseconds: 1_500,
            }),
            released: UnixTime::from_seconds(NOW - 100 * DAY),
            service: Some("chrony"),
        },
        grace_seconds: 7 * DAY,
        unsynchronized_allowed: false,
        store: Ok(Look {
            recovery: Recovery::None,
            epoch: 3,
            noted_time: UnixTime::default(),
            trust: Ok(None),
            damaged: Vec::new(),
        }),
        index_octets: Ok(1 << 20),
        agent: answered(|_| {}),
        round_trip: RoundTrip::Done("site/pump-1/edgeseal-doctor".to_owned()),
        brokers: vec![BrokerFacts {
            name: "main".to_owned(),
            url: "mqtts://broker:8883".to_owned(),
            reached: Ok(()),
            tls: Some(Ok(())),
            login: LoginFacts::Accepted,
        }],
        listeners: vec![ListenerFacts {
            name: "apps".to_owned(),
            address: "127.0.0.1:1883".to_owned(),
            reached: Ok(()),
        }],
        service: Some(service.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()),
        process: Some(ProcessFacts {
            written_octets: Some(4_096),
            resident_octets: Some(6 << 20),
        }),
        machine: MachineFacts {
            machine: "x86_64".to_owned(),
            package_architecture: Some("amd64".to_owned()),
            available_octets: Some(300 << 20),
        },
    }
}

#[test]
fn a_healthy_device_has_some_25_checks_and_all_are_ok() {
    let report = examine(&healthy());
    assert!(CHECKS.len() >= 25, "{}", CHECKS.len());
    assert_eq!(report.state, State::Ok);
    assert_eq!(
        report.count(State::Ok),
        CHECKS.len(),
        "{:#?}",
        report.checks
    );
    let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len(), "a name twice");
}

/// Breaks one thing at a time: just the check that is about it must say so, and say what to do.
#[test]
fn each_fault_is_named_with_a_repair() {
    let faults = || THIS_DEVICE.iter().chain(TRUST).chain(AGENT);
    for (check, state, fault) in faults() {
        let mut facts = healthy();
        fault(&mut facts);
        let report = examine(&facts);
        let about = report.checks.iter().find(|entry| entry.check == *check);
        let about = about.unwrap();
        assert_eq!(about.state, *state, "{check}: {about:?}");
        for entry in &report.checks {
            let needs_repair = entry.state != State::Ok;
            assert_eq!(entry.repair.is_some(), needs_repair, "{entry:?}");
            assert!(
                !entry.what.is_empty() && !entry.what.contains('\n'),
                "{entry:?}"
            );
        }
        if *state == Broken {
            assert_eq!(report.state, Broken, "{check}");
        }
    }
    let covered: std::collections::BTreeSet<_> = faults().map(|(check, ..)| *check).collect();
    let untested: Vec<_> = CHECKS
        .iter()
        .map(|check| check.name)
        .filter(|name| !covered.contains(name))
        .collect();
    assert_eq!(untested, ["architecture"], "its test is where it is");
}

#[test]
fn a_key_that_the_service_has_by_a_credential_is_no_fault() {
    let unusable = |code| IdentityFacts::Unusable {
        code,
        reason: "no".to_owned(),
        hint: "do".to_owned(),
    };
    let state_of = |code, agent| {
        let mut facts = healthy();
        (facts.identity, facts.agent) = (unusable(code), agent);
        let report = examine(&facts);
        let mut entries = report.checks.iter();
        entries
            .find(|entry| entry.check == "identity")
            .unwrap()
            .state
    };
    for code in ["no-identity", "identity-passphrase", "identity-record"] {
        assert_eq!(state_of(code, answered(|_| {})), State::Ok, "{code}");
        let without = answered(|s| s["kid"] = json!(null));
        assert_eq!(state_of(code, without), Broken, "{code}");
    }
    let damaged = state_of("identity-malformed", answered(|_| {}));
    assert_eq!(damaged, Broken);
}

#[test]
fn a_program_for_the_wrong_arm_is_told() {
    let mut facts = healthy();
    facts.machine.machine = "armv6l".to_owned();
    let report = examine(&facts);
    let about = report
        .checks
        .iter()
        .find(|entry| entry.check == "architecture");
    assert!(about.unwrap().what.contains("armv6l"));
}

#[test]
fn without_an_agent_the_trust_data_on_disk_is_judged() {
    let mut facts = healthy();
    facts.agent = AgentFacts::NotRunning("nobody listens".to_owned());
    facts.store.as_mut().unwrap().trust = Err("a shard is missing".to_owned());
    let report = examine(&facts);
    let about = report
        .checks
        .iter()
        .find(|entry| entry.check == "trust")
        .unwrap();
    assert_eq!(about.state, Broken);
    assert!(about.what.contains("a shard is missing"));
}

#[test]
fn what_belongs_to_one_device_must_not_be_on_an_image() {
    let clean = ImageFacts {
        own: Ok(Vec::new()),
        machine_id: Ok(Some("uninitialized\n".to_owned())),
        join_files: Vec::new(),
        agent_runs: false,
        enabled: Some(true),
    };
    assert_eq!(examine_image(&clean).state, State::Ok);
    type Fault = (&'static str, fn(&mut ImageFacts));
    let faults: &[Fault] = &[
        ("image-identity", |f| {
            f.own = Ok(vec![PathBuf::from("/var/lib/edgeseal/identity.pem")])
        }),
        ("image-machine-id", |f| {
            f.machine_id = Ok(Some("0".repeat(32)))
        }),
        ("image-join-file", |f| {
            f.join_files = vec![PathBuf::from("/boot/firmware/edgeseal/join.json")]
        }),
        ("image-stopped", |f| f.agent_runs = true),
        ("image-service", |f| f.enabled = Some(false)),
    ];
    for (check, fault) in faults {
        let mut facts = clean.clone();
        fault(&mut facts);
        let report = examine_image(&facts);
        let broken: Vec<_> = report.checks.iter().filter(|e| e.state == Broken).collect();
        assert_eq!(broken.len(), 1, "{check}");
        assert_eq!(broken[0].check, *check);
    }
}

#[test]
fn the_name_of_the_own_key_is_no_secret() {
    let kid = SigningKey::from_seed(&[7; 32]).public().id().to_string();
    let other = SigningKey::from_seed(&[8; 32]).public().id().to_string();
    let told = bundle::redactor(&healthy()).text(&format!("{kid} {other}"));
    assert_eq!(told, format!("{kid} (redacted)"));
}

fn unit(facts: &mut Facts, property: &str, value: &str) {
    let service: &mut BTreeMap<_, _> = facts.service.as_mut().unwrap();
    service.insert(property.to_owned(), value.to_owned());
}

/// A check, what it says, and what is wrong.
type Fault = (&'static str, State, fn(&mut Facts));

const THIS_DEVICE: &[Fault] = &[
    ("configuration", Broken, |f| {
        f.configuration.problems = vec!["/etc/edgeseal/config.toml:3:1: no such key".to_owned()];
    }),
    ("configuration", Unknown, |f| {
        f.configuration.forbidden = true
    }),
    ("configuration-meaning", Warning, |f| {
        f.configuration.warnings = vec![crate::config::Warning {
            code: "in-clear",
            origin: Origin::Default,
            message: "travels in clear".to_owned(),
        }];
    }),
    ("configuration-files", Broken, |f| {
        f.configuration.files = vec![file("/etc/edgeseal/config.toml", 0o666, false)];
    }),
    ("secret-files", Broken, |f| {
        f.configuration.secrets = vec![file("/etc/edgeseal/password", 0o644, false)];
    }),
    ("state-directory", Broken, |f| {
        f.state.file = file("/var/lib/edgeseal", 0o755, true);
    }),
    ("state-directory", Broken, |f| f.service_uid = Some(4)),
    ("state-durable", Broken, |f| {
        f.state = directory("/var/lib/edgeseal", Some("overlayfs"))
    }),
    ("state-writable", Broken, |f| {
        f.state.space = Some(Space {
            read_only: true,
            ..Space::default()
        });
    }),
    ("disk-space", Broken, |f| {
        f.state.space = Some(Space {
            free_octets: 1 << 20,
            ..Space::default()
        });
    }),
    ("disk-space", Warning, |f| {
        f.state.space = Some(Space {
            free_octets: 100 << 20,
            ..Space::default()
        });
    }),
    ("runtime-directory", Warning, |f| {
        f.runtime = directory("/run/edgeseal", None)
    }),
    ("identity", Broken, |f| {
        f.identity = IdentityFacts::Unusable {
            code: "identity-permissions",
            reason: "others may read or write the key".to_owned(),
            hint: "chmod 0600 identity.pem".to_owned(),
        };
    }),
    ("board", Broken, |f| {
        f.identity = IdentityFacts::Loaded {
            kid: SigningKey::from_seed(&[7; 32]).public().id(),
            mismatch: Some("machine-id was 0123, is 4567".to_owned()),
            in_the_clear: false,
        };
    }),
    ("identity", Warning, |f| {
        f.identity = IdentityFacts::Loaded {
            kid: SigningKey::from_seed(&[7; 32]).public().id(),
            mismatch: None,
            in_the_clear: true,
        };
    }),
    ("join-file", Warning, |f| {
        f.join_files = vec![PathBuf::from("/boot/firmware/edgeseal/join.json")];
    }),
];

const TRUST: &[Fault] = &[
    ("clock", Broken, |f| {
        f.time.synchronization = Ok(Synchronization::Unsynchronized)
    }),
    ("clock", Warning, |f| {
        f.unsynchronized_allowed = true;
        f.time.synchronization = Ok(Synchronization::Unsynchronized);
    }),
    ("clock-floor", Broken, |f| {
        f.time.now = UnixTime::from_seconds(NOW - 2 * DAY)
    }),
    ("time-service", Warning, |f| {
        f.time.service = None;
        f.time.synchronization = Err("EPERM".to_owned());
    }),
    ("trust", Broken, |f| {
        f.agent = answered(|s| s["trust"] = json!(null))
    }),
    ("trust-age", Warning, |f| {
        f.agent = answered(|s| s["trust"]["exp"] = json!(NOW - DAY))
    }),
    ("trust-age", Broken, |f| {
        f.agent = answered(|s| s["trust"]["exp"] = json!(NOW - 8 * DAY))
    }),
    ("root-age", Warning, |f| {
        f.agent = answered(|s| s["trust"]["root_exp"] = json!(NOW + DAY))
    }),
    ("trust-link", Broken, |f| {
        f.agent = answered(|s| s["trust_link"]["connected"] = json!(false));
    }),
    ("trust-link", Warning, |f| {
        f.agent = answered(|s| s["trust_link"]["broker"] = json!(null));
    }),
    ("trust-offered", Broken, |f| {
        f.agent = answered(|s| {
            s["trust_link"]["offered"] =
                json!({"code": "root-gap", "reason": "root 2 is missing", "root_version": 3});
        });
    }),
    ("enrolled", Broken, |f| {
        f.agent = answered(|s| s["enrolled"] = json!(false))
    }),
];

const AGENT: &[Fault] = &[
    ("state-files", Broken, |f| {
        let what = "state.0 is missing; state.1 is missing".to_owned();
        f.store.as_mut().unwrap().recovery = Recovery::Lost { what };
    }),
    ("state-files", Unknown, |f| {
        f.store = Err("Permission denied".to_owned())
    }),
    ("index", Warning, |f| f.index_octets = Ok(1 << 30)),
    ("agent", Broken, |f| {
        f.agent = AgentFacts::NotRunning("nobody listens".to_owned())
    }),
    ("agent", Unknown, |f| {
        f.agent = AgentFacts::Forbidden("not allowed".to_owned())
    }),
    ("agent-version", Warning, |f| {
        f.agent = answered(|s| s["version"] = json!("0.0.1"))
    }),
    ("signing", Broken, |f| {
        f.agent = answered(|s| {
            s["signing"] = json!({"error": "failure", "code": "clock", "reason": "no"})
        });
    }),
    ("verifying", Broken, |f| {
        f.agent = answered(|s| {
            s["verifying"] = json!({"error": "failure", "code": "clock", "reason": "no"})
        });
    }),
    ("round-trip", Broken, |f| {
        f.round_trip = RoundTrip::Failed("bad-signature".to_owned())
    }),
    ("broker", Broken, |f| {
        f.brokers[0].reached = Err("refused".to_owned())
    }),
    ("broker-tls", Broken, |f| {
        f.brokers[0].tls = Some(Err("UnknownIssuer".to_owned()))
    }),
    ("broker-login", Broken, |f| {
        f.brokers[0].login = LoginFacts::Refused("no".to_owned())
    }),
    ("listener", Broken, |f| {
        f.listeners[0].reached = Err("refused".to_owned())
    }),
    ("service", Broken, |f| unit(f, "UnitFileState", "disabled")),
    ("service", Broken, |f| unit(f, "ActiveState", "failed")),
    ("service", Warning, |f| unit(f, "NeedDaemonReload", "yes")),
    ("service", Unknown, |f| f.service = None),
    ("service-restarts", Warning, |f| unit(f, "NRestarts", "3")),
    ("service-sandbox", Warning, |f| {
        unit(f, "NoNewPrivileges", "no")
    }),
    ("memory", Warning, |f| {
        f.machine.available_octets = Some(1 << 20)
    }),
    ("memory", Warning, |f| {
        f.process.as_mut().unwrap().resident_octets = Some(31 << 20)
    }),
    ("flash-writes", Warning, |f| {
        f.process.as_mut().unwrap().written_octets = Some(1 << 30)
    }),
    ("flash-writes", Unknown, |f| f.process = None),
];
