//! Bodies of the local API's requests, and their arrays.
#![no_main]

use edgeseal_agent::wire::{LoginRequest, OneOrMany, SignRequest, VerifyRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(requests) = serde_json::from_slice::<OneOrMany<SignRequest>>(data) {
        assert!((1..=256).contains(&requests.as_slice().len()));
    }
    if let Ok(requests) = serde_json::from_slice::<OneOrMany<VerifyRequest>>(data) {
        assert!((1..=256).contains(&requests.as_slice().len()));
    }
    let _ = serde_json::from_slice::<LoginRequest>(data);
});
