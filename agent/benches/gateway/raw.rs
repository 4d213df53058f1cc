//! The raw operation of the same run, in time that this thread worked.

use ed25519_dalek::{Signature, Signer, SigningKey};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

/// Microseconds for one operation: medians.
pub(crate) struct Raw {
    pub(crate) sign: f64,
    pub(crate) verify: f64,
}

/// Octets that a token has before its signature.
const SIGNED: [u8; 380] = [b'x'; 380];
const ROUNDS: usize = 101;
const OPERATIONS: u32 = 25;

pub(crate) fn measure() -> Raw {
    let key = SigningKey::from_bytes(&[18; 32]);
    let public = key.verifying_key();
    let signature: Signature = key.sign(&SIGNED);
    let (mut signs, mut verifies) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        signs.push(time(|| {
            black_box(black_box(&key).sign(black_box(&SIGNED)));
        }));
        verifies.push(time(|| {
            black_box(public.verify_strict(black_box(&SIGNED), &signature)).unwrap();
        }));
    }
    Raw {
        sign: super::median(&mut signs),
        verify: super::median(&mut verifies),
    }
}

fn time(mut work: impl FnMut()) -> f64 {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let began = now();
    for _ in 0..OPERATIONS {
        work();
    }
    (now() - began).as_secs_f64() * 1e6 / f64::from(OPERATIONS)
}
