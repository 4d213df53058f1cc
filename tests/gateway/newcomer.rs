//! A device that was enrolled a second ago is quicker than the manifest that names it.

use crate::broker::Broker;
use crate::domain::Domain;
use crate::packet::{Connect, PUBACK, PUBLISH, Publish};
use crate::raw::Raw;
use crate::world::{Device, Setup};
use edgeseal_trust::document::{BundleReader, Digest};
use std::fs::File;
use std::io::BufReader;

#[test]
fn a_message_by_a_key_of_the_next_manifest_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let broker = Broker::start(&place.join("broker"), false);
    let domain = Domain::found(&place.join("domain"));
    let setup = Setup::at(broker.port());
    let takers = Device::joined(&domain, place, vec![("beta", setup.clone())]);
    let newcomers = Device::joined(&domain, place, vec![("alpha", setup)]);
    // All that the next manifest needs is at the broker, but the manifest.
    let mut operator = connected(broker.port(), "operator");
    let bundle = BufReader::new(File::open(domain.bundle()).unwrap());
    let mut bundle = BundleReader::open(bundle).unwrap();
    while let Some(shard) = bundle.next_shard().unwrap() {
        let topic = format!("edgeseal/farm/shard/{}", Digest::of(shard));
        retain(&mut operator, &topic, shard);
    }
    let mut taker = connected(takers[0].port, "takes");
    assert_eq!(taker.subscribe(1, &[("site/#", 1)]), [1]);
    let mut newcomer = connected(newcomers[0].port, "sends");
    newcomer.publish(&Publish::new("site/alpha/x", "first").qos(1, 1));
    newcomer.expect(PUBACK); // the broker has it
    retain(&mut operator, "edgeseal/farm/manifest", bundle.manifest());
    let first = taker.expect(PUBLISH).publish(5).unwrap();
    assert_eq!(first.payload, b"first");
    assert_eq!(first.values("edgeseal-sender"), ["alpha"]);
}

fn connected(port: u16, client_id: &str) -> Raw {
    Raw::connect(port, &Connect::new(5, client_id)).0
}

fn retain(operator: &mut Raw, topic: &str, document: &[u8]) {
    operator.publish(&Publish::new(topic, document).qos(1, 1).retain());
    operator.expect(PUBACK);
}
