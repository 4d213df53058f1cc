//! Reading a replay file, and what to make of it.

use super::header::{BadHeader, BootId, Header, State};
use super::ours::{NotOurs, open_ours};
use edgeseal_trust::limits::WINDOW_OCTETS;
use edgeseal_trust::replay::{Bounds, Past, Record, ReplayMemory, Restoration};
use edgeseal_trust::time::UnixTime;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Where a memory comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The past is not known: what was issued before the start is refused.
    Nothing,
    /// From the runtime directory: the process before this one was killed, or stopped.
    Runtime,
    /// From the state directory: a clean stop, then a boot.
    Saved,
}

/// A file that could not be used.
#[derive(Debug)]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a file could not be used.
#[derive(Debug)]
pub enum Why {
    /// Records are damaged, occur twice or are beyond a bound; the others still count.
    Damaged(Restoration),
    /// Of an epoch that is not the one before.
    Epoch {
        /// That of the file.
        found: u64,
        /// That of this process.
        own: u64,
    },
    /// Not a replay file, or not whole.
    NotWhole,
    /// Still in use when the power went.
    OtherBoot,
    /// Not a file of ours that nobody else may write.
    Permissions,
    /// The system does not let us read it.
    Unreadable(io::Error),
    /// Written by another version of this program.
    Version(u32),
}

impl Why {
    /// Stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "replay-damaged",
            Self::Epoch { .. } => "replay-epoch",
            Self::NotWhole => "replay-not-whole",
            Self::OtherBoot => "replay-other-boot",
            Self::Permissions => "replay-permissions",
            Self::Unreadable(_) => "replay-unreadable",
            Self::Version(_) => "replay-version",
        }
    }
}

impl From<NotOurs> for Why {
    fn from(why: NotOurs) -> Self {
        match why {
            NotOurs::Permissions => Self::Permissions,
            NotOurs::Unreadable(error) => Self::Unreadable(error),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.why {
            Why::Damaged(restoration) => write!(f, "{} records are unusable", restoration.refused),
            Why::Epoch { found, own } => {
                write!(f, "of epoch {found}, which is not the one before {own}")
            }
            Why::NotWhole => f.write_str("not a whole replay file"),
            Why::OtherBoot => f.write_str("of another boot: it need not be whole"),
            Why::Permissions => f.write_str("not a file of ours alone (mode 0600)"),
            Why::Unreadable(error) => write!(f, "unreadable: {error}"),
            Why::Version(version) => write!(f, "of format version {version}, unknown here"),
        }?;
        f.write_str("; messages issued before this start are refused")
    }
}

/// What this process goes by.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) epoch: u64,
    pub(super) boot: BootId,
}

/// Restores the memory from the first of both files that can be used. Where none can, a damaged
/// one is still better than nothing: its records only lead to more refusals.
pub(super) fn load(
    runtime: &Path,
    saved: &Path,
    own: Own,
    bounds: Bounds,
    start: UnixTime,
) -> (ReplayMemory, Origin, Vec<Unusable>) {
    let mut unusable = Vec::new();
    let mut damaged = None;
    for (path, origin) in [(runtime, Origin::Runtime), (saved, Origin::Saved)] {
        let why = match read(path, origin, own, bounds, start) {
            Ok(None) => continue,
            Ok(Some((memory, restoration))) if restoration.refused == 0 => {
                return (memory, origin, unusable);
            }
            Ok(Some((memory, restoration))) => {
                damaged.get_or_insert(memory);
                Why::Damaged(restoration)
            }
            Err(why) => why,
        };
        let path = path.to_owned();
        unusable.push(Unusable { path, why });
    }
    let empty = || ReplayMemory::new(bounds, Past::UnknownUntil(start), start);
    let memory = damaged.unwrap_or_else(empty);
    (memory, Origin::Nothing, unusable)
}

/// The memory in a file; nothing where there is no file.
fn read(
    path: &Path,
    origin: Origin,
    own: Own,
    bounds: Bounds,
    start: UnixTime,
) -> Result<Option<(ReplayMemory, Restoration)>, Why> {
    let Some((file, metadata)) = open_ours(path)? else {
        return Ok(None);
    };
    let records = record_count(&metadata)?;
    let mut file = BufReader::new(file);
    let mut octets = [0; WINDOW_OCTETS];
    file.read_exact(&mut octets).map_err(|_| Why::NotWhole)?;
    let header = Header::decode(&octets).map_err(|bad| match bad {
        BadHeader::Damaged => Why::NotWhole,
        BadHeader::Version(version) => Why::Version(version),
    })?;
    expect_usable(&header, origin, own, records)?;
    let mut failure = None;
    let left = Records {
        file,
        left: records,
        failure: &mut failure,
    };
    let restored = ReplayMemory::restore(bounds, start, left);
    match failure {
        None => Ok(Some(restored)),
        Some(error) => Err(Why::Unreadable(error)),
    }
}

/// The one in use counts as long as the kernel runs, the saved one if all of it is there; both in
/// the very next epoch only.
fn expect_usable(header: &Header, origin: Origin, own: Own, records: u64) -> Result<(), Why> {
    if header.epoch.checked_add(1) != Some(own.epoch) {
        return Err(Why::Epoch {
            found: header.epoch,
            own: own.epoch,
        });
    }
    match (origin, header.state) {
        (Origin::Saved, State::Clean { records: expected }) if records == expected => Ok(()),
        (Origin::Runtime, State::Open) if header.boot == own.boot => Ok(()),
        (Origin::Runtime, State::Open) => Err(Why::OtherBoot),
        _ => Err(Why::NotWhole),
    }
}

/// How many records a file of whole ones has.
fn record_count(metadata: &Metadata) -> Result<u64, Why> {
    let octets = u64::try_from(WINDOW_OCTETS).unwrap_or(u64::MAX);
    match (
        metadata.len().checked_div(octets),
        metadata.len().checked_rem(octets),
    ) {
        (Some(slots @ 1..), Some(0)) => Ok(slots.saturating_sub(1)),
        _ => Err(Why::NotWhole),
    }
}

/// The records of a file, one at a time.
struct Records<'a> {
    file: BufReader<File>,
    left: u64,
    failure: &'a mut Option<io::Error>,
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        self.left = self.left.checked_sub(1)?;
        let mut record = [0; WINDOW_OCTETS];
        match self.file.read_exact(&mut record) {
            Ok(()) => Some(record),
            Err(error) => {
                *self.failure = Some(error);
                self.left = 0;
                None
            }
        }
    }
}
