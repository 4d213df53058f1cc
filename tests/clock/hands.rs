//! Another clock for a process of a test: its wall clock, its timers, the time since boot, and what the kernel says of
//! synchronization are what the test wants, from one moment to the next, while it runs.
//!
//! A library that is preloaded stands between the process and libc (`hands.c`; `faketime` knows neither the kernel's word nor a
//! machine that slept). The process is the real program.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The hands of one machine's clock. They outlive its processes, as a clock outlives them; [`Hands::boot`] does not.
pub(crate) struct Hands {
    library: PathBuf,
    path: PathBuf,
    file: File,
    now: Mutex<Shown>,
}

/// What the processes see; in seconds ahead of what they would.
#[derive(Clone, Copy)]
struct Shown {
    wall: i64,
    timers: i64,
    boot: i64,
    synchronized: bool,
}

impl Hands {
    /// A clock that is right and synchronized, kept in `place`.
    pub(crate) fn new(place: &Path) -> Self {
        fs::create_dir_all(place).unwrap();
        let (library, path) = (place.join("hands.so"), place.join("hands"));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(SOURCE)
            .args(["-ldl"])
            .output();
        let built = built.expect("cc, which links Rust's programs too");
        assert!(built.status.success(), "{built:?}");
        let hands = Self {
            library,
            file: File::create(&path).unwrap(),
            path,
            now: Mutex::new(Shown {
                wall: 0,
                timers: 0,
                boot: 0,
                synchronized: true,
            }),
        };
        hands.change(|_| {});
        hands
    }

    /// The process that `command` starts lives by this clock.
    pub(crate) fn put_on(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("CLOCK_HANDS", &self.path);
    }

    /// What the wall clock shows.
    pub(crate) fn time(&self) -> u64 {
        let wall = self.now.lock().unwrap().wall;
        real().checked_add_signed(wall).unwrap()
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set(&self, unix_seconds: u64) {
        self.change(|shown| shown.wall = unix_seconds.cast_signed() - real().cast_signed());
    }

    /// It is right again.
    pub(crate) fn set_right(&self) {
        self.change(|shown| shown.wall = 0);
    }

    /// The wall clock shows the same as another.
    pub(crate) fn set_by(&self, other: &Self) {
        let wall = other.now.lock().unwrap().wall;
        self.change(|shown| shown.wall = wall);
    }

    /// What the kernel says of it.
    pub(crate) fn set_synchronized(&self, synchronized: bool) {
        self.change(|shown| shown.synchronized = synchronized);
    }

    /// Time passes.
    pub(crate) fn pass(&self, time: Duration) {
        self.change(|shown| {
            shown.wall += seconds(time);
            shown.timers += seconds(time);
            shown.boot += seconds(time);
        });
    }

    /// The machine sleeps: its timers stand still meanwhile.
    pub(crate) fn sleep(&self, time: Duration) {
        self.change(|shown| {
            shown.wall += seconds(time);
            shown.boot += seconds(time);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Shown)) {
        let mut now = self.now.lock().unwrap();
        change(&mut now);
        let numbers = [now.wall, now.timers, now.boot, i64::from(now.synchronized)];
        let octets = numbers.map(i64::to_ne_bytes).concat();
        self.file.write_all_at(&octets, 0).unwrap();
    }
}

fn seconds(time: Duration) -> i64 {
    time.as_secs().cast_signed()
}

fn real() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/clock/hands.c");
