//! `device revoke`, `suspend` and `resume` publish at once, or say what is missing.

use crate::broker::Broker;
use crate::operator::{Place, key};
use crate::publishing::Farm;
use crate::retained::put;
use edgeseal_trust::clock::ClockState;
use edgeseal_trust::document::Shard;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::status::StatusDraft;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Stream, TokenId};
use std::collections::BTreeMap;
use std::process::Stdio;

impl Farm {
    /// The state that the broker's documents state of a device.
    fn state_there(&self, device: &str) -> DeviceState {
        let there = self.retained();
        let manifest = self.manifest();
        assert_eq!(there["edgeseal/farm/manifest"], manifest.octets());
        for digest in &manifest.content().shards {
            let shard = Shard::reload(&there[&format!("edgeseal/farm/shard/{digest}")]).unwrap();
            let mut entries = shard.into_devices().into_iter();
            if let Some(entry) = entries.find(|entry| entry.id.to_string() == device) {
                return entry.state;
            }
        }
        panic!("no {device}");
    }
}

#[test]
fn a_revocation_is_on_the_broker_when_the_command_returns() {
    let farm = Farm::start();
    farm.publish("");
    let revoke = format!("device revoke device-010 --yes {KEYS}");
    let done = farm.place.run(&format!("{revoke} --json")).json();
    assert_eq!(
        (&done["changed"], &done["published"]["sequence"]),
        (&true.into(), &2.into())
    );
    assert_eq!(farm.state_there("device-010"), DeviceState::Revoked);
    // Twice is the same as once: nothing is signed.
    let twice = farm.place.run(&format!("{revoke} --json")).json();
    assert_eq!(
        (&twice["changed"], &twice["published"]["sequence"]),
        (&false.into(), &2.into())
    );
    for (verb, state) in [
        ("suspend", DeviceState::Suspended),
        ("resume", DeviceState::Active),
    ] {
        farm.place
            .run(&format!("device {verb} device-011 {KEYS}"))
            .succeeded();
        assert_eq!(farm.state_there("device-011"), state);
    }
}

#[test]
fn what_is_missing_is_said_and_the_change_stands() {
    let farm = Farm::start();
    farm.publish("");
    let there = farm.retained();
    let missing = farm
        .place
        .run("device revoke device-020 --yes")
        .refused(75, "not-published");
    assert!(
        missing.contains("--keys") && missing.contains("edgeseal publish --keys DIR"),
        "{missing}"
    );
    assert_eq!(farm.place.device("device-020")["state"], "revoked");
    assert_eq!(farm.retained(), there);
    farm.place
        .run("device suspend device-021 --no-publish")
        .succeeded();
    assert_eq!(farm.retained(), there);
    // Keys that do not open stop it before anything is changed.
    std::fs::create_dir(farm.place.path("no-keys")).unwrap();
    farm.place
        .run("device suspend device-022 --keys no-keys")
        .refused(69, "no-keys");
    assert_eq!(farm.place.device("device-022")["state"], "active");
    // No broker answers: it is signed, and the next run brings it there.
    let port = farm.broker.port();
    farm.set_broker(crate::process::free_port());
    let said = farm
        .place
        .run(&format!("device suspend device-022 {KEYS}"))
        .refused(69, "no-broker");
    assert!(
        said.contains("device-022 is suspended; sequence 2 is signed"),
        "{said}"
    );
    assert!(said.contains("edgeseal publish --again"), "{said}");
    farm.set_broker(port);
    // The same command again is enough, too.
    farm.place
        .run(&format!("device suspend device-022 {KEYS}"))
        .succeeded();
    assert_eq!(
        farm.manifest().content().sequence,
        2,
        "nothing was signed twice"
    );
    for (device, state) in [
        ("device-020", DeviceState::Revoked),
        ("device-021", DeviceState::Suspended),
        ("device-022", DeviceState::Suspended),
    ] {
        assert_eq!(farm.state_there(device), state);
    }
}

#[test]
fn waiting_believes_only_what_agents_have_signed() {
    let place = Place::farm();
    for number in 0..4 {
        place.write_jwk("key.jwk", &key(number));
        place
            .run(&format!("device add pump-{number} --jwk key.jwk"))
            .succeeded();
    }
    let broker = Broker::start(&place.path("broker"), false);
    let port = broker.port();
    place
        .run(&format!("domain broker mqtt://127.0.0.1:{port}"))
        .succeeded();
    place.publish();
    let say = |device: u32, signer: u32, sequence: u64, counter: u64| {
        let status = status(device, signer, sequence, counter);
        put(
            port,
            &[(
                &format!("edgeseal/farm/status/pump-{device}"),
                status.as_bytes(),
            )],
        );
    };
    say(1, 1, 2, 1);
    say(2, 1, 9, 1);
    say(3, 3, 1, 1);
    let revoke = format!("device revoke pump-0 --yes {KEYS}");
    let said = place
        .run(&format!("{revoke} --wait=1s"))
        .refused(75, "not-everywhere");
    assert!(
        said.contains("1 of 3 agents") && said.contains("not yet: pump-2, pump-3"),
        "{said}"
    );
    assert!(
        said.contains("pump-0 is revoked; published as sequence 2"),
        "{said}"
    );
    // The others come while it waits.
    let line = format!("{revoke} --wait --json");
    let mut command = place.command(&line.split(' ').collect::<Vec<_>>());
    let waiting = command.stdout(Stdio::piped()).spawn().unwrap();
    say(2, 2, 2, 1);
    say(3, 3, 3, 2);
    let output = waiting.wait_with_output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["published"]["applied"], 3);
    // A publish waits in the same way.
    place.run("group add yard").succeeded();
    let publish = format!("publish {KEYS}");
    place
        .run(&format!("{publish} --wait --to bundle"))
        .refused(2, "wait-without-broker");
    let said = place
        .run(&format!("{publish} --wait=1s"))
        .refused(75, "not-everywhere");
    assert!(
        said.contains("published as sequence 3; after 1s 1 of 3 agents"),
        "{said}"
    );
    say(1, 1, 3, 2);
    say(2, 2, 3, 2);
    let told = place.run("publish --again --wait --json").json();
    assert_eq!(
        (&told["sequence"], &told["applied"]),
        (&3.into(), &3.into())
    );
}

fn status(device: u32, signer: u32, sequence: u64, counter: u64) -> String {
    let now = UnixTime::from_seconds(1_800_000_000);
    let status = StatusDraft {
        issued_at: now,
        expires_at: now.plus(3600),
        id: TokenId {
            epoch: 1,
            stream: Stream::Reliable,
            counter,
        },
        sequence,
        root_version: 1,
        clock: ClockState::Synchronized,
        version: "0.1.0".to_owned(),
        started_at: now,
        counts: BTreeMap::new(),
        last_refusal: None,
        offered: None,
        notices: Vec::new(),
        clone: None,
    };
    let device = DeviceId::parse(&format!("pump-{device}")).unwrap();
    let domain = TrustDomain::parse("farm").unwrap();
    status.sign(&key(signer), &domain, &device).unwrap()
}

const KEYS: &str = "--keys keys --unsynchronized-clock";
