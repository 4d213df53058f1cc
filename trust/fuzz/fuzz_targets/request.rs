//! An enrollment request, and the words that a person typed: no panic, and one form each.
#![no_main]
#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use edgeseal_trust::document::Authority;
use edgeseal_trust::enrollment::EnrollmentRequest;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
use libfuzzer_sys::fuzz_target;
use support::domain::{NOW, key};

fuzz_target!(|octets: &[u8]| {
    if let Ok(request) = EnrollmentRequest::verify(octets) {
        let again = EnrollmentRequest::verify(octets).expect("the same again");
        assert_eq!(again, request);
        let registrar = Authority::new(1, vec![key(3).public().clone()]).expect("an authority");
        let farm = TrustDomain::parse("farm").expect("a name");
        if let Ok(join) = request.judge_join(&registrar, &farm, UnixTime::from_seconds(NOW)) {
            assert_eq!(Some(join.one_time), request.one_time.map(|key| key.id()));
        }
    }
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(words) = Words::parse(text)
    {
        assert_eq!(Words::parse(&words.to_string()).expect("its own text"), words);
    }
});
