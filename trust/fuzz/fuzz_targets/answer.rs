//! An answer to a request, and the topics of the carrier: no panic, and one form each.
#![no_main]

use edgeseal_trust::carrier::{Answer, CarrierTopic};
use edgeseal_trust::id::TrustDomain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(answer) = Answer::read(octets) {
        let written = answer.write().expect("its own content");
        assert_eq!(Answer::read(&written).expect("its own text"), answer);
    }
    let farm = TrustDomain::parse("farm").expect("a name");
    if let Ok(text) = std::str::from_utf8(octets)
        && let Some(topic) = CarrierTopic::parse(text, &farm)
    {
        assert_eq!(topic.name(&farm), text);
    }
});
