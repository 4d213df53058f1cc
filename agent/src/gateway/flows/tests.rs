#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::record::{ConsumerHash, Flow, Slot};
use super::{CONSUMER_FLOWS, FLOWS, FlowFile, FlowRecord, FlowSlots, Flows, Kept, Why};
use crate::gateway::message::{FirstVerdict, MessageHash, VerdictWord};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Stream, TokenId};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

fn first(number: u8) -> FirstVerdict {
    FirstVerdict {
        hash: MessageHash::from_octets([number; 32]),
        sender: DeviceId::parse(&format!("device-{number}")).unwrap(),
        word: VerdictWord::Verified,
        retain: false,
        exactly_once: false,
        issued_at: UnixTime::from_seconds(1_800_000_000),
        restored: false,
    }
}

fn restored(number: u8) -> FirstVerdict {
    FirstVerdict {
        restored: true,
        ..first(number)
    }
}

fn consumer(number: usize) -> ConsumerId {
    format!("gateway:apps:{number}").into()
}

fn id(counter: u64) -> TokenId {
    TokenId {
        epoch: 5,
        stream: Stream::Reliable,
        counter,
    }
}

/// What was written, in its order.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<(u32, FlowRecord)>>>);

impl FlowSlots for Written {
    fn write(&mut self, slot: u32, record: &FlowRecord) -> io::Result<()> {
        self.0.lock().unwrap().push((slot, *record));
        Ok(())
    }

    fn abandon(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What the slots hold after this number of writes and these octets of one more.
    fn after(&self, writes: usize, octets: usize) -> Vec<FlowRecord> {
        let mut slots: BTreeMap<u32, FlowRecord> = BTreeMap::new();
        for (number, (slot, record)) in self.0.lock().unwrap().iter().enumerate() {
            let place = slots.entry(*slot).or_insert([0; 160]);
            match number.cmp(&writes) {
                std::cmp::Ordering::Less => *place = *record,
                std::cmp::Ordering::Equal => place[..octets].copy_from_slice(&record[..octets]),
                std::cmp::Ordering::Greater => {}
            }
        }
        slots.into_values().collect()
    }
}

#[test]
fn a_record_is_read_as_written_and_nothing_else_is_one() {
    let consumer = ConsumerHash::from(&consumer(1));
    for (word, retain) in [
        (VerdictWord::Observed, true),
        (VerdictWord::Retained, true),
        (VerdictWord::Verified, false),
        (VerdictWord::Vouched, false),
        (VerdictWord::Will, false),
    ] {
        let flow = Flow {
            consumer,
            packet_id: 0xfffe,
            first: FirstVerdict {
                word,
                retain,
                exactly_once: !retain || word == VerdictWord::Observed,
                sender: DeviceId::parse(&"x".repeat(64)).unwrap(),
                ..restored(3)
            },
        };
        let record = flow.encode();
        assert_eq!(Slot::decode(&record), Slot::Flow(flow));
        for bit in 0..record.len() * 8 {
            let mut changed = record;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Slot::decode(&changed), Slot::Damaged, "{bit}");
        }
    }
    let unverified = Flow {
        consumer,
        packet_id: 1,
        first: FirstVerdict {
            word: VerdictWord::Unverified,
            ..first(1)
        },
    };
    assert_eq!(Slot::decode(&unverified.encode()), Slot::Damaged);
    assert_eq!(Slot::decode(&[0; 160]), Slot::Free);
}

#[test]
fn a_flow_is_known_until_it_ends() {
    let (mut flows, one, two) = (Flows::default(), consumer(1), consumer(2));
    assert_eq!(flows.arrived(&one, 7, &first(1)), Kept::Yes);
    assert_eq!(flows.arrived(&two, 7, &first(2)), Kept::Yes);
    assert_eq!(flows.first(&one, 7), Some(&first(1)));
    assert_eq!(flows.first(&one, 8), None);
    assert_eq!(flows.arrived(&one, 7, &first(3)), Kept::Yes);
    assert_eq!(
        flows.first(&one, 7),
        Some(&first(3)),
        "the identifier is used again"
    );
    assert_eq!(flows.counts(), (2, 0));
    flows.ended(&one, 7);
    flows.ended(&one, 7);
    assert_eq!((flows.first(&one, 7), flows.counts()), (None, (1, 0)));
    assert_eq!(flows.first(&two, 7), Some(&first(2)));
    flows.forget(&two);
    assert_eq!((flows.first(&two, 7), flows.counts()), (None, (0, 0)));
}

#[test]
fn an_id_is_known_until_its_message_is_acknowledged() {
    let (mut flows, one, two) = (Flows::default(), consumer(1), consumer(2));
    flows.sent(&one, 7, id(1));
    flows.sent(&two, 7, id(2));
    assert_eq!(flows.resend(&one, 7), Some(id(1)));
    flows.sent(&one, 7, id(3));
    assert_eq!(
        (flows.resend(&one, 7), flows.counts()),
        (Some(id(3)), (0, 2))
    );
    flows.acknowledged(&one, 7);
    flows.acknowledged(&one, 7);
    assert_eq!((flows.resend(&one, 7), flows.counts()), (None, (0, 1)));
    flows.forget(&two);
    assert_eq!((flows.resend(&two, 7), flows.counts()), (None, (0, 0)));
}

#[test]
fn both_directions_are_bounded() {
    let mut flows = Flows::default();
    let one = consumer(0);
    for packet_id in 1..=CONSUMER_FLOWS as u16 + 1 {
        assert_eq!(flows.arrived(&one, packet_id, &first(1)), Kept::Yes);
        flows.sent(&one, packet_id, id(1));
    }
    assert_eq!(flows.counts(), (CONSUMER_FLOWS, CONSUMER_FLOWS));
    assert!(
        flows.first(&one, 1).is_none() && flows.first(&one, 2).is_some(),
        "the oldest is gone"
    );
    assert!(flows.resend(&one, 1).is_none() && flows.resend(&one, 2).is_some());
    for number in 1..FLOWS / CONSUMER_FLOWS {
        for packet_id in 1..=CONSUMER_FLOWS as u16 {
            assert_eq!(
                flows.arrived(&consumer(number), packet_id, &first(1)),
                Kept::Yes
            );
            flows.sent(&consumer(number), packet_id, id(1));
        }
    }
    let late = consumer(FLOWS);
    assert_eq!(flows.arrived(&late, 1, &first(1)), Kept::Full);
    flows.sent(&late, 1, id(1));
    assert_eq!(flows.counts(), (FLOWS, FLOWS));
    assert_eq!(
        (flows.first(&late, 1), flows.resend(&late, 1)),
        (None, None)
    );
    flows.forget(&one);
    assert_eq!(flows.arrived(&late, 1, &first(1)), Kept::Yes);
    flows.sent(&late, 1, id(1));
    assert_eq!(flows.resend(&late, 1), Some(id(1)));
}

#[test]
fn freed_slots_are_used_again() {
    let (mut flows, written, one) = (Flows::default(), Written::default(), consumer(1));
    flows.keep_in(Box::new(written.clone()));
    for packet_id in 1..=1000 {
        assert_eq!(flows.arrived(&one, packet_id, &first(1)), Kept::Yes);
        flows.ended(&one, packet_id);
    }
    let slots = written
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(slot, _)| *slot)
        .max();
    assert_eq!((slots, written.len()), (Some(0), 2000));
}

/// Kills between every two writes, and in the middle of every one: what was written as a whole is known
/// afterwards, what was not is not, and nothing else ever is.
#[test]
fn a_kill_at_any_moment_leaves_whole_flows() {
    let (mut flows, written) = (Flows::default(), Written::default());
    flows.keep_in(Box::new(written.clone()));
    let mut truth = vec![BTreeMap::new()];
    let mut now: BTreeMap<(usize, u16), u8> = BTreeMap::new();
    for step in 0_u8..60 {
        let (who, packet_id) = (usize::from(step % 3), u16::from(step % 7) + 1);
        if step % 4 == 3 {
            flows.ended(&consumer(who), packet_id);
            now.remove(&(who, packet_id));
        } else {
            assert_eq!(
                flows.arrived(&consumer(who), packet_id, &first(step)),
                Kept::Yes
            );
            now.insert((who, packet_id), step);
        }
        // Ending what is not in flight writes nothing.
        if written.len() == truth.len() {
            truth.push(now.clone());
        }
    }
    assert_eq!(written.len() + 1, truth.len());
    for writes in 0..truth.len() {
        expect(&written.after(writes, 0), &[&truth[writes]], 0);
        for octets in [1, 33, 80, 155, 159] {
            if let Some(next) = truth.get(writes + 1) {
                expect(&written.after(writes, octets), &[&truth[writes], next], 1);
            }
        }
    }
}

/// Every flow that is restored is in one of these truths, and at most `lost` of those that are in all of them
/// are not restored.
fn expect(records: &[FlowRecord], truths: &[&BTreeMap<(usize, u16), u8>], lost: usize) {
    let (flows, refused) = Flows::restore(records.iter().copied());
    let mut known = 0;
    for who in 0..3 {
        for packet_id in 1..=7 {
            let found = flows.first(&consumer(who), packet_id);
            let said = truths.iter().map(|truth| truth.get(&(who, packet_id)));
            let mut said = said.map(|step| step.map(|step| restored(*step)));
            assert!(found.is_none() || said.any(|said| said.as_ref() == found));
            known += usize::from(found.is_some());
        }
    }
    assert!(refused as usize <= lost);
    assert!(
        known + lost >= truths[0].len(),
        "{known} of {}",
        truths[0].len()
    );
    assert_eq!(flows.counts().0, known);
}

/// A disk that is full from the start.
struct Full(Arc<Mutex<u32>>);

impl FlowSlots for Full {
    fn write(&mut self, _: u32, _: &FlowRecord) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn abandon(&mut self) -> io::Result<()> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_not_believed_afterwards_and_said_once() {
    let (mut flows, abandoned, one) = (Flows::default(), Arc::default(), consumer(1));
    flows.keep_in(Box::new(Full(Arc::clone(&abandoned))));
    for packet_id in 1..=2 {
        assert_eq!(flows.arrived(&one, packet_id, &first(1)), Kept::Yes);
    }
    assert_eq!(*abandoned.lock().unwrap(), 1);
    assert!(!flows.is_kept());
    let failure = flows.take_failure().map(|error| error.kind());
    assert_eq!(failure, Some(io::ErrorKind::StorageFull));
    assert!(flows.take_failure().is_none());
    assert!(flows.first(&one, 2).is_some(), "this process still knows");
}

#[test]
fn a_file_that_was_given_up_is_begun_anew() {
    let (directory, path) = directory();
    let (mut flows, one) = (Flows::default(), consumer(1));
    flows.keep_in(Box::new(Full(Arc::default())));
    for number in 1..=3 {
        assert_eq!(
            flows.arrived(&one, number.into(), &first(number)),
            Kept::Yes
        );
    }
    flows.ended(&one, 1); // which leaves a slot free in the middle
    FlowFile::reattach(directory.path(), &mut flows).unwrap();
    assert!(flows.is_kept());
    assert_eq!(flows.arrived(&one, 4, &first(4)), Kept::Yes);
    let written = fs::read(&path).unwrap();
    FlowFile::reattach(directory.path(), &mut flows).unwrap();
    assert_eq!(fs::read(&path).unwrap(), written, "nothing is to be done");
    let (flows, unusable) = open(directory.path());
    let known = [1, 2, 3, 4].map(|packet_id| flows.first(&one, packet_id).is_some());
    assert_eq!((unusable, known), (None, [false, true, true, true]));
}

fn open(directory: &Path) -> (Flows, Option<&'static str>) {
    let opened = FlowFile::open(directory).unwrap();
    (
        opened.flows,
        opened.unusable.map(|unusable| unusable.why.code()),
    )
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flows");
    (directory, path)
}

#[test]
fn flows_outlive_a_kill_in_their_file() {
    let (directory, path) = directory();
    let (mut flows, unusable) = open(directory.path());
    assert_eq!(unusable, None);
    for number in 1..=3 {
        assert_eq!(
            flows.arrived(&consumer(1), number.into(), &first(number)),
            Kept::Yes
        );
    }
    flows.ended(&consumer(1), 2);
    drop(flows); // which writes nothing
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for _ in 0..2 {
        let (mut flows, unusable) = open(directory.path());
        assert_eq!((unusable, flows.counts()), (None, (2, 0)));
        assert_eq!(flows.first(&consumer(1), 3), Some(&restored(3)));
        assert_eq!(flows.arrived(&consumer(2), 1, &first(9)), Kept::Yes);
        flows.forget(&consumer(2));
    }
}

#[test]
fn records_that_are_damaged_or_cut_are_dropped_alone() {
    let (directory, path) = directory();
    let (mut flows, _) = open(directory.path());
    for number in 1..=3 {
        assert_eq!(
            flows.arrived(&consumer(1), number.into(), &first(number)),
            Kept::Yes
        );
    }
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), 160 * 4);
    let mut damaged = whole.clone();
    damaged[160 * 2 + 40] ^= 1;
    for (octets, known) in [
        (damaged, [true, false, true]),
        (whole[..whole.len() - 1].to_owned(), [true, true, false]),
        (whole[..160 * 3 + 1].to_owned(), [true, true, false]),
        ([&whole[..], &whole[160..320]].concat(), [true, true, true]),
    ] {
        fs::write(&path, octets).unwrap();
        let (flows, unusable) = open(directory.path());
        assert_eq!(unusable, Some("flows-damaged"));
        let found = [1, 2, 3].map(|packet_id| flows.first(&consumer(1), packet_id).is_some());
        assert_eq!(found, known);
    }
}

#[test]
fn a_file_that_is_not_ours_is_not_believed() {
    let (directory, path) = directory();
    let (mut flows, _) = open(directory.path());
    assert_eq!(flows.arrived(&consumer(1), 1, &first(1)), Kept::Yes);
    let whole = fs::read(&path).unwrap();
    let changed = |place: usize, octets: &[u8]| {
        let mut changed = whole.clone();
        changed[place..place + octets.len()].copy_from_slice(octets);
        changed
    };
    let mut other_boot = changed(19, b"0");
    if other_boot == whole {
        other_boot[19] = b'1';
    }
    let sum = crc32fast::hash(&other_boot[..156]).to_be_bytes();
    other_boot[156..160].copy_from_slice(&sum);
    for (octets, code) in [
        (Vec::new(), "flows-not-whole"),
        (whole[..159].to_owned(), "flows-not-whole"),
        (changed(0, b"E"), "flows-not-whole"),
        (changed(15, &2_u32.to_be_bytes()), "flows-version"),
        (changed(60, b"x"), "flows-not-whole"),
        (other_boot, "flows-other-boot"),
    ] {
        fs::write(&path, octets).unwrap();
        let (flows, unusable) = open(directory.path());
        assert_eq!((unusable, flows.counts()), (Some(code), (0, 0)));
    }
    fs::write(&path, &whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(open(directory.path()).1, Some("flows-permissions"));
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
    assert_eq!(open(directory.path()).1, Some("flows-unreadable"));
    assert_eq!(
        open(directory.path()).1,
        None,
        "a new file has taken its place"
    );
    assert_eq!(Why::NotWhole.code(), "flows-not-whole");
}
