//! The small state that must never go back: mark, boot epoch, noted time. Two generations, each a
//! file with a checksum; the older one is replaced, so a torn write costs the newer at most.

use super::{Recovery, StoreError, atomic_file};
use crate::document::Digest;
use crate::time::UnixTime;
use crate::update::Mark;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct State {
    /// The highest manifest ever committed to.
    pub(super) mark: Option<Mark>,
    /// The boot epoch given out last; 0 if none was.
    pub(super) epoch: u64,
    /// The time noted last.
    pub(super) noted_time: UnixTime,
    /// Epochs given out were lost: no other is given out before the identity is reset.
    pub(super) epoch_lost: bool,
    /// The mark was lost: no manifest is in force before one is applied.
    pub(super) mark_lost: bool,
}

/// The two files, and the state in force.
#[derive(Debug)]
pub(super) struct StateFile {
    dir: PathBuf,
    state: State,
    generation: u64,
    /// The file to be replaced next.
    older: usize,
    /// Neither file can be read: both must be written.
    both_lost: bool,
}

impl StateFile {
    /// Reads both generations and decides what is in force.
    ///
    /// `used` says whether the directory holds an identity or trust, `stored` names the manifest on
    /// disk. Repaired states are written by the next [`StateFile::write`]; a fresh one at once, so
    /// that a directory in use is never without.
    pub(super) fn open(
        dir: &Path,
        used: bool,
        stored: Option<Mark>,
    ) -> Result<(Self, Recovery), StoreError> {
        let [first, second] = NAMES.map(|name| read_generation(&dir.join(name)));
        let (mut file, recovery) = Self::judge(dir, [first?, second?], used);
        file.state.mark = later(file.state.mark, stored);
        if recovery == Recovery::Fresh {
            file.write(file.state)?;
        }
        Ok((file, recovery))
    }

    /// What [`StateFile::open`] would find; nothing is written.
    pub(super) fn look(dir: &Path, used: bool) -> Result<(State, Recovery), StoreError> {
        let [first, second] = NAMES.map(|name| read_generation(&dir.join(name)));
        let (file, recovery) = Self::judge(dir, [first?, second?], used);
        Ok((file.state, recovery))
    }

    /// The state in force.
    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// Replaces the state, durably. When it fails the old state stays in force; on disk either may be
    /// found afterwards.
    pub(super) fn write(&mut self, state: State) -> Result<(), StoreError> {
        if self.both_lost {
            self.write_older(state)?;
            self.both_lost = false;
        }
        self.write_older(state)
    }

    fn write_older(&mut self, state: State) -> Result<(), StoreError> {
        let generation = self.generation.saturating_add(1);
        let name = NAMES.get(self.older).copied().unwrap_or_default();
        atomic_file::write(&self.dir.join(name), &encode(&state, generation))?;
        self.state = state;
        self.generation = generation;
        self.older ^= 1;
        Ok(())
    }

    fn judge(dir: &Path, found: [Generation; 2], used: bool) -> (Self, Recovery) {
        let file = |(state, generation): (State, u64), newest: usize| Self {
            dir: dir.to_owned(),
            state,
            generation,
            older: newest ^ 1,
            both_lost: false,
        };
        match found {
            [Generation::Valid(a), Generation::Valid(b)] if a.1 >= b.1 => {
                (file(a, 0), Recovery::None)
            }
            [Generation::Valid(_), Generation::Valid(b)] => (file(b, 1), Recovery::None),
            // The first write ever was the only one.
            [Generation::Valid(a @ (_, 1)), Generation::Absent] => (file(a, 0), Recovery::None),
            [Generation::Valid(a), other] => recovered(file(a, 0), other.complaint(1)),
            [other, Generation::Valid(b)] => recovered(file(b, 1), other.complaint(0)),
            [Generation::Absent, Generation::Absent] if !used => {
                (file((State::default(), 0), 1), Recovery::Fresh)
            }
            [a, b] => {
                let state = State {
                    epoch_lost: true,
                    mark_lost: true,
                    ..State::default()
                };
                let what = format!("{}; {}", a.complaint(0), b.complaint(1));
                // Far above any generation that may still turn up.
                let mut file = file((state, LOST_GENERATION), 1);
                file.both_lost = true;
                (file, Recovery::Lost { what })
            }
        }
    }
}

/// The later of two marks; the first if they are equal in order.
pub(super) fn later(first: Option<Mark>, second: Option<Mark>) -> Option<Mark> {
    match (first, second) {
        (Some(first), Some(second)) if second.order(&first) == Ordering::Greater => Some(second),
        (first, second) => first.or(second),
    }
}

/// What one of the two files was found to be.
enum Generation {
    Absent,
    Unreadable(String),
    Valid((State, u64)),
}

impl Generation {
    fn complaint(&self, place: usize) -> String {
        let name = NAMES.get(place).copied().unwrap_or_default();
        match self {
            Self::Absent => format!("{name} is missing"),
            Self::Unreadable(what) => format!("{name} is unreadable: {what}"),
            Self::Valid(_) => format!("{name} is valid"),
        }
    }
}

/// The older generation is all there is. The newer may have given out epochs and may have been
/// written once more than is known.
fn recovered(mut file: StateFile, what: String) -> (StateFile, Recovery) {
    let older_epoch = file.state.epoch;
    let epoch = older_epoch.saturating_add(EPOCHS_SKIPPED);
    file.state.epoch = epoch;
    file.generation = file.generation.saturating_add(1);
    let recovery = Recovery::OlderGeneration {
        what,
        older_epoch,
        epoch,
    };
    (file, recovery)
}

fn read_generation(path: &Path) -> Result<Generation, StoreError> {
    let octets = match atomic_file::read(path, LIMIT_OCTETS) {
        Ok(Some(octets)) => octets,
        Ok(None) => return Ok(Generation::Absent),
        Err(StoreError::Document { what, .. }) => return Ok(Generation::Unreadable(what)),
        Err(StoreError::Io { error, .. }) if error.raw_os_error() == Some(EIO) => {
            return Ok(Generation::Unreadable(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    match decode(&octets) {
        Ok(valid) => Ok(Generation::Valid(valid)),
        Err(Damage::Version(found)) => Err(StoreError::UnknownFormat {
            path: path.to_owned(),
            found: found.into(),
            known: VERSION.into(),
        }),
        Err(Damage::Octets(what)) => Ok(Generation::Unreadable(what.to_owned())),
    }
}

/// Why octets are no state.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Damage {
    Octets(&'static str),
    Version(u32),
}

fn encode(state: &State, generation: u64) -> Vec<u8> {
    let mark = state.mark.as_ref();
    let mut octets = Vec::with_capacity(OCTETS);
    octets.extend_from_slice(MAGIC);
    octets.extend_from_slice(&VERSION.to_be_bytes());
    octets.extend_from_slice(&generation.to_be_bytes());
    octets.push(u8::from(state.epoch_lost));
    octets.push(u8::from(state.mark_lost));
    octets.push(u8::from(mark.is_some()));
    octets.extend_from_slice(&mark.map_or(0, |mark| mark.root_version).to_be_bytes());
    octets.extend_from_slice(&mark.map_or(0, |mark| mark.sequence).to_be_bytes());
    octets.extend_from_slice(&mark.map_or([0; 32], |mark| *mark.payload.octets()));
    octets.extend_from_slice(&state.epoch.to_be_bytes());
    octets.extend_from_slice(&state.noted_time.seconds().to_be_bytes());
    let checksum = Digest::of(&octets);
    octets.extend_from_slice(checksum.octets());
    octets
}

/// Reads a generation. Every version of the format begins with magic and version and ends with the
/// SHA-256 of what precedes it; so an unknown version can be told from damage.
pub(super) fn decode(octets: &[u8]) -> Result<(State, u64), Damage> {
    let short = Damage::Octets("too short");
    let (content, checksum) = octets.split_last_chunk::<32>().ok_or(short)?;
    if Digest::of(content).octets() != checksum {
        return Err(Damage::Octets("the checksum does not fit"));
    }
    let mut fields = Fields(content);
    if fields.take::<8>()? != MAGIC {
        return Err(Damage::Octets("not a state file"));
    }
    let version = u32::from_be_bytes(*fields.take()?);
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let generation = fields.number()?;
    let epoch_lost = fields.flag()?;
    let mark_lost = fields.flag()?;
    let marked = fields.flag()?;
    let mark = Mark {
        root_version: fields.number()?,
        sequence: fields.number()?,
        payload: Digest::from_octets(*fields.take()?),
    };
    let state = State {
        mark: marked.then_some(mark),
        epoch: fields.number()?,
        noted_time: UnixTime::from_seconds(fields.number()?),
        epoch_lost,
        mark_lost,
    };
    match fields.0 {
        [] => Ok((state, generation)),
        _ => Err(Damage::Octets("too long")),
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Damage> {
        let (field, rest) = self
            .0
            .split_first_chunk()
            .ok_or(Damage::Octets("cut off"))?;
        self.0 = rest;
        Ok(field)
    }

    fn number(&mut self) -> Result<u64, Damage> {
        self.take().map(|octets| u64::from_be_bytes(*octets))
    }

    fn flag(&mut self) -> Result<bool, Damage> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Damage::Octets("a flag is neither 0 nor 1")),
        }
    }
}

const NAMES: [&str; 2] = ["state.0", "state.1"];
const MAGIC: &[u8; 8] = b"EDGESEAL";
const VERSION: u32 = 1;
/// 8 magic, 4 version, 8 generation, 3 flags, 48 mark, 8 epoch, 8 time, 32 checksum.
const OCTETS: usize = 119;
/// Later versions may be longer.
const LIMIT_OCTETS: usize = 4096;
/// How far the epoch jumps when the newest one is not known.
const EPOCHS_SKIPPED: u64 = 1000;
const LOST_GENERATION: u64 = 1 << 32;
/// The card could not read the block; other errors of the system say nothing about the file.
const EIO: i32 = 5;

#[cfg(test)]
mod tests;
