//! Which board this is. An identity is bound to it, so that a cloned card does not sign.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::log::Escaped;

/// What tells one machine from another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Board {
    /// Serial number burnt into the board, as the firmware states it. `None` on machines without.
    pub serial: Option<String>,
    /// machine-id(5): 32 lower-case hexadecimal digits. It should not leave the machine.
    pub machine_id: Option<String>,
}

/// The board is not the one that the identity was made on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Mismatch {
    /// Everything that differs. Never empty.
    pub differences: Vec<Difference>,
}

/// One thing that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Which.
    pub field: Field,
    /// As stored beside the identity.
    pub stored: String,
    /// As this machine says; `None`: it does not say.
    pub found: Option<String>,
}

/// A field of [`Board`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// [`Board::machine_id`]
    MachineId,
    /// [`Board::serial`]
    Serial,
}

impl Board {
    /// Reads the board's identity from the file tree below `root` (`/` outside of tests).
    ///
    /// The serial number is looked for in the device tree by both of its names, since sandboxes may
    /// hide one, then in `/proc/cpuinfo`. What is absent, unreadable, not printable ASCII, longer
    /// than 64 characters or all zeros counts as not stated.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let device_tree = DEVICE_TREE_SERIALS
            .iter()
            .find_map(|path| serial(&text(root, path)?));
        Self {
            serial: device_tree.or_else(|| cpuinfo_serial(&text(root, CPUINFO)?)),
            machine_id: text(root, MACHINE_ID).as_deref().and_then(machine_id),
        }
    }

    /// Whether this is the board whose values were stored. What was not stated then is not
    /// compared.
    ///
    /// # Errors
    /// Everything that differs. A value that was stored and is not stated now differs too.
    pub fn matches(&self, stored: &Self) -> Result<(), Mismatch> {
        let fields = [
            (Field::Serial, &stored.serial, &self.serial),
            (Field::MachineId, &stored.machine_id, &self.machine_id),
        ];
        let differences: Vec<Difference> = fields
            .into_iter()
            .filter(|(_, stored, found)| stored.is_some() && stored != found)
            .filter_map(|(field, stored, found)| {
                Some(Difference {
                    field,
                    stored: stored.clone()?,
                    found: found.clone(),
                })
            })
            .collect();
        if differences.is_empty() {
            Ok(())
        } else {
            Err(Mismatch { differences })
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("this is not the board that the identity was made on")?;
        for (index, difference) in self.differences.iter().enumerate() {
            write!(out, "{} {difference}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A machine-id is for local eyes (machine-id(5)): its first digits are enough to tell.
        let (name, shown) = match self.field {
            Field::MachineId => ("machine-id", 8),
            Field::Serial => ("board serial", MAX_SERIAL_CHARS),
        };
        let show = |value: &str| Escaped::new(value.get(..shown).unwrap_or(value)).to_string();
        match &self.found {
            Some(found) => write!(out, "{name} was {}, is {}", show(&self.stored), show(found)),
            None => write!(out, "{name} was {}, cannot be read", show(&self.stored)),
        }
    }
}

fn text(root: &Path, path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(root.join(path))
        .ok()?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// Device tree strings end with NUL.
fn serial(text: &str) -> Option<String> {
    let serial = text.trim_end_matches('\0').trim();
    let plain =
        serial.len() <= MAX_SERIAL_CHARS && serial.bytes().all(|byte| byte.is_ascii_graphic());
    let stated = serial.bytes().any(|byte| byte != b'0');
    (plain && stated).then(|| serial.to_owned())
}

fn cpuinfo_serial(cpuinfo: &str) -> Option<String> {
    cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.trim() == "Serial" {
            serial(value)
        } else {
            None
        }
    })
}

/// Before first boot the file is empty or says `uninitialized`.
fn machine_id(text: &str) -> Option<String> {
    let id = text.trim_end_matches('\n');
    let valid = id.len() == 32
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| id.to_owned())
}

const DEVICE_TREE_SERIALS: [&str; 2] = [
    "proc/device-tree/serial-number",
    "sys/firmware/devicetree/base/serial-number",
];
const CPUINFO: &str = "proc/cpuinfo";
const MACHINE_ID: &str = "etc/machine-id";
/// `cpuinfo` of a large machine is cut off; no board with a serial number has so many processors.
const MAX_FILE_BYTES: u64 = 64 * 1024;
const MAX_SERIAL_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const SERIAL: &str = "10000000abcdef01";
    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn board(serial: Option<&str>, machine_id: Option<&str>) -> Board {
        Board {
            serial: serial.map(str::to_owned),
            machine_id: machine_id.map(str::to_owned),
        }
    }

    #[test]
    fn a_raspberry_pi_is_read_from_each_of_its_places() {
        let cpuinfo = b"processor\t: 0\nSerial\t\t: 10000000abcdef01\nModel\t\t: Raspberry Pi 4\n";
        for (path, content) in [
            ("proc/device-tree/serial-number", &b"10000000abcdef01\0"[..]),
            (
                "sys/firmware/devicetree/base/serial-number",
                &b"10000000abcdef01\0"[..],
            ),
            ("proc/cpuinfo", &cpuinfo[..]),
        ] {
            let root = tree(&[
                (path, content),
                ("etc/machine-id", format!("{ID}\n").as_bytes()),
            ]);
            assert_eq!(
                Board::read(root.path()),
                board(Some(SERIAL), Some(ID)),
                "{path}"
            );
        }
    }

    #[test]
    fn the_device_tree_comes_before_cpuinfo() {
        let root = tree(&[
            ("proc/device-tree/serial-number", b"first\0"),
            ("proc/cpuinfo", b"Serial : second\n"),
        ]);
        assert_eq!(Board::read(root.path()).serial.as_deref(), Some("first"));
    }

    #[test]
    fn values_that_say_nothing_count_as_absent() {
        let long = vec![b'a'; 1_000_000];
        for serial in [
            &b"\0"[..],
            b"",
            b"0000000000000000\0",
            b"\xff\xfe",
            b"a\nb",
            b"a\x1b[0m",
            &long,
        ] {
            let root = tree(&[("proc/device-tree/serial-number", serial)]);
            assert_eq!(
                Board::read(root.path()).serial,
                None,
                "{:?}",
                &serial[..serial.len().min(20)]
            );
        }
        for id in [
            "",
            "uninitialized\n",
            "0123456789ABCDEF0123456789ABCDEF\n",
            "0123",
            "\n",
        ] {
            let root = tree(&[("etc/machine-id", id.as_bytes())]);
            assert_eq!(Board::read(root.path()).machine_id, None, "{id:?}");
        }
        assert_eq!(Board::read(Path::new("/absent")), Board::default());
    }

    #[test]
    fn a_mismatch_names_what_differs() {
        let stored = board(Some(SERIAL), Some(ID));
        assert_eq!(stored.matches(&stored), Ok(()));
        let other = board(Some("10000000abcdef02"), Some(ID));
        let mismatch = other.matches(&stored).unwrap_err();
        assert_eq!(mismatch.differences.len(), 1);
        assert!(
            mismatch
                .to_string()
                .ends_with("board serial was 10000000abcdef01, is 10000000abcdef02")
        );
        let mismatch = board(None, Some(&ID.replace('0', "f")))
            .matches(&stored)
            .unwrap_err();
        assert_eq!(mismatch.differences.len(), 2);
        let text = mismatch.to_string();
        assert!(text.contains("cannot be read"), "{text}");
        assert!(
            !text.contains(ID),
            "a machine-id is not shown whole: {text}"
        );
    }

    #[test]
    fn what_was_not_stored_is_not_compared() {
        assert_eq!(
            board(Some(SERIAL), Some(ID)).matches(&board(None, Some(ID))),
            Ok(())
        );
        assert_eq!(board(Some(SERIAL), None).matches(&Board::default()), Ok(()));
    }
}
