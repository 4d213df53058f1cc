//! What is read back from the disk: index records, the state file, the replay memory. Checksums are
//! made good, so that the fields behind them are reached.
#![no_main]

use edgeseal_trust::replay::{Bounds, Record, ReplayMemory};
use edgeseal_trust::store::fuzzing;
use edgeseal_trust::time::UnixTime;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

const BOUNDS: Bounds = Bounds {
    consumers: 8,
    windows: 32,
    statements: 32,
};

// The first octet says which of them.
fuzz_target!(|data: &[u8]| {
    let Some((which, octets)) = data.split_first() else {
        return;
    };
    match which % 3 {
        0 => fuzzing::key_record(octets),
        1 => {
            fuzzing::state_file(octets);
            let digest: [u8; 32] = Sha256::digest(octets).into();
            fuzzing::state_file(&[octets, &digest].concat());
        }
        _ => replay(octets),
    }
});

fn replay(octets: &[u8]) {
    const BODY: usize = size_of::<Record>() - 4;
    let records = octets.chunks(BODY).map(|chunk| {
        let mut record: Record = [0; size_of::<Record>()];
        record[..chunk.len()].copy_from_slice(chunk);
        let sum = crc32fast::hash(&record[..BODY]);
        record[BODY..].copy_from_slice(&sum.to_be_bytes());
        record
    });
    let start = UnixTime::from_seconds(1_800_000_000);
    let (memory, _) = ReplayMemory::restore(BOUNDS, start, records);
    let written: Vec<Record> = memory.records().collect();
    let (again, restoration) = ReplayMemory::restore(BOUNDS, start, written.iter().copied());
    assert_eq!(restoration.refused, 0, "what was written is read again");
    assert_eq!(again.counts().consumers, memory.counts().consumers);
    assert_eq!(again.counts().windows, memory.counts().windows);
}
