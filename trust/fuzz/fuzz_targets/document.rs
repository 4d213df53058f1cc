//! Root, manifest and shard: what carries the authority's signatures is what was signed here, and a
//! shard that is let in has one form.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::document::{Authority, BundleReader, Document, Manifest, Root, Shard};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::{bundle, domain};

static SIGNED: LazyLock<(Document<Root>, Document<Manifest>)> = LazyLock::new(|| {
    let octets = bundle::bundle();
    let reader = BundleReader::open(octets.as_slice()).expect("a bundle");
    let root = Document::load(reader.roots().next().expect("a root"));
    (root.expect("a root"), Document::load(reader.manifest()).expect("a manifest"))
});

fn authority(threshold: u32, seeds: &[u8]) -> Authority {
    let keys = seeds.iter().map(|seed| domain::key(*seed).public().clone());
    Authority::new(threshold, keys.collect()).expect("an authority")
}

static ROOT: LazyLock<Authority> = LazyLock::new(|| authority(2, &[101, 102]));
static REGISTRAR: LazyLock<Authority> = LazyLock::new(|| authority(1, &[103]));

// The first octet says which of them.
fuzz_target!(|data: &[u8]| {
    let Some((which, octets)) = data.split_first() else {
        return;
    };
    match which % 3 {
        0 => {
            let _ = Document::<Root>::load(octets);
            if let Ok(root) = Document::<Root>::verified(octets, &ROOT) {
                assert_eq!(root.payload_digest(), SIGNED.0.payload_digest());
            }
        }
        1 => {
            let _ = Document::<Manifest>::load(octets);
            if let Ok(manifest) = Document::<Manifest>::verified(octets, &REGISTRAR) {
                assert_eq!(manifest.payload_digest(), SIGNED.1.payload_digest());
            }
        }
        _ => {
            if let Ok(shard) = Shard::parse(octets) {
                let written = shard.to_octets().expect("written");
                let again = Shard::parse(&written).expect("read again");
                assert_eq!(again.devices(), shard.devices());
                assert_eq!(again.to_octets().expect("written"), written);
            }
        }
    }
});
