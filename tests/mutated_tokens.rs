//! Mutated tokens: however many, none is accepted.
//!
//! `EDGESEAL_MUTATIONS=1000000 cargo test -p edgeseal-trust --test mutated_tokens` tries a
//! million, in some three minutes: the curve is built fast in every profile.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod support;

use std::collections::BTreeMap;
use support::generate::{Random, honest, mutant};
use support::judge::Judge;

/// No mutation has the octets of the token that it was made of, and there is no second way to write
/// an accepted one: what was received is what was signed, base64url and signature are canonical.
#[test]
fn no_mutated_token_is_accepted() {
    let count = match std::env::var("EDGESEAL_MUTATIONS") {
        Ok(text) => text.parse().expect("EDGESEAL_MUTATIONS is a number"),
        Err(_) => 20_000,
    };
    let all = honest();
    let mut judge = Judge::forgetful();
    for message in &all {
        assert_eq!(
            judge.judge_token(message.token.as_bytes(), &message.line),
            "verified"
        );
    }
    let mut random = Random::new(1);
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for number in 0..count {
        let message = random.pick(&all);
        let token = mutant(&mut random, &all, message);
        let verdict = judge.judge_token(&token, &message.line);
        *verdicts.entry(verdict).or_default() += 1;
        assert!(
            verdict != "verified",
            "mutation {number} was accepted: {}",
            String::from_utf8_lossy(&token)
        );
    }
    println!("{count} mutations: {verdicts:?}");
    for code in [
        "shape",
        "encoding",
        "header-json",
        "header-alg",
        "unknown-key",
        "signature",
        "subject",
    ] {
        assert!(verdicts.contains_key(code), "no mutation reached {code}");
    }
}
