//! Reading a registry: everything or nothing, each refusal with file and line.

use super::approvals::Approvals;
use super::lock::Lock;
use super::{Changed, DeviceRecord, DomainFile, GroupsFile, Registry, RolesFile, judge_form};
use crate::error::{CommandError, Result};
use crate::input;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

/// The format that this program reads and writes.
pub(super) const FORMAT: u64 = 1;

pub(super) fn load(dir: &Path, lock: Lock) -> Result<Registry> {
    let domain = read_domain(&dir.join("domain.json"))?;
    let roles_path = dir.join("roles.json");
    let mut roles = BTreeMap::new();
    let file = read_json::<RolesFile>(&roles_path)?;
    for role in file.roles {
        let name = role.name.clone();
        if roles.insert(name.clone(), role).is_some() {
            return Err(corrupt(&roles_path, None, &format!("{name} occurs twice")));
        }
    }
    let groups = read_json::<GroupsFile>(&dir.join("groups.json"))?.groups;
    let mut registry = Registry {
        dir: dir.to_owned(),
        domain,
        roles,
        groups: BTreeSet::from_iter(groups),
        devices: BTreeMap::new(),
        owners: HashMap::new(),
        approvals: Approvals::load(dir, file.approvals)?,
        changed: Changed::default(),
        _lock: lock,
    };
    for bucket in read_buckets(dir) {
        add(&mut registry, bucket)?;
    }
    Ok(registry)
}

pub(super) fn bucket_name(bucket: u8) -> String {
    format!("{bucket:02x}.jsonl")
}

fn read_domain(path: &Path) -> Result<DomainFile> {
    let text = read_text(path)?;
    let value: serde_json::Value = parse_json(path, &text)?;
    let format = value.get("edgeseal_registry").and_then(|v| v.as_u64());
    match format {
        Some(FORMAT) => parse_json(path, &text),
        Some(other) => {
            let reason = format!("{} has format {other}; this is {FORMAT}", path.display());
            Err(CommandError::configuration("registry-format", reason)
                .hint("a newer edgeseal wrote it: install that one"))
        }
        None => Err(corrupt(path, None, "edgeseal_registry is missing")),
    }
}

/// The devices of one file, up to the line that cannot be read.
struct Bucket {
    path: PathBuf,
    devices: Vec<DeviceRecord>,
    end: Result<()>,
}

/// Every file of devices, in order. Reading 100,000 devices is what most verbs spend their time on: every processor helps.
fn read_buckets(dir: &Path) -> Vec<Bucket> {
    let numbers: Vec<u8> = (0..=u8::MAX).collect();
    let helpers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = numbers.len().div_ceil(helpers.max(1));
    std::thread::scope(|scope| {
        let read = |share: &[u8]| -> Vec<Bucket> {
            share
                .iter()
                .map(|number| read_bucket(dir, *number))
                .collect()
        };
        let helpers: Vec<_> = numbers
            .chunks(share)
            .map(|share| scope.spawn(move || read(share)))
            .collect();
        helpers
            .into_iter()
            .flat_map(|helper| helper.join().unwrap_or_else(|why| resume_unwind(why)))
            .collect()
    })
}

fn read_bucket(dir: &Path, bucket: u8) -> Bucket {
    let path = dir.join("devices").join(bucket_name(bucket));
    let mut devices: Vec<DeviceRecord> = Vec::new();
    let end = each_line(&path, FILE_OCTETS, |device: DeviceRecord| {
        if DeviceRecord::bucket_of(&device.id) != bucket {
            return Err(format!("{} belongs into another file", device.id));
        }
        if devices.last().is_some_and(|before| before.id >= device.id) {
            return Err(format!("{} occurs twice or out of order", device.id));
        }
        judge_form(&device).map_err(|why| why.reason)?;
        devices.push(device);
        Ok(())
    });
    Bucket { path, devices, end }
}

fn add(registry: &mut Registry, bucket: Bucket) -> Result<()> {
    for (number, device) in (1_usize..).zip(bucket.devices) {
        let judged = registry.judge_names(&device);
        judged.map_err(|why| corrupt(&bucket.path, Some(number), &why.reason))?;
        for key in &device.keys {
            registry.owners.insert(key.key.id(), device.id.clone());
        }
        registry.devices.insert(device.id.clone(), device);
    }
    bucket.end
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse_json(path, &read_text(path)?)
}

fn parse_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|why| corrupt(path, Some(why.line()), &plain(&why)))
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = read(path, FILE_OCTETS)?;
    String::from_utf8(bytes).map_err(|_| corrupt(path, None, "not UTF-8"))
}

/// Reads a file of at most `limit` octets with one JSON object a line, each of them given to `take`, which says what is wrong with
/// it. A file that is not there has no lines.
pub(super) fn each_line<T: DeserializeOwned>(
    path: &Path,
    limit: usize,
    mut take: impl FnMut(T) -> std::result::Result<(), String>,
) -> Result<()> {
    let Some(bytes) = read_if_there(path, limit)? else {
        return Ok(());
    };
    if bytes.last().is_some_and(|last| *last != b'\n') {
        let lines = bytes.split(|b| *b == b'\n').count();
        return Err(corrupt(path, Some(lines), "the last line is cut off"));
    }
    for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let row = serde_json::from_slice(line).map_err(|why| plain(&why));
        if let Err(what) = row.and_then(&mut take) {
            return Err(corrupt(path, Some(index.saturating_add(1)), &what));
        }
    }
    Ok(())
}

/// Reads a file of the registry of at most `limit` octets.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    input::read(path, limit).map_err(|why| match why.kind() {
        io::ErrorKind::FileTooLarge => corrupt(path, None, &why.to_string()),
        _ => CommandError::io("read", path, &why),
    })
}

/// As [`read`]; nothing where there is none.
pub(super) fn read_if_there(path: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => read(path, limit).map(Some),
    }
}

pub(super) fn corrupt(path: &Path, line: Option<usize>, what: &str) -> CommandError {
    let line = line.map_or(String::new(), |line| format!(":{line}"));
    let reason = format!("{}{line}: {what}", path.display());
    CommandError::configuration("registry-corrupt", reason).hint(
        "restore the file (git checkout, or your backup) or repair the line; \
         nothing was changed",
    )
}

/// What serde says, without its own line and column, which count within one line here.
fn plain(why: &serde_json::Error) -> String {
    let text = why.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_owned()
}

/// Of roles, groups, and a bucket of devices: 250 times what 100,000 devices need.
pub(super) const FILE_OCTETS: usize = 64 << 20;
