#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::header::{Header, State};
use super::load::Why;
use super::{Opened, Origin, ReplayFile, Stored};
use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::replay::{Bounds, ConsumerId, Past, ReplayMemory, Sighting};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Kind, TokenId};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const START: u64 = 1_000_000;
const BOUNDS: Bounds = Bounds {
    consumers: 8,
    windows: 64,
    statements: 64,
};

struct Device {
    _directory: TempDir,
    runtime: PathBuf,
    state: PathBuf,
}

impl Device {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = directory.path().join("run");
        let state = directory.path().join("state");
        fs::create_dir(&runtime).unwrap();
        fs::create_dir(&state).unwrap();
        Self {
            _directory: directory,
            runtime,
            state,
        }
    }

    fn open(&self, epoch: u64) -> Opened {
        open(&self.runtime, &self.state, epoch, START)
    }

    fn runtime_file(&self) -> PathBuf {
        self.runtime.join("replay")
    }

    fn saved_file(&self) -> PathBuf {
        self.state.join("replay.saved")
    }

    /// What a power cut takes.
    fn reboot(&self) {
        let _ = fs::remove_file(self.runtime_file());
    }

    /// A file in use, of epoch 1, in which the message 1 was accepted.
    fn used(&self) {
        let Opened {
            mut file,
            mut memory,
            ..
        } = self.open(1);
        assert_eq!(judge(&mut memory, 1), "accepted");
        assert!(matches!(file.store(&mut memory), Ok(Stored::Done)));
    }

    /// A saved file of epoch 1, in which the message 1 was accepted, and nothing else.
    fn saved(&self) {
        let Opened {
            file, mut memory, ..
        } = self.open(1);
        assert_eq!(judge(&mut memory, 1), "accepted");
        file.save(&mut memory).unwrap();
        self.reboot();
    }

    /// The one file that epoch 2 could not use, by the code of the reason.
    fn refused(&self) -> &'static str {
        let opened = self.open(2);
        assert_eq!(opened.origin, Origin::Nothing);
        assert_eq!(opened.memory.past(), Past::UnknownUntil(time(START)));
        assert_eq!(opened.unusable.len(), 1, "{:?}", opened.unusable);
        let refused = &opened.unusable[0];
        assert!(refused.to_string().contains("before this start"));
        refused.why.code()
    }
}

fn open(runtime: &Path, state: &Path, epoch: u64, start: u64) -> Opened {
    ReplayFile::open(runtime, state, epoch, BOUNDS, time(start)).unwrap()
}

const fn time(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

/// Judges the message of that counter, issued long after the start.
fn judge(memory: &mut ReplayMemory, counter: u64) -> &'static str {
    let consumer: ConsumerId = "panel".into();
    let device = DeviceId::parse("sensor-1").unwrap();
    let id = TokenId::parse(&format!("1.1.{counter}")).unwrap();
    let sighting = Sighting {
        token: "",
        consumer: &consumer,
        kid: KeyId::from_octets([1; 32]),
        device: &device,
        kind: Kind::Message,
        id,
        issued_at: time(START + 100),
        expires_at: time(START + 160),
        topic: "site/temp",
        payload_hash: [0; 32],
        deletion: false,
        retain: false,
        command: false,
        after_power_loss: false,
        max_age_seconds: None,
        leeway_seconds: 10,
        now: Now {
            time: time(START + 100),
            clock: ClockState::Synchronized,
            floor: time(0),
        },
    };
    match memory.judge(&sighting) {
        Ok(Ok(_)) => "accepted",
        Ok(Err(rejection)) => rejection.code(),
        Err(failure) => failure.code(),
    }
}

#[test]
fn the_first_start_knows_nothing_and_makes_a_file_of_its_own() {
    let device = Device::new();
    let opened = device.open(1);
    assert_eq!(opened.origin, Origin::Nothing);
    assert!(opened.unusable.is_empty());
    assert_eq!(opened.memory.past(), Past::UnknownUntil(time(START)));
    let mode = fs::metadata(device.runtime_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_killed_process_is_remembered_by_the_next() {
    let device = Device::new();
    device.used();
    for epoch in 2..5 {
        let mut opened = device.open(epoch);
        assert_eq!(opened.origin, Origin::Runtime);
        assert_eq!(judge(&mut opened.memory, 1), "replay", "{epoch}");
    }
    assert!(!device.saved_file().exists());
}

#[test]
fn a_clean_stop_is_remembered_over_one_boot() {
    let device = Device::new();
    device.saved();
    let mode = fs::metadata(device.saved_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let copy = fs::read(device.saved_file()).unwrap();
    let mut opened = device.open(2);
    assert_eq!(opened.origin, Origin::Saved);
    assert_eq!(judge(&mut opened.memory, 1), "replay");
    assert!(!device.saved_file().exists(), "consumed");
    device.reboot();
    fs::write(device.saved_file(), copy).unwrap();
    fs::set_permissions(device.saved_file(), fs::Permissions::from_mode(0o600)).unwrap();
    let opened = device.open(3);
    assert_eq!(opened.origin, Origin::Nothing);
    assert!(matches!(
        opened.unusable[0].why,
        Why::Epoch { found: 1, own: 3 }
    ));
    assert!(!device.saved_file().exists());
}

#[test]
fn the_file_in_use_goes_before_the_saved_one_and_the_saved_one_before_damage() {
    let device = Device::new();
    let Opened {
        file, mut memory, ..
    } = device.open(1);
    assert_eq!(judge(&mut memory, 1), "accepted");
    file.save(&mut memory).unwrap();
    let (used, saved) = (device.runtime_file(), device.saved_file());
    let keep = (fs::read(&used).unwrap(), fs::read(&saved).unwrap());
    assert_eq!(device.open(2).origin, Origin::Runtime);
    fs::write(&used, &keep.0[..keep.0.len() - 1]).unwrap();
    fs::write(&saved, &keep.1).unwrap();
    fs::set_permissions(&saved, fs::Permissions::from_mode(0o600)).unwrap();
    let mut opened = device.open(2);
    assert_eq!(opened.origin, Origin::Saved);
    assert_eq!(opened.unusable[0].why.code(), "replay-not-whole");
    assert_eq!(judge(&mut opened.memory, 1), "replay");
}

#[test]
fn a_file_of_another_epoch_or_boot_or_version_does_not_count() {
    let rewrite = |path: &Path, change: &dyn Fn(&mut Header)| {
        let mut octets = fs::read(path).unwrap();
        let mut header = Header::decode(octets.first_chunk().unwrap()).unwrap();
        change(&mut header);
        octets[..512].copy_from_slice(&header.encode());
        fs::write(path, octets).unwrap();
    };
    for (change, code) in [
        (
            &(|header: &mut Header| header.epoch = 0) as &dyn Fn(&mut Header),
            "replay-epoch",
        ),
        (&|header| header.epoch = 2, "replay-epoch"),
        (&|header| header.epoch = u64::MAX, "replay-epoch"),
        (&|header| header.boot = [b'0'; 36], "replay-other-boot"),
        (
            &|header| header.state = State::Clean { records: 4 },
            "replay-not-whole",
        ),
    ] {
        let device = Device::new();
        device.used();
        rewrite(&device.runtime_file(), change);
        assert_eq!(device.refused(), code);
    }
    let device = Device::new();
    device.saved();
    rewrite(&device.saved_file(), &|header| header.state = State::Open);
    assert_eq!(device.refused(), "replay-not-whole");
    let device = Device::new();
    device.used();
    let mut octets = fs::read(device.runtime_file()).unwrap();
    octets[19] = 2;
    fs::write(device.runtime_file(), octets).unwrap();
    assert_eq!(device.refused(), "replay-version");
}

#[test]
fn a_file_that_is_cut_changed_or_no_file_of_ours_does_not_count() {
    let spoil = |spoil: &dyn Fn(&mut Vec<u8>)| {
        [Device::used, Device::saved].map(|prepare| {
            let device = Device::new();
            prepare(&device);
            let path = [device.runtime_file(), device.saved_file()]
                .into_iter()
                .find(|path| path.exists())
                .unwrap();
            let mut octets = fs::read(&path).unwrap();
            spoil(&mut octets);
            fs::write(path, octets).unwrap();
            device.refused()
        })
    };
    let whole = "replay-not-whole";
    assert_eq!(spoil(&|octets| octets.clear()), [whole; 2]);
    assert_eq!(spoil(&|octets| octets.truncate(511)), [whole; 2]);
    assert_eq!(spoil(&|octets| octets.truncate(700)), [whole; 2]);
    assert_eq!(spoil(&|octets| octets[3] ^= 1), [whole; 2]);
    assert_eq!(spoil(&|octets| octets[600] ^= 1), ["replay-damaged"; 2]);
    // records that are lost as a whole
    assert_eq!(
        spoil(&|octets| octets[1024..1536].fill(0)),
        ["replay-damaged"; 2]
    );
    let device = Device::new();
    device.saved();
    let octets = fs::read(device.saved_file()).unwrap();
    fs::write(device.saved_file(), &octets[..octets.len() - 512]).unwrap();
    assert_eq!(device.refused(), whole);
    for mode in [0o640, 0o604, 0o620] {
        let device = Device::new();
        device.used();
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(device.runtime_file(), permissions).unwrap();
        assert_eq!(device.refused(), "replay-permissions", "{mode:o}");
    }
    let device = Device::new();
    device.used();
    fs::rename(device.runtime_file(), device.runtime.join("other")).unwrap();
    std::os::unix::fs::symlink("other", device.runtime_file()).unwrap();
    assert_eq!(device.refused(), "replay-unreadable");
    assert!(device.runtime_file().symlink_metadata().unwrap().is_file());
}

#[test]
fn damaged_records_let_nothing_in_and_the_others_still_count() {
    let device = Device::new();
    device.used();
    let mut octets = fs::read(device.runtime_file()).unwrap();
    octets[600] ^= 1; // the record of the past
    fs::write(device.runtime_file(), octets).unwrap();
    let mut opened = device.open(2);
    assert_eq!(opened.memory.past(), Past::UnknownUntil(time(START)));
    assert_eq!(judge(&mut opened.memory, 1), "replay");
    assert_eq!(judge(&mut opened.memory, 2), "accepted");
}

#[test]
fn a_file_that_cannot_be_written_is_removed_and_begun_again_later() {
    let device = Device::new();
    let Opened {
        mut file,
        mut memory,
        ..
    } = device.open(1);
    file.file = Some(fs::File::open(device.runtime_file()).unwrap()); // no longer writable
    assert_eq!(judge(&mut memory, 1), "accepted");
    assert!(matches!(file.store(&mut memory), Ok(Stored::Detached(_))));
    assert!(!device.runtime_file().exists());
    assert_eq!(judge(&mut memory, 2), "accepted");
    assert!(
        matches!(file.store(&mut memory), Ok(Stored::Done)),
        "said once"
    );
    let mut next = open(&device.runtime, &device.state, 2, START + 200);
    assert_eq!(judge(&mut next.memory, 1), "before-start");
    device.reboot();
    file.reattach(&mut memory).unwrap();
    let mut next = device.open(2);
    assert_eq!(next.origin, Origin::Runtime);
    for counter in 1..3 {
        assert_eq!(judge(&mut next.memory, counter), "replay");
    }
}

#[test]
fn a_directory_that_is_not_there_is_an_error_with_a_hint() {
    let device = Device::new();
    let absent = device.runtime.join("absent");
    let error = ReplayFile::open(&absent, &device.state, 1, BOUNDS, time(START)).unwrap_err();
    assert_eq!(error.code(), "replay-file");
    assert!(
        error.to_string().contains("hint: create the directory"),
        "{error}"
    );
}

/// The test starts itself as the process that is killed: every verdict it has used must be known
/// to the next one.
#[test]
fn kill_9_at_any_moment_lets_nothing_in_again() {
    const CHILD: &str = "EDGESEAL_REPLAY_CHILD";
    const NAME: &str = "replay_file::tests::kill_9_at_any_moment_lets_nothing_in_again";
    if let Ok(text) = std::env::var(CHILD) {
        let (epoch, directory) = text.split_once(' ').unwrap();
        let directory = Path::new(directory);
        accept_for_ever(directory, epoch.parse().unwrap());
    }
    let device = Device::new();
    let directory = device.runtime.parent().unwrap();
    let mut newest = 0;
    for epoch in 1..=20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(CHILD, format!("{epoch} {}", directory.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers = lines
            .map_while(Result::ok)
            .filter_map(|line| line.parse::<u64>().ok());
        let mut numbers = numbers.inspect(|number| newest = *number);
        assert!(numbers.nth(17 * epoch as usize).is_some(), "{epoch}");
        child.kill().unwrap();
        child.wait().unwrap();
        numbers.for_each(drop); // what it said before it died
    }
    let mut opened = device.open(21);
    assert_eq!(opened.origin, Origin::Runtime);
    assert!(newest > 3000, "{newest}");
    for counter in newest - 400..=newest {
        assert_eq!(judge(&mut opened.memory, counter), "replay", "{counter}");
    }
}

fn accept_for_ever(directory: &Path, epoch: u64) -> ! {
    let (runtime, state) = (directory.join("run"), directory.join("state"));
    let Opened {
        mut file,
        mut memory,
        origin,
        ..
    } = open(&runtime, &state, epoch, START);
    assert_eq!(origin == Origin::Nothing, epoch == 1);
    // the first that is not known to have been accepted
    let known = |memory: &mut ReplayMemory, counter| judge(memory, counter) != "accepted";
    let mut counter = 1;
    while known(&mut memory, counter) {
        counter += 1;
    }
    loop {
        assert!(matches!(file.store(&mut memory), Ok(Stored::Done)));
        writeln!(std::io::stdout(), "{counter}").unwrap(); // the verdict is used
        counter += 1;
        assert_eq!(judge(&mut memory, counter), "accepted");
    }
}
