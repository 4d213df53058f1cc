//! `device revoke`, `suspend` and `resume` publish at once, or say what is missing.

use crate::publishing::Farm;
use edgeseal_trust::document::Shard;
use edgeseal_trust::registry::DeviceState;

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

const KEYS: &str = "--keys keys --unsynchronized-clock";
