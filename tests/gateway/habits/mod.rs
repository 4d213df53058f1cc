//! What real systems do day after day, and what their brokers and bridges do to them.

mod bridges;
mod commands;
mod mixed;
mod proxy;
mod rotation;
mod start_up;
mod states;

use crate::broker::Broker;
use crate::domain::Domain;
use crate::packet::{self, Connect, PUBACK, PUBLISH, Publish};
use crate::raw::Raw;
use crate::world::{Device, Setup};
use tempfile::TempDir;

/// Devices behind one broker.
struct Place {
    // In this order they end.
    devices: Vec<Device>,
    domain: Domain,
    broker: Broker,
    _directory: TempDir,
}

impl Place {
    /// Devices of these names under these rules.
    fn new(devices: &[(&'static str, &'static str)]) -> Self {
        Self::with(|port| {
            let devices = devices.iter().copied();
            let set_up = devices.map(|(name, rules)| (name, Setup::at(port).rules(rules)));
            set_up.collect()
        })
    }

    /// Devices that are set up when the broker's port is known.
    fn with(devices: impl FnOnce(u16) -> Vec<(&'static str, Setup)>) -> Self {
        let directory = tempfile::Builder::new().prefix("edgeseal-gw-").tempdir();
        let directory = directory.unwrap();
        let broker = Broker::start(&directory.path().join("broker"), false);
        let domain = Domain::found(&directory.path().join("domain"));
        let devices = Device::joined(&domain, directory.path(), devices(broker.port()));
        Self {
            devices,
            domain,
            broker,
            _directory: directory,
        }
    }

    fn device(&mut self, name: &str) -> &mut Device {
        let found = self.devices.iter_mut().find(|device| device.name == name);
        found.unwrap()
    }

    fn port(&mut self, name: &str) -> u16 {
        self.device(name).port
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for device in &self.devices {
                eprintln!("== agent of {}\n{}", device.name, device.said());
            }
            eprintln!("== broker\n{}", self.broker.said());
        }
    }
}

/// A program of MQTT 5 that subscribed to this at QoS 1.
fn subscriber(port: u16, id: &str, filter: &str) -> Raw {
    let mut raw = Raw::connect(port, &Connect::new(5, id)).0;
    assert_eq!(raw.subscribe(1, &[(filter, 1)]), [1], "{id}: {filter}");
    raw
}

/// Publishes at QoS 1, and waits until it is taken.
fn publish(raw: &mut Raw, publish: Publish) {
    raw.publish(&publish.qos(1, 1));
    let ack = raw.expect(PUBACK).answer(5).unwrap();
    // Success, or nobody has subscribed.
    assert!(matches!(ack.codes[..], [0 | 0x10]), "{ack:?}");
}

/// The next message, acknowledged.
fn message(raw: &mut Raw) -> Publish {
    let message = raw.expect(PUBLISH).publish(5).unwrap();
    if message.qos > 0 {
        raw.send(&packet::ack(PUBACK, message.id));
    }
    message
}

/// Topic, payload, and what the gateway says of it: verdict and sender.
fn brief(message: &Publish) -> [String; 4] {
    let value = |name| message.values(name).join(",");
    [
        message.topic.clone(),
        String::from_utf8_lossy(&message.payload).into_owned(),
        value("edgeseal-verdict"),
        value("edgeseal-sender"),
    ]
}

/// The messages up to and with the one of this payload, in brief.
fn messages_until(raw: &mut Raw, last: &str) -> Vec<[String; 4]> {
    let mut had = Vec::new();
    loop {
        let got = brief(&message(raw));
        let ends = got[1] == last;
        had.push(got);
        if ends {
            return had;
        }
    }
}
