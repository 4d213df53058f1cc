//! The file of the incoming flows: small positioned writes on tmpfs. It survives `kill -9` and costs no flash.

use super::record::{FLOW_RECORD_OCTETS, FlowRecord};
use super::{FLOWS, FlowSlots, Flows};
use crate::replay_file::{
    BOOT_ID, BootId, NotOurs, ReplayFileError, boot_id, failed, open_ours, remove, replace,
};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Keeps what [`Flows`] must not forget.
#[derive(Debug)]
pub struct FlowFile {
    path: PathBuf,
    file: File,
}

/// Flows with their file.
#[derive(Debug)]
pub struct Opened {
    /// The flows, restored as far as that was possible, and kept in the file.
    pub flows: Flows,
    /// A file that was there and could not be used whole: to be logged.
    pub unusable: Option<Unusable>,
}

/// A file that could not be used whole.
#[derive(Debug)]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a file could not be used whole.
#[derive(Debug)]
pub enum Why {
    /// This number of records is damaged or one too many; the others count.
    Damaged(u32),
    /// No file of flows.
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
            Self::Damaged(_) => "flows-damaged",
            Self::NotWhole => "flows-not-whole",
            Self::OtherBoot => "flows-other-boot",
            Self::Permissions => "flows-permissions",
            Self::Unreadable(_) => "flows-unreadable",
            Self::Version(_) => "flows-version",
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
            Why::Damaged(records) => write!(f, "{records} records are unusable"),
            Why::NotWhole => f.write_str("not a file of flows"),
            Why::OtherBoot => f.write_str("of another boot: it need not be whole"),
            Why::Permissions => f.write_str("not a file of ours alone (mode 0600)"),
            Why::Unreadable(error) => write!(f, "unreadable: {error}"),
            Why::Version(version) => write!(f, "of format version {version}, unknown here"),
        }?;
        f.write_str(
            "; a message that was in flight when the agent ended may be refused as a replay",
        )
    }
}

impl FlowFile {
    /// Restores the flows of the process before this one from `runtime/flows`, and begins a new file.
    ///
    /// # Errors
    /// [`ReplayFileError`] when no file can be begun. A file that cannot be *read* is no error.
    pub fn open(runtime: &Path) -> Result<Opened, ReplayFileError> {
        let path = runtime.join(FILE);
        let boot = boot_id().map_err(|error| failed(Path::new(BOOT_ID), "read it", error))?;
        let (mut flows, why) = match read(&path, boot) {
            Ok(None) => (Flows::default(), None),
            Ok(Some((flows, 0))) => (flows, None),
            Ok(Some((flows, refused))) => (flows, Some(Why::Damaged(refused))),
            Err(why) => (Flows::default(), Some(why)),
        };
        flows.keep_in(Box::new(Self::begin(&path, boot, &flows)?));
        let unusable = why.map(|why| Unusable { path, why });
        Ok(Opened { flows, unusable })
    }

    /// Begins the file anew if it had to be given up. To be called now and then.
    ///
    /// # Errors
    /// [`ReplayFileError`] while it still cannot be written.
    pub fn reattach(runtime: &Path, flows: &mut Flows) -> Result<(), ReplayFileError> {
        if flows.is_kept() {
            return Ok(());
        }
        let boot = boot_id().map_err(|error| failed(Path::new(BOOT_ID), "read it", error))?;
        let file = Self::begin(&runtime.join(FILE), boot, flows)?;
        flows.keep_in(Box::new(file));
        Ok(())
    }

    /// Writes all flows into a new file that takes the place of the old one at once.
    fn begin(path: &Path, boot: BootId, flows: &Flows) -> Result<Self, ReplayFileError> {
        let write = |file: &File| {
            let mut buffer = BufWriter::new(file);
            buffer.write_all(&header(boot))?;
            buffer.flush()?;
            for (slot, record) in flows.records() {
                file.write_all_at(&record, offset(slot))?;
            }
            Ok(())
        };
        let file = replace(path, "begin the file of flows", write)?;
        let path = path.to_owned();
        Ok(Self { path, file })
    }
}

impl FlowSlots for FlowFile {
    fn write(&mut self, slot: u32, record: &FlowRecord) -> io::Result<()> {
        self.file.write_all_at(record, offset(slot))
    }

    fn abandon(&mut self) -> io::Result<()> {
        remove(&self.path).map_err(|why| why.error)
    }
}

/// The flows in a file and how many records were refused; nothing where there is no file.
fn read(path: &Path, boot: BootId) -> Result<Option<(Flows, u32)>, Why> {
    let Some((file, _)) = open_ours(path)? else {
        return Ok(None);
    };
    let mut file = BufReader::new(file);
    let mut record = [0; FLOW_RECORD_OCTETS];
    file.read_exact(&mut record).map_err(|_| Why::NotWhole)?;
    expect_header(&record, boot)?;
    let mut failure = None;
    let records = std::iter::from_fn(|| match read_record(&mut file) {
        Ok(record) => record,
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let restored = Flows::restore(records.take(FLOWS));
    match failure {
        None => Ok(Some(restored)),
        Some(error) => Err(Why::Unreadable(error)),
    }
}

/// The next record, zeros where the file ends in the middle of it: it was never written as a whole.
fn read_record(file: &mut impl Read) -> io::Result<Option<FlowRecord>> {
    let mut record = [0; FLOW_RECORD_OCTETS];
    let mut filled = 0;
    while let Some(rest) = record.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => break,
            Ok(octets) => filled = filled.saturating_add(octets),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(record))
}

/// What the file is, in which version, and in which boot it was written.
fn header(boot: BootId) -> FlowRecord {
    let mut header = [0; FLOW_RECORD_OCTETS];
    let (body, sum) = header.split_at_mut(FLOW_RECORD_OCTETS.saturating_sub(SUM_OCTETS));
    let fields: [&[u8]; 3] = [MAGIC, &VERSION.to_be_bytes(), &boot];
    let octets = fields.into_iter().flatten();
    body.iter_mut()
        .zip(octets)
        .for_each(|(to, from)| *to = *from);
    sum.copy_from_slice(&crc32fast::hash(body).to_be_bytes());
    header
}

/// The version comes first: a later format need not keep anything else.
fn expect_header(found: &FlowRecord, boot: BootId) -> Result<(), Why> {
    let rest = found.strip_prefix(MAGIC).ok_or(Why::NotWhole)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Why::NotWhole)?;
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        return Err(Why::Version(version));
    }
    let (of_boot, _) = rest.split_first_chunk().ok_or(Why::NotWhole)?;
    if header(*of_boot) != *found {
        return Err(Why::NotWhole);
    }
    match *of_boot == boot {
        true => Ok(()),
        false => Err(Why::OtherBoot),
    }
}

/// The header takes the place of one more slot before the first.
fn offset(slot: u32) -> u64 {
    let octets = u64::try_from(FLOW_RECORD_OCTETS).unwrap_or(u64::MAX);
    u64::from(slot).saturating_add(1).saturating_mul(octets)
}

/// Name of the file in the runtime directory.
const FILE: &str = "flows";
const MAGIC: &[u8] = b"edgeseal flows\n";
const VERSION: u32 = 1;
const SUM_OCTETS: usize = 4;
