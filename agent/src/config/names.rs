//! User and group names of this machine, read from the text of `/etc/passwd` and `/etc/group`
//! (passwd(5), group(5)).
//!
//! Directory services (NSS) are not asked: the agent starts before the network. Whoever lives there
//! is named by number.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::files::read_bounded;

/// Names to look up.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    /// User names.
    pub users: BTreeSet<String>,
    /// Group names.
    pub groups: BTreeSet<String>,
}

/// The numbers of the names that were found. A name that is not here is unknown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resolved {
    /// Numbers by user name.
    pub users: BTreeMap<String, u32>,
    /// Numbers by group name.
    pub groups: BTreeMap<String, u32>,
}

/// The text of the two files.
#[derive(Clone, Debug, Default)]
pub struct NameDatabase {
    /// Content of `/etc/passwd`.
    pub passwd: String,
    /// Content of `/etc/group`.
    pub group: String,
}

impl NameDatabase {
    /// Reads this machine's files. One that cannot be read counts as empty: its names are then
    /// unknown, which is reported by name.
    #[must_use]
    pub fn of_system() -> Self {
        let text = |path: &str| {
            read_bounded(Path::new(path), MAX_DATABASE_BYTES)
                .ok()
                .flatten()
                .map_or_else(String::new, |bytes| {
                    String::from_utf8_lossy(&bytes).into_owned()
                })
        };
        Self {
            passwd: text("/etc/passwd"),
            group: text("/etc/group"),
        }
    }

    /// The users that the group lists as its members. Those whose primary group it is are not among
    /// them: the kernel says that of a process.
    #[must_use]
    pub fn members(&self, gid: u32) -> BTreeSet<u32> {
        let number = |text: &str| text.parse::<u32>().ok();
        let listed: BTreeSet<&str> = self
            .group
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .filter_map(|fields| match fields.as_slice() {
                [_, _, id, users] if number(id) == Some(gid) => Some(*users),
                _ => None,
            })
            .flat_map(|users| users.split(','))
            .collect();
        self.passwd
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                let uid = number(fields.nth(1)?)?;
                listed.contains(name).then_some(uid)
            })
            .collect()
    }
}

/// Looks names up in the text of `/etc/passwd` and `/etc/group`. Lines that are not entries are
/// passed over; the first of two entries of one name counts, as in getpwnam(3).
#[must_use]
pub fn resolve(names: &Names, passwd_text: &str, group_text: &str) -> Resolved {
    Resolved {
        users: numbers(&names.users, passwd_text),
        groups: numbers(&names.groups, group_text),
    }
}

/// Both files: name, password, number, separated by colons.
fn numbers(wanted: &BTreeSet<String>, text: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if let (true, Ok(number)) = (wanted.contains(name), number.parse()) {
            found.entry(name.to_owned()).or_insert(number);
        }
    }
    found
}

const MAX_DATABASE_BYTES: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(users: &[&str], groups: &[&str]) -> Names {
        let own = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Names {
            users: own(users),
            groups: own(groups),
        }
    }

    #[test]
    fn names_become_numbers() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\npi:x:7:7::/:/x\n";
        let group = "root:x:0:\ndialout:x:20:pi\n";
        let found = resolve(
            &wanted(&["pi", "root", "nobody-here"], &["dialout"]),
            passwd,
            group,
        );
        assert_eq!(
            found.users,
            BTreeMap::from([("pi".to_owned(), 1000), ("root".to_owned(), 0)])
        );
        assert_eq!(found.groups, BTreeMap::from([("dialout".to_owned(), 20)]));
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let passwd = "\n:::\npi\npi:x\npi:x:\npi:x:-1:0\npi:x:4294967296:0\n+@netgroup\npi:x:5:5\n";
        assert_eq!(
            resolve(&wanted(&["pi"], &[]), passwd, "").users.get("pi"),
            Some(&5)
        );
    }
}
