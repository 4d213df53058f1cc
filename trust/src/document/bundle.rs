//! The bundle file: root documents, manifest and shards, one a line, read as a stream.

use super::read::{Versioned, at_most, read, write};
use super::{DocumentRejection, without_line_end};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};

/// Reads a bundle file line by line; it holds the roots, the manifest and one shard.
pub struct BundleReader<R> {
    source: R,
    octets_read: u64,
    roots: Vec<Vec<u8>>,
    manifest: Vec<u8>,
    shards: u32,
    shards_read: u32,
    line: Vec<u8>,
}

/// Writes a bundle file line by line.
pub struct BundleWriter<W> {
    target: W,
    shards_left: u32,
}

/// Why a file is no whole bundle. Nothing of it is used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum BundleRejection {
    /// The first line is not a bundle's.
    #[error("not a bundle file: {0}")]
    Header(DocumentRejection),
    /// A line is longer than the document in it may be.
    #[error("the line of {what} is longer than {limit} octets: the file is damaged")]
    Line {
        /// Which document.
        what: String,
        /// Octets allowed.
        limit: usize,
    },
    /// The file is larger than any bundle.
    #[error("the file is larger than {} octets", limits::BUNDLE_OCTETS)]
    Size,
    /// Something follows the last document.
    #[error("something follows the last document: the file is damaged or two files in one")]
    Trailing,
    /// The file ends too early.
    #[error("the file ends before {missing} is complete: copy it again, then compare its size")]
    Truncated {
        /// The first thing that is missing.
        missing: String,
    },
}

impl BundleRejection {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Header(_) => "bundle-header",
            Self::Line { .. } => "bundle-line",
            Self::Size => "bundle-size",
            Self::Trailing => "bundle-trailing",
            Self::Truncated { .. } => "bundle-truncated",
        }
    }

    /// Every code, in alphabetical order.
    pub const CODES: [&'static str; 5] = [
        "bundle-header",
        "bundle-line",
        "bundle-size",
        "bundle-trailing",
        "bundle-truncated",
    ];
}

/// Why a bundle was not read: the file is wrong, or it could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The medium failed.
    #[error("the bundle file could not be read: {0}")]
    Read(#[from] io::Error),
    /// The file is refused.
    #[error(transparent)]
    Rejected(#[from] BundleRejection),
}

impl<R: BufRead> BundleReader<R> {
    /// Reads the header, the roots and the manifest.
    ///
    /// # Errors
    /// [`BundleError`] when the file is none, ends too early, or cannot be read.
    pub fn open(source: R) -> Result<Self, BundleError> {
        let mut reader = Self {
            source,
            octets_read: 0,
            roots: Vec::new(),
            manifest: Vec::new(),
            shards: 0,
            shards_read: 0,
            line: Vec::new(),
        };
        let header = reader.header()?;
        for number in 1..=header.roots {
            let what = || format!("root document {number} of {}", header.roots);
            let root = reader.next_line(limits::ROOT_OCTETS, what)?.to_vec();
            reader.roots.push(root);
        }
        reader.shards = header.shards;
        reader.manifest = reader
            .next_line(limits::MANIFEST_OCTETS, || "the manifest".to_owned())?
            .to_vec();
        Ok(reader)
    }

    /// The root documents, oldest first.
    pub fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.roots.iter().map(Vec::as_slice)
    }

    /// The manifest document.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The number of shards in the file.
    pub const fn shards(&self) -> u32 {
        self.shards
    }

    /// The next shard, in the order of indices; `None` once the file has ended as it should. A
    /// caller that has not seen that `None` has not seen a whole file.
    ///
    /// # Errors
    /// [`BundleError`] when the file ends too early, goes on too long, or cannot be read.
    pub fn next_shard(&mut self) -> Result<Option<&[u8]>, BundleError> {
        if self.shards_read == self.shards {
            return match self.source.fill_buf()? {
                [] => Ok(None),
                _ => Err(BundleRejection::Trailing.into()),
            };
        }
        self.shards_read = self.shards_read.saturating_add(1);
        let (number, shards) = (self.shards_read, self.shards);
        let what = || format!("shard {number} of {shards}");
        self.next_line(limits::SHARD_OCTETS, what).map(Some)
    }

    fn header(&mut self) -> Result<HeaderText, BundleError> {
        let line = self.next_line(HEADER_OCTETS, || "the first line".to_owned());
        let line = line.map_err(|why| match why {
            BundleError::Rejected(BundleRejection::Line { limit, .. }) => {
                let found = limit.saturating_add(1);
                BundleRejection::Header(DocumentRejection::Size { found, limit }).into()
            }
            why => why,
        })?;
        let header: HeaderText = read(line, Versioned::No).map_err(BundleRejection::Header)?;
        let roots = usize::try_from(header.roots).unwrap_or(usize::MAX);
        let shards = usize::try_from(header.shards).unwrap_or(usize::MAX);
        let shards_limit = usize::try_from(limits::SHARDS).unwrap_or(0);
        let refused = if header.edgeseal_bundle == BUNDLE_FORMAT {
            at_most(limits::BUNDLE_ROOTS, "root documents", roots)
                .and_then(|()| at_most(shards_limit, "shards", shards))
        } else {
            let found = Some(header.edgeseal_bundle);
            Err(DocumentRejection::Format { found })
        };
        refused.map_err(BundleRejection::Header)?;
        Ok(header)
    }

    /// Reads a line of at most `limit` octets and its end, which no document lacks: a file cut off
    /// at any octet is noticed.
    fn next_line(&mut self, limit: usize, what: impl Fn() -> String) -> Result<&[u8], BundleError> {
        self.line.clear();
        let with_end = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut bounded = Read::take(&mut self.source, with_end);
        let found = bounded.read_until(b'\n', &mut self.line)?;
        self.octets_read = self
            .octets_read
            .saturating_add(u64::try_from(found).unwrap_or(u64::MAX));
        if self.octets_read > limits::BUNDLE_OCTETS {
            return Err(BundleRejection::Size.into());
        }
        match self.line.pop() {
            Some(b'\n') => Ok(&self.line),
            _ if found > limit => Err(BundleRejection::Line {
                what: what(),
                limit,
            }
            .into()),
            _ => Err(BundleRejection::Truncated { missing: what() }.into()),
        }
    }
}

impl<W: Write> BundleWriter<W> {
    /// Writes the header, the roots, oldest first, and the manifest; `shards` shards must follow.
    ///
    /// # Errors
    /// What the target says.
    pub fn begin(mut target: W, roots: &[&[u8]], manifest: &[u8], shards: u32) -> io::Result<Self> {
        let header = write(&HeaderText {
            edgeseal_bundle: BUNDLE_FORMAT,
            roots: u32::try_from(roots.len()).unwrap_or(u32::MAX),
            shards,
        });
        write_line(&mut target, &header)?;
        for root in roots {
            write_line(&mut target, root)?;
        }
        write_line(&mut target, manifest)?;
        let shards_left = shards;
        Ok(Self {
            target,
            shards_left,
        })
    }

    /// Writes the next shard, in the order of indices.
    ///
    /// # Errors
    /// What the target says; `InvalidInput` for a shard more than announced.
    pub fn shard(&mut self, octets: &[u8]) -> io::Result<()> {
        let left = self.shards_left.checked_sub(1);
        self.shards_left = left.ok_or_else(|| invalid("more shards than announced"))?;
        write_line(&mut self.target, octets)
    }

    /// Ends the file and gives the target back.
    ///
    /// # Errors
    /// What the target says; `InvalidInput` when shards are missing.
    pub fn finish(mut self) -> io::Result<W> {
        if self.shards_left > 0 {
            return Err(invalid("fewer shards than announced"));
        }
        self.target.flush()?;
        Ok(self.target)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HeaderText {
    edgeseal_bundle: u64,
    roots: u32,
    shards: u32,
}

fn write_line(target: &mut impl Write, document: &[u8]) -> io::Result<()> {
    let line = without_line_end(document);
    if line.contains(&b'\n') {
        return Err(invalid("a document has more than one line"));
    }
    target.write_all(line)?;
    target.write_all(b"\n")
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

const BUNDLE_FORMAT: u64 = 1;
const HEADER_OCTETS: usize = 256;
