//! Faults around one real agent: the network parts, the broker restarts, the agent is killed. Trust data arrives all the same,
//! none is rolled back, no boot epoch is given out twice.
//!
//! `EDGESEAL_FAULTS=100` parts the network and restarts the broker so many times (5 otherwise), `EDGESEAL_KILLS=1000` kills so
//! many times (50 otherwise).

use crate::broker::Broker;
use crate::device::Device;
use crate::operator::Operator;
use crate::wire::Wire;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn the_network_parts() {
    let mut world = World::new();
    for number in 0..times("EDGESEAL_FAULTS", 5) {
        world.wire.cut();
        world.change(number);
        pause(number, 400);
        world.wire.join();
        world.device.until_sequence(world.sequence);
    }
}

#[test]
fn the_broker_restarts() {
    let mut world = World::new();
    for number in 0..times("EDGESEAL_FAULTS", 5) {
        let forgets = number % 3 == 2;
        let before = number.is_multiple_of(2);
        if before {
            world.change(number);
        }
        let is_lost = world.broker.restart(forgets);
        if !before {
            world.change(number);
        } else if is_lost {
            world.operator.run("publish --again --all-shards");
        }
        world.device.until_sequence(world.sequence);
    }
}

#[test]
fn the_agent_is_killed_while_it_follows() {
    let mut world = World::new();
    let kills = times("EDGESEAL_KILLS", 50);
    for number in 0..kills {
        world.change(number);
        pause(number, 150);
        world.device.kill();
        world.device.start();
        if number % 10 == 9 {
            world.device.until_sequence(world.sequence);
        }
    }
    world.device.until_sequence(world.sequence);
    eprintln!(
        "{kills} kills while trust data came, at sequence {}",
        world.sequence
    );
}

/// Each device enrolls by a join file and then rotates its key; its agent is killed once on either way, every third time the
/// registrar too.
#[test]
fn agent_and_registrar_are_killed_while_devices_enroll_and_rotate() {
    let devices = times("EDGESEAL_KILLS", 24) / 2;
    let directory = tempfile::Builder::new()
        .prefix("edgeseal-faults-")
        .tempdir();
    let directory = directory.unwrap();
    let place = directory.path();
    let operator = Operator::found(&place.join("operator"), 3);
    let broker = Broker::start(&place.join("broker"));
    operator.run(&format!("domain broker mqtt://127.0.0.1:{}", broker.port()));
    operator.signed("publish");
    let count = devices.to_string();
    operator.signed(&format!(
        "join create --role node --count {count} --out cards"
    ));
    let cards = operator.join_files();
    assert_eq!(cards.len().to_string(), count);
    let mut registrar = operator.serve();
    for (number, card) in (0..devices).zip(cards) {
        let at = place.join(format!("device-{number}"));
        let join_file = at.join("join.json");
        let more = format!("[enroll]\njoin_file = {join_file:?}\nrotate_delay_seconds = 0\n");
        let mut device = Device::without_broker(&at, &more);
        std::fs::copy(card, &join_file).unwrap();

        device.start();
        pause(number, 1500);
        device.kill();
        if number % 3 == 2 {
            registrar.kill().unwrap();
            registrar.wait().unwrap();
            registrar = operator.serve();
        }
        device.start();
        device.until("it is enrolled", |status| status["enrolled"] == true);
        device.until("the join file is shredded", |_| !join_file.exists());
        let first = device.status().unwrap()["kid"].clone();

        device.run(&["identity", "rotate", "--now-if-published"]);
        pause(number, 1700);
        device.kill();
        device.start();
        device.until("the new key signs", |status| {
            status["kid"] != first && status["enrolled"] == true && status["signing"].is_null()
        });
    }
    registrar.kill().unwrap();
    registrar.wait().unwrap();
    eprintln!(
        "{} kills while {devices} devices enrolled and rotated",
        2 * devices
    );
}

/// A domain of three shards' worth of devices, its broker, and one device that follows.
struct World {
    // In this order they end.
    device: Device,
    wire: Wire,
    operator: Operator,
    broker: Broker,
    sequence: u64,
    _place: TempDir,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("edgeseal-faults-")
            .tempdir();
        let directory = directory.unwrap();
        let place = directory.path();
        let operator = Operator::found(&place.join("operator"), 250);
        let broker = Broker::start(&place.join("broker"));
        let wire = Wire::new(broker.port());
        let mut device = Device::new(&place.join("one"), wire.port(), "");
        enroll(&operator, &device, place);
        operator.run(&format!("domain broker mqtt://127.0.0.1:{}", broker.port()));
        operator.run("publish --again --all-shards");
        device.start();
        let sequence = 1;
        device.until_sequence(sequence);
        Self {
            device,
            wire,
            operator,
            broker,
            sequence,
            _place: directory,
        }
    }

    /// A device is suspended, or resumed, which is published at once.
    fn change(&mut self, number: u64) {
        let verb = if number.is_multiple_of(2) {
            "suspend"
        } else {
            "resume"
        };
        self.operator.signed(&format!("device {verb} d7"));
        self.sequence += 1;
    }
}

/// By request and bundle file.
fn enroll(operator: &Operator, device: &Device, place: &Path) {
    device.run(&["init"]);
    let request = place.join("operator/one.json");
    let request = request.to_str().unwrap();
    device.run(&["identity", "request", "--output", request]);
    operator.run("device add one --role node --request one.json");
    operator.run("device approve one --yes");
    let words = operator.publish_file();
    let bundle = place.join("operator/bundle");
    let bundle = bundle.to_str().unwrap();
    device.run(&["trust", "apply", bundle, "--root", &words]);
}

fn times(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |times| times.parse().unwrap())
}

/// A different one each time, spread over `most` milliseconds.
fn pause(number: u64, most: u64) {
    std::thread::sleep(Duration::from_millis(number * 37 % most));
}
