//! Whether a program goes with the processor that it runs on, and how much room there is.

use crate::{Finding, TARGET};

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct MachineFacts {
    /// Machine as the kernel names it (`uname -m`).
    pub machine: String,
    /// Architecture of the system's packages, where dpkg says it.
    pub package_architecture: Option<String>,
    /// Octets of memory that programs can have.
    pub available_octets: Option<u64>,
}

/// A file system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Space {
    /// Its type where a power cut empties it.
    pub volatile: Option<&'static str>,
    /// Whether it is mounted read-only.
    pub read_only: bool,
    /// Octets that are free for everybody.
    pub free_octets: u64,
    /// Files that can still be made; nothing where it does not count them.
    pub free_files: Option<u64>,
}

impl MachineFacts {
    /// Judges whether the program was built for this machine; `package` is the name of its Debian package.
    #[must_use]
    pub fn architecture(&self, package: &str) -> Vec<Finding> {
        let machine = self.machine.as_str();
        let what = format!("built for {TARGET}, on a machine {machine}");
        let repair = |better| format!("sudo apt install ./{package}_VERSION_{better}.deb");
        match fits(TARGET, machine, self.package_architecture.as_deref()) {
            Fit::Well => Finding::ok(what),
            Fit::Slow(better) => Finding::warning(
                format!("{what}: it works, but slower than it need be"),
                repair(better),
            ),
            Fit::Not(better) => Finding::broken(
                format!("{what}: it dies with \"Illegal instruction\""),
                repair(better),
            ),
        }
    }
}

impl Space {
    /// Judges how much can still be written below `path`.
    #[must_use]
    pub fn judge(&self, path: &str) -> Vec<Finding> {
        let free = format!("{} MiB free below {path}", self.free_octets >> 20);
        let repair =
            format!("sudo du -xhd1 / | sort -h | tail; make room on the file system of {path}");
        if self.read_only {
            return Finding::ok("nothing is written there"); // another check says it
        }
        if self.free_files.is_some_and(|files| files < FEW_FILES) {
            return Finding::broken(
                format!("no more files can be made below {path} (inodes)"),
                repair,
            );
        }
        if self.free_octets < TOO_FEW_OCTETS {
            return Finding::broken(free, repair);
        }
        if self.free_octets < FEW_OCTETS {
            return Finding::warning(free, repair);
        }
        Finding::ok(free)
    }
}

/// How a program for one processor goes with another.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Fit {
    /// It does not.
    Not(&'static str),
    /// It works, and the package named is faster.
    Slow(&'static str),
    /// As it should.
    Well,
}

/// `packages` is the architecture of the system's packages, where that is known: a 64-bit kernel
/// often lies under a 32-bit system.
pub(crate) fn fits(target: &str, machine: &str, packages: Option<&str>) -> Fit {
    let arm = target.strip_prefix("arm");
    match (arm, machine) {
        (Some(rest), "armv6l") if rest.starts_with("v7") => Fit::Not("armhf-armv6"),
        (Some(rest), "armv7l" | "armv8l") if !rest.starts_with("v7") => Fit::Slow("armhf"),
        (Some(rest), "aarch64") => match packages {
            Some("arm64") => Fit::Slow("arm64"),
            _ if rest.starts_with("v7") => Fit::Well,
            _ => Fit::Slow("armhf"),
        },
        _ => Fit::Well,
    }
}

/// An update of 100,000 devices needs some 60 MiB beside the old documents.
const FEW_OCTETS: u64 = 128 << 20;
const TOO_FEW_OCTETS: u64 = 8 << 20;
const FEW_FILES: u64 = 64;
