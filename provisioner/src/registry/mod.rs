//! The registry: a directory that can live in git. What the operator decided is in it, and what was
//! published last; private keys never are.
//!
//! ```text
//! domain.json            format, trust domain, defaults
//! roles.json groups.json
//! devices/<xx>.jsonl     one device a line, sorted by id; xx: first octet of SHA-256 of the id
//! root/<version>.json    signed roots
//! approvals.jsonl      of roles that several persons give: what was approved, and what waits, one device a line
//! join-tokens.jsonl      one join token a line, sorted by id: what it allows, and who used it
//! pending/               requests that wait for the operator, rejections, counts of refusals
//! published/             manifest.json and shard/<sha256>.json of the last publish, distribution.json: what brokers have of it
//! prepared/              the same of a manifest that waits for signatures
//! broker.json            the broker that carries the documents
//! .backup.json           when this copy was written into a backup last
//! .lock .gitignore .gitattributes
//! ```
//! Every file is replaced at once or not at all. A file that cannot be read is a refusal that names
//! file and line, never an empty registry.

mod approvals;
mod atomic;
mod backed_up;
mod broker_settings;
mod carried;
mod changes;
mod device;
mod history;
mod load;
mod lock;
mod pending;
mod prepared;
mod published;
mod tokens;

pub(crate) use approvals::{
    Ground, HeldBack, Matter, OCTETS as APPROVALS_OCTETS, Progress, Rule, RuleChange,
};
pub(crate) use atomic::{Batch, replace_file, sync_directory};
pub(crate) use backed_up::BackedUp;
pub(crate) use broker_settings::BrokerSettings;
pub(crate) use carried::Carried;
pub(crate) use changes::Changes;
pub(crate) use device::{DeviceRecord, KeyRecord, key_state_word, state_word};
pub(crate) use history::{JournalLine, Place};
pub(crate) use lock::Access;
pub(crate) use pending::{MOST as MOST_WAITING, Pending, PendingRequest};
pub(crate) use tokens::{TokenRecord, TokenUse, Tokens};

use crate::error::{CommandError, Exit, Result};
use approvals::{Approvals, RulesText};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::registry::Role;
use lock::Lock;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// An open registry; the lock is held until it is dropped.
pub(crate) struct Registry {
    dir: PathBuf,
    domain: DomainFile,
    roles: BTreeMap<RoleName, Role>,
    groups: BTreeSet<GroupName>,
    devices: BTreeMap<DeviceId, DeviceRecord>,
    owners: HashMap<KeyId, DeviceId>,
    approvals: Approvals,
    changed: Changed,
    _lock: Lock,
}

/// `domain.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainFile {
    /// Version of the registry's format.
    pub(crate) edgeseal_registry: u64,
    /// The trust domain.
    pub(crate) domain: TrustDomain,
    /// How many days a manifest is valid unless `publish --days` says otherwise.
    pub(crate) manifest_days: u64,
    /// The lowest sequence that was never signed. It is raised, on disk, before a manifest is.
    pub(crate) next_sequence: u64,
    /// How many manifests are kept as they were signed, where somebody chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) history_kept: Option<u32>,
}

#[derive(Default)]
struct Changed {
    roles: bool,
    groups: bool,
    buckets: BTreeSet<u8>,
}

impl Registry {
    /// Makes a registry with its first signed root. `domain.json` is written last: without it the
    /// directory is no registry.
    ///
    /// # Errors
    /// There is one already, or the system refuses.
    pub(crate) fn create(
        dir: &Path,
        domain: &TrustDomain,
        manifest_days: u64,
        root: &[u8],
    ) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|why| CommandError::io("create", dir, &why))?;
        let _lock = Lock::take(dir, Access::Edit)?;
        Self::judge_absent(dir)?;
        let domain = DomainFile {
            edgeseal_registry: load::FORMAT,
            domain: domain.clone(),
            manifest_days,
            next_sequence: 1,
            history_kept: None,
        };
        atomic::write(&dir.join("root"), "1.json", root)?;
        atomic::write(dir, ".gitattributes", b"* -text\n")?; // git changes no line end
        atomic::write(dir, ".gitignore", b".backup.json\n.lock\n.*.tmp\n*.pem\n")?;
        atomic::write(
            dir,
            "roles.json",
            &pretty(&RolesFile {
                roles: Vec::new(),
                approvals: None,
            })?,
        )?;
        atomic::write(
            dir,
            "groups.json",
            &pretty(&GroupsFile { groups: Vec::new() })?,
        )?;
        std::fs::create_dir_all(dir.join("devices"))
            .map_err(|why| CommandError::io("create", dir, &why))?;
        atomic::write(dir, "domain.json", &pretty(&domain)?)
    }

    /// Refuses a directory that holds a registry already.
    ///
    /// # Errors
    /// It does.
    pub(crate) fn judge_absent(dir: &Path) -> Result<()> {
        if !dir.join("domain.json").exists() {
            return Ok(());
        }
        let reason = format!("{} is a registry already", dir.display());
        Err(CommandError::no("registry-exists", reason)
            .hint("choose another directory with --registry; nothing is overwritten"))
    }

    /// Opens a registry and reads all of it.
    ///
    /// # Errors
    /// No registry, another program holds it, an unknown format, or a file that cannot be read,
    /// with its line.
    pub(crate) fn open(dir: &Path, access: Access) -> Result<Self> {
        if !dir.join("domain.json").exists() {
            let reason = format!("{} is no registry", dir.display());
            return Err(
                CommandError::new(Exit::Unavailable, "no-registry", reason).hint(
                    "name it with --registry or EDGESEAL_REGISTRY, or make one: \
                     edgeseal domain init NAME --keys DIR",
                ),
            );
        }
        let lock = Lock::take(dir, access)?;
        load::load(dir, lock)
    }

    /// The trust domain.
    pub(crate) fn domain(&self) -> &TrustDomain {
        &self.domain.domain
    }

    /// How many days a manifest is valid by default.
    pub(crate) fn manifest_days(&self) -> u64 {
        self.domain.manifest_days
    }

    /// The roles by name.
    pub(crate) fn roles(&self) -> &BTreeMap<RoleName, Role> {
        &self.roles
    }

    /// The groups.
    pub(crate) fn groups(&self) -> &BTreeSet<GroupName> {
        &self.groups
    }

    /// The devices by id.
    pub(crate) fn devices(&self) -> &BTreeMap<DeviceId, DeviceRecord> {
        &self.devices
    }

    /// A device.
    ///
    /// # Errors
    /// It is not in the registry.
    pub(crate) fn device(&self, id: &DeviceId) -> Result<&DeviceRecord> {
        self.devices.get(id).ok_or_else(|| {
            CommandError::no("device-unknown", format!("no device {id} in the registry"))
                .hint("edgeseal device list")
        })
    }

    /// The device that has this key.
    pub(crate) fn owner(&self, kid: KeyId) -> Option<&DeviceRecord> {
        self.devices.get(self.owners.get(&kid)?)
    }

    /// A role.
    ///
    /// # Errors
    /// It is not defined.
    pub(crate) fn role(&self, name: &RoleName) -> Result<&Role> {
        self.roles.get(name).ok_or_else(|| {
            CommandError::no("role-unknown", format!("no role {name} in the registry")).hint(
                format!("edgeseal role list, or make it: edgeseal role add {name}"),
            )
        })
    }

    /// Refuses a group that is not defined.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn judge_group(&self, name: &GroupName) -> Result<()> {
        if self.groups.contains(name) {
            return Ok(());
        }
        Err(
            CommandError::no("group-unknown", format!("no group {name} in the registry")).hint(
                format!("edgeseal group list, or make it: edgeseal group add {name}"),
            ),
        )
    }

    /// Adds a device, or replaces it. Nothing is on disk before [`Registry::save`].
    ///
    /// # Errors
    /// Another device has one of its keys, a role or group is not defined, or it has too many of
    /// them.
    pub(crate) fn put_device(&mut self, device: DeviceRecord) -> Result<()> {
        self.judge_device(&device)?;
        for key in self.devices.get(&device.id).iter().flat_map(|d| &d.keys) {
            self.owners.remove(&key.key.id());
        }
        for key in &device.keys {
            self.owners.insert(key.key.id(), device.id.clone());
        }
        let before = self.devices.get(&device.id);
        self.approvals.note(before, &device);
        self.changed
            .buckets
            .insert(DeviceRecord::bucket_of(&device.id));
        self.devices.insert(device.id.clone(), device);
        Ok(())
    }

    /// Adds a role, or replaces it.
    ///
    /// # Errors
    /// More roles than a manifest may have.
    pub(crate) fn put_role(&mut self, role: Role) -> Result<()> {
        if self.roles.get(&role.name) != Some(&role) {
            self.approvals.note_role(&role);
        }
        self.roles.insert(role.name.clone(), role);
        judge_count(self.roles.len(), limits::ROLES, "roles")?;
        self.changed.roles = true;
        Ok(())
    }

    /// Takes a role out.
    pub(crate) fn remove_role(&mut self, name: &RoleName) {
        self.changed.roles |= self.roles.remove(name).is_some();
    }

    /// Adds a group; `false` if it is there already.
    ///
    /// # Errors
    /// More groups than a manifest may have.
    pub(crate) fn add_group(&mut self, name: GroupName) -> Result<bool> {
        let added = self.groups.insert(name);
        judge_count(self.groups.len(), limits::ROLES, "groups")?;
        self.changed.groups |= added;
        Ok(added)
    }

    /// Takes a group out.
    pub(crate) fn remove_group(&mut self, name: &GroupName) {
        self.changed.groups |= self.groups.remove(name);
    }

    /// Writes what changed: approvals before the rules and devices that need them, roles and groups before the devices that
    /// have them.
    ///
    /// # Errors
    /// The system refuses. Each file is then as before or as it should be.
    pub(crate) fn save(&mut self) -> Result<()> {
        if self.approvals.devices_changed {
            atomic::write(&self.dir, approvals::FILE, &self.approvals.lines()?)?;
            self.approvals.devices_changed = false;
            self.changed.roles = true; // it keeps the number of the next decision
        }
        if self.changed.roles {
            let roles = RolesFile {
                roles: self.roles.values().cloned().collect(),
                approvals: self.approvals.rules_text(),
            };
            atomic::write(&self.dir, "roles.json", &pretty(&roles)?)?;
        }
        if self.changed.groups {
            let groups = self.groups.iter().cloned().collect();
            atomic::write(&self.dir, "groups.json", &pretty(&GroupsFile { groups })?)?;
        }
        if !self.changed.buckets.is_empty() {
            let dir = self.dir.join("devices");
            let mut batch = Batch::new(&dir)?;
            for (bucket, lines) in self.changed_lines()? {
                batch.add(&load::bucket_name(bucket), lines.as_bytes())?;
            }
            batch.commit()?;
        }
        self.changed = Changed::default();
        Ok(())
    }

    fn changed_lines(&self) -> Result<BTreeMap<u8, String>> {
        let mut files: BTreeMap<u8, String> = BTreeMap::new();
        for bucket in &self.changed.buckets {
            files.insert(*bucket, String::new());
        }
        for device in self.devices.values() {
            if let Some(lines) = files.get_mut(&DeviceRecord::bucket_of(&device.id)) {
                let line = serde_json::to_string(device).map_err(|why| unwritable(&why))?;
                let _ = writeln!(lines, "{line}"); // a String takes everything
            }
        }
        Ok(files)
    }

    fn judge_device(&self, device: &DeviceRecord) -> Result<()> {
        self.judge_names(device)?;
        judge_form(device)
    }

    /// What a device must be beside the others: its keys are its own, its roles and groups are defined.
    fn judge_names(&self, device: &DeviceRecord) -> Result<()> {
        for key in &device.keys {
            if let Some(owner) = self
                .owners
                .get(&key.key.id())
                .filter(|id| **id != device.id)
            {
                let reason = format!("the key {} belongs to {owner} already", key.key.id());
                return Err(CommandError::no("key-in-use", reason).hint(
                    "two boards with one key were cloned from one card: \
                     `edgeseal-agent identity reset` on one of them makes a new key",
                ));
            }
        }
        for role in &device.roles {
            self.role(role)?;
        }
        for group in &device.groups {
            self.judge_group(group)?;
        }
        Ok(())
    }
}

/// What a device must be by itself.
fn judge_form(device: &DeviceRecord) -> Result<()> {
    let judged = device.entry().check();
    judged.map_err(|why| CommandError::no(why.code(), format!("{}: {why}", device.id)))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RolesFile {
    roles: Vec<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approvals: Option<RulesText>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct GroupsFile {
    groups: Vec<GroupName>,
}

fn judge_count(count: usize, most: usize, what: &str) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(CommandError::no(
        "too-many",
        format!("{count} {what}: the most is {most}"),
    ))
}

fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|why| unwritable(&why))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn unwritable(why: &serde_json::Error) -> CommandError {
    CommandError::new(
        Exit::TemporaryFailure,
        "encoding",
        format!("cannot write as JSON: {why}"),
    )
}
