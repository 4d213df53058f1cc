//! Files that are read whole, within limits: what the operator names may be any file, also one without
//! end.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads a file of at most `limit` octets.
///
/// # Errors
/// The system refuses, or [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut octets)?;
    expect_size(&octets, limit)?;
    Ok(octets)
}

/// Reads text of at most `limit` octets that leaves no copy in memory.
///
/// # Errors
/// As [`read`], or [`io::ErrorKind::InvalidData`] where it is not UTF-8.
pub(crate) fn read_secret(path: &Path, limit: usize) -> io::Result<Zeroizing<String>> {
    let most = limit.saturating_add(1);
    // All of the room at once: what grows leaves copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(most.saturating_add(PROBE_OCTETS)));
    let taken = u64::try_from(most).unwrap_or(u64::MAX);
    File::open(path)?.take(taken).read_to_end(&mut octets)?;
    expect_size(&octets, limit)?;
    let text = std::str::from_utf8(&octets);
    let text = text.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn expect_size(octets: &[u8], limit: usize) -> io::Result<()> {
    if octets.len() <= limit {
        return Ok(());
    }
    let reason = format!("it has more than {limit} octets");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, reason))
}

/// The standard library may grow a full vector to see whether more comes.
const PROBE_OCTETS: usize = 32;
