//! What one process of this machine tells another of the kernel's synchronization flag: for an agent whose
//! system call filter keeps away the call that reads it, since the same call sets clocks.
//!
//! A file on tmpfs: the boot time in seconds when it was asked, then the largest error in microseconds, or
//! `-` where the clock is not synchronized. One that is older than 30 s says nothing.

use super::{Synchronization, kernel, since_boot};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// Where the file lies unless said otherwise.
pub const DIRECTORY: &str = "/run/edgeseal-clock";
/// How often it is written.
pub const PERIOD: Duration = Duration::from_secs(10);

/// Asks the kernel and writes the answer into `directory`, whole or not at all.
///
/// # Errors
/// The kernel refuses the call, or the directory cannot be written.
pub fn write(directory: &Path) -> io::Result<()> {
    let said = kernel::ask_patiently()?;
    let unfinished = directory.join("synchronization.new");
    fs::write(&unfinished, text(since_boot(), said))?;
    fs::rename(&unfinished, directory.join(NAME))
}

/// What was written last, if that is young enough.
pub(super) fn read(directory: &Path) -> Option<Synchronization> {
    let mut text = String::new();
    let file = File::open(directory.join(NAME)).ok()?;
    file.take(OCTETS).read_to_string(&mut text).ok()?;
    parse(&text, since_boot())
}

fn text(asked_at: Duration, said: Synchronization) -> String {
    let error = match said {
        Synchronization::Synchronized {
            max_error_microseconds,
        } => max_error_microseconds.to_string(),
        Synchronization::Unsynchronized => "-".to_owned(),
    };
    format!("{} {error}\n", asked_at.as_secs())
}

fn parse(text: &str, now: Duration) -> Option<Synchronization> {
    let (asked_at, error) = text.trim_end().split_once(' ')?;
    let age = now.as_secs().checked_sub(asked_at.parse().ok()?)?;
    if age > MAX_AGE_SECONDS {
        return None;
    }
    Some(match error {
        "-" => Synchronization::Unsynchronized,
        error => Synchronization::Synchronized {
            max_error_microseconds: error.parse().ok()?,
        },
    })
}

const NAME: &str = "synchronization";
const OCTETS: u64 = 64;
const MAX_AGE_SECONDS: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_for_half_a_minute() {
        let good = Synchronization::Synchronized {
            max_error_microseconds: 1_500,
        };
        for said in [good, Synchronization::Unsynchronized] {
            let text = text(Duration::from_secs(1_000), said);
            let at = |seconds| parse(&text, Duration::from_secs(seconds));
            assert_eq!(at(1_000), Some(said));
            assert_eq!(at(1_030), Some(said));
            assert_eq!(at(1_031), None, "too old");
            assert_eq!(at(999), None, "of another boot");
        }
    }

    #[test]
    fn what_makes_no_sense_says_nothing() {
        for text in ["", "5", "5 ", " -", "x 5", "5 x", "5 -1", "-5 -", "5 5 5"] {
            assert_eq!(parse(text, Duration::from_secs(5)), None, "{text:?}");
        }
        assert_eq!(read(Path::new("/absent")), None);
    }

    #[test]
    fn the_kernels_answer_goes_through_a_file() {
        let directory = tempfile::tempdir().unwrap();
        match (write(directory.path()), kernel::ask_patiently()) {
            (Ok(()), Ok(_)) => assert!(read(directory.path()).is_some()),
            (Err(_), Err(_)) => assert_eq!(read(directory.path()), None),
            (written, asked) => panic!("{written:?}, {asked:?}"),
        }
    }
}
