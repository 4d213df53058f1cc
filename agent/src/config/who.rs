//! Users and groups of the system as an entry states them: by name or by number.

use std::ops::RangeInclusive;

use super::entry::{Entry, Field, Refusal};
use super::error::{Place, ProblemCode};
use super::names::{Names, Resolved};
use crate::log::Escaped;

/// `user`, `uid`, `group` and `gid` of an entry as written; names are not looked up yet.
#[derive(Default)]
pub(super) struct Who {
    user: Option<(String, Place)>,
    uid: Option<u32>,
    group: Option<(String, Place)>,
    gid: Option<u32>,
}

impl Who {
    /// Takes one of [`KEYS`]; false for any other.
    pub(super) fn take(&mut self, field: &Field<'_>) -> Result<bool, Refusal> {
        match field.name() {
            "user" => self.user = Some(field.system_name("uid")?),
            "group" => self.group = Some(field.system_name("gid")?),
            "uid" => self.uid = Some(field.number(&IDENTIFIERS)?),
            "gid" => self.gid = Some(field.number(&IDENTIFIERS)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether the entry states none of them.
    pub(super) fn is_nobody(&self) -> bool {
        self.user.is_none() && self.uid.is_none() && self.group.is_none() && self.gid.is_none()
    }

    pub(super) fn collect_names(&self, names: &mut Names) {
        let name = |(name, _): &(String, Place)| name.clone();
        names.users.extend(self.user.as_ref().map(name));
        names.groups.extend(self.group.as_ref().map(name));
    }

    /// The numbers, of which at least one is stated; `whom` is what the entry is called.
    pub(super) fn finish(
        self,
        entry: &Entry,
        whom: &str,
        resolved: &Resolved,
    ) -> Result<(Option<u32>, Option<u32>), Refusal> {
        let one_of = "state one of them";
        if self.user.is_some() && self.uid.is_some() {
            let message = format!("this {whom} states `user` and `uid`");
            return Err(entry.conflict("", message, one_of));
        }
        if self.group.is_some() && self.gid.is_some() {
            let message = format!("this {whom} states `group` and `gid`");
            return Err(entry.conflict("", message, one_of));
        }
        if self.is_nobody() {
            let message = format!("this {whom} says not who it is");
            return Err(entry.conflict("", message, "state `user`, `uid`, `group` or `gid`"));
        }
        let uid = match self.user {
            Some((name, place)) => Some(number(
                resolved.users.get(&name),
                &format!("user `{}` is not in /etc/passwd", Escaped::new(&name)),
                "uid",
                place,
            )?),
            None => self.uid,
        };
        let gid = match self.group {
            Some((name, place)) => Some(number(
                resolved.groups.get(&name),
                &format!("group `{}` is not in /etc/group", Escaped::new(&name)),
                "gid",
                place,
            )?),
            None => self.gid,
        };
        Ok((uid, gid))
    }
}

fn number(found: Option<&u32>, missing: &str, key: &str, place: Place) -> Result<u32, Refusal> {
    found.copied().ok_or_else(|| Refusal {
        code: ProblemCode::UnknownName,
        place,
        message: missing.to_owned(),
        hint: Some(format!("create it, correct the name, or state `{key}`")),
    })
}

/// 2^32 - 1 means "no change" in chown(2) and is nobody.
const IDENTIFIERS: RangeInclusive<u32> = 0..=4_294_967_294;
