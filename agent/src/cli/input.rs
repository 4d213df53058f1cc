//! What is read from files and standard input, within limits.

use super::output::Complaint;
use crate::exit::Exit;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file, or standard input for `-`, of at most `limit` octets.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Complaint> {
    let named = format!("cannot read {}", path.display());
    let mut octets = Vec::new();
    let taken = limit.saturating_add(1);
    let read = if path.as_os_str() == "-" {
        io::stdin().lock().take(taken).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(taken).read_to_end(&mut octets))
    };
    read.map_err(|error| Complaint::io(&named, &error))?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > limit {
        return Err(Complaint::new(
            Exit::Usage,
            "input-size",
            format!("{} has more than {limit} octets", path.display()),
            "is it the right file?",
        ));
    }
    Ok(octets)
}

/// Reads text, without the line end that an editor or `echo` leaves behind.
pub(super) fn read_line(path: &Path, limit: u64) -> Result<String, Complaint> {
    let text = String::from_utf8(read(path, limit)?).map_err(|_| {
        Complaint::new(
            Exit::Usage,
            "input-utf8",
            format!("{} is not UTF-8 text", path.display()),
            "is it the right file?",
        )
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
