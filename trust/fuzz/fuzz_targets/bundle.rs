//! A bundle file over a pinned root: what is let in says what the domain is.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::document::BundleReader;
use edgeseal_trust::registry::TrustView;
use edgeseal_trust::update::{Current, InForce, Nothing, read_bundle};
use edgeseal_trust::words::Words;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::bundle;
use support::domain::Domain;

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let octets = bundle::bundle();
    let reader = BundleReader::open(octets.as_slice()).expect("a bundle");
    Words::of_root(reader.roots().next().expect("a root"))
});
static VIEW: LazyLock<TrustView> = LazyLock::new(|| Domain::new().view);

fuzz_target!(|octets: &[u8]| {
    let Ok(mut reader) = BundleReader::open(octets) else {
        return;
    };
    let update = read_bundle(&mut reader, Current::default(), Some(&WORDS), &Nothing, |_, _| Ok(()));
    if let Ok(update) = update {
        let InForce::Manifest(view) = update.in_force else {
            panic!("let in without a manifest");
        };
        assert_eq!(view, *VIEW);
    }
});
