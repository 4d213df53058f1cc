//! A request for rotation: no panic, and none is let in that both keys did not sign.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::enrollment::{KeyOwner, RotationRequest, kind_of};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use libfuzzer_sys::fuzz_target;
use support::domain::key;

fuzz_target!(|octets: &[u8]| {
    let _ = kind_of(octets);
    let farm = TrustDomain::parse("farm").expect("a name");
    let owner = |_| {
        Some(KeyOwner {
            device: DeviceId::parse("pump-1").expect("a name"),
            key: key(4).public().clone(),
        })
    };
    if let Ok(request) = RotationRequest::verify(octets, &farm, owner) {
        assert_eq!(request.old, key(4).public().id());
        assert_ne!(request.key.id(), request.old);
    }
});
