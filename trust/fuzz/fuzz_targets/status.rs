//! A status token: no panic, and what is let in can be signed again.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey};
use edgeseal_trust::status::VerifiedStatus;
use edgeseal_trust::time::UnixTime;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use support::domain::key;

fuzz_target!(|octets: &[u8]| {
    let farm = TrustDomain::parse("farm").expect("a name");
    let device = DeviceId::parse("pump-1").expect("a name");
    let peer = PeerKey {
        key: key(4).public().clone(),
        state: KeyState::Active,
        not_before: UnixTime::from_seconds(0),
        retired_at: None,
        device: Arc::new(Device {
            id: device.clone(),
            state: DeviceState::Active,
            roles: Box::default(),
            groups: Box::default(),
        }),
    };
    if let Ok(status) = VerifiedStatus::verify(octets, &device, |_| Some(peer), &farm) {
        let _ = status.content.sign(&key(4), &farm, &device).expect("its own content");
    }
});
