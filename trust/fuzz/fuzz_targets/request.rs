//! An enrollment request, and the words that a person typed: no panic, and one form each.
#![no_main]

use edgeseal_trust::enrollment::EnrollmentRequest;
use edgeseal_trust::words::Words;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(request) = EnrollmentRequest::verify(octets) {
        let again = EnrollmentRequest::verify(octets).expect("the same again");
        assert_eq!(again, request);
    }
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(words) = Words::parse(text)
    {
        assert_eq!(Words::parse(&words.to_string()).expect("its own text"), words);
    }
});
