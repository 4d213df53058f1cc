//! What both programs look at: kernel, packages, service manager, files. Nothing is changed.

use crate::{MachineFacts, Space};
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// Processor, packages and memory.
#[must_use]
pub fn machine() -> MachineFacts {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok());
    MachineFacts {
        machine: rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned(),
        package_architecture: said("dpkg", &["--print-architecture"])
            .map(|text| text.trim().to_owned()),
        available_octets: available.map(|count: u64| count.saturating_mul(1_024)),
    }
}

/// The file system that `path` lies on, where the kernel says it; whether a power cut empties it is left open.
#[must_use]
pub fn space(path: &Path) -> Option<Space> {
    let found = statvfs(path).ok()?;
    Some(Space {
        volatile: None,
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        free_octets: found.f_bavail.saturating_mul(found.f_frsize),
        free_files: (found.f_files > 0).then_some(found.f_favail),
    })
}

/// The time service that runs, by what each leaves below `/run` while it does.
#[must_use]
pub fn time_service(root: &Path) -> Option<&'static str> {
    let found = TIME_SERVICES
        .iter()
        .find(|(_, path)| root.join(path).exists());
    found.map(|(name, _)| *name)
}

/// Standard output of a program that is part of the system; nothing where it fails.
#[must_use]
pub fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// The last lines of a unit's log; none where there is no journal or this user may not see it.
#[must_use]
pub fn journal(unit: &str) -> Vec<String> {
    let arguments = ["-u", unit, "-n", "200", "--no-pager", "-o", "short-iso"];
    let text = said("journalctl", &arguments).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

/// Permission bits, owner, size and name of each file; nothing where the directory may not be seen.
#[must_use]
pub fn listing(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let lines = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let name = entry.file_name();
        Some(format!(
            "{:04o} {} {} {}",
            metadata.mode() & 0o7777,
            metadata.uid(),
            metadata.len(),
            name.to_string_lossy()
        ))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// Writes a report to a new file that nobody else may read.
///
/// # Errors
/// The file exists, or the system refuses.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut fresh = OpenOptions::new();
    fresh.write(true).create_new(true).mode(0o600);
    fresh.open(path)?.write_all(text.as_bytes())
}

const TIME_SERVICES: &[(&str, &str)] = &[
    ("systemd-timesyncd", "run/systemd/timesync"),
    ("chrony", "run/chrony"),
    ("ntpsec", "run/ntpsec"),
    ("ntpd-rs", "run/ntpd-rs"),
    ("ntpd", "run/ntpd.pid"),
];
