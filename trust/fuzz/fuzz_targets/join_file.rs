//! A join file: no panic, and what is let in is read back as it is written.
#![no_main]

use edgeseal_trust::enrollment::JoinFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(file) = JoinFile::read(octets) {
        let again = JoinFile::read(&file.write()).expect("its own text");
        assert_eq!(again.broker, file.broker);
        assert_eq!(again.join, file.join);
        assert_eq!(again.one_time_key().public().id(), file.join.one_time);
    }
});
