//! The edge of the doctor: files, service manager, broker. Nothing is changed, and everything ends: each wait has a limit.

use super::facts::{
    ApprovalsFacts, BrokerFacts, Facts, KeyFacts, KeysFacts, PlaceFacts, PreparedFacts,
    RegistryFacts, UnitFacts, Unpublished, WaitingFacts,
};
use crate::clock;
use crate::command::fleet::{Glance, Onlooker};
use crate::command::publish::{self, Fleet, changed_devices};
use crate::command::status::tables_changed;
use crate::command::{Reach, Signing, history, reach};
use crate::distribution::{self, Expected};
use crate::error::{CommandError, Result};
use crate::keys::{self, KeyFile, PassphraseSource, Purpose};
use crate::mqtt::{Endpoint, MqttError, Stage};
use crate::registry::{Access, MOST_WAITING, Registry};
use edgeseal_doctor::look;
use edgeseal_trust::document::{Document, Manifest};
use edgeseal_trust::registry::DeviceState;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Looks at the operator's side of a domain.
///
/// # Errors
/// The system gives no event queue.
pub(crate) fn gather(dir: &Path, signing: &Signing, reach: &Reach) -> Result<Facts> {
    let (registry, asked) = match Registry::open(dir, Access::Read) {
        Ok(registry) => (Ok(read(&registry)), Asked::of(&registry, reach)),
        Err(why) => (Err(why), Err(BrokerFacts::Unseen)),
    };
    // The registry is closed by now: who waits for a broker must keep nobody from working.
    let (broker, fleet) = match asked {
        Ok(asked) => distribution::runtime()?.block_on(asked.ask()),
        Err(none) => (none, None),
    };
    Ok(Facts {
        clock: clock::read(),
        unsynchronized_clock: signing.unsynchronized_clock,
        place: place(dir),
        registry,
        keys: signing.is_given().then(|| find_keys(dir, signing)),
        broker,
        fleet,
        units: units(),
        machine: look::machine(),
    })
}

/// Units of the operator's package.
pub(super) const UNITS: [&str; 5] = [
    "edgeseal-refresh.service",
    "edgeseal-refresh.timer",
    "edgeseal-registrar.service",
    "edgeseal-status.service",
    "edgeseal-status.timer",
];

fn read(registry: &Registry) -> RegistryFacts {
    let root = registry.root().map(|root| root.content().clone());
    let last = registry.manifest();
    let last = last.map(|last| last.map(|last| last.content().clone()));
    let tokens = registry.tokens();
    RegistryFacts {
        domain: registry.domain().clone(),
        devices: registry.devices().len(),
        chain: chain(registry),
        root,
        last,
        whole: whole(registry),
        history: history::problems(registry),
        unpublished: unpublished(registry),
        prepared: prepared(registry),
        waiting: waiting(registry),
        approvals: approvals(registry),
        tokens: tokens.map(|tokens| tokens.iter().cloned().collect()),
        backed_up: registry.backed_up(),
    }
}

/// Each root by itself was judged when it was read.
fn chain(registry: &Registry) -> Result<()> {
    let roots = registry.roots()?;
    for pair in roots.windows(2) {
        let [before, next] = pair else { continue };
        next.verify(&before.content().root).map_err(|why| {
            let version = next.content().version;
            let reason = format!("root version {version} does not follow the one before it: {why}");
            CommandError::configuration("root-chain", reason).hint(RESTORE_ROOTS)
        })?;
    }
    Ok(())
}

fn whole(registry: &Registry) -> Result<()> {
    let Some(last) = registry.manifest()? else {
        return Ok(());
    };
    let content = last.content();
    let refused = |why: &str| {
        let sequence = content.sequence;
        CommandError::configuration("published", format!("sequence {sequence}: {why}"))
            .hint(RESTORE_PUBLISHED)
    };
    let roots = registry.roots()?;
    let mut roots = roots.iter().map(Document::content);
    let root = roots.find(|root| root.version == content.root_version);
    let root = root.ok_or_else(|| refused("there is no such root"))?;
    last.verify(&root.registrar)
        .map_err(|why| refused(&why.to_string()))?;
    let lost = content
        .shards
        .iter()
        .filter(|digest| !registry.has_shard(**digest));
    match lost.count() {
        0 => Ok(()),
        lost => Err(refused(&format!(
            "{lost} of its shards are missing or damaged"
        ))),
    }
}

fn unpublished(registry: &Registry) -> Result<Unpublished> {
    let (root, last) = (registry.root()?, registry.manifest()?);
    let last = last.as_ref().map(Document::content);
    let fleet = Fleet::of(registry, last.map_or(1, Manifest::shard_count))?;
    let (devices, mut lost) = changed_devices(registry, &fleet, last)?;
    lost.retain(|id| !registry.devices().contains_key(id));
    let tables = tables_changed(registry, root.content(), last);
    Ok(Unpublished {
        unapproved: fleet.approvals_lost(registry, last)?,
        devices,
        lost,
        tables,
    })
}

fn prepared(registry: &Registry) -> Result<Option<PreparedFacts>> {
    let Some((path, document)) = registry.prepared()? else {
        return Ok(None);
    };
    let last = registry.manifest()?;
    let shards = last.map_or(1, |last| last.content().shard_count());
    let next = publish::prepared(registry, &Fleet::of(registry, shards)?)?;
    Ok(Some(PreparedFacts {
        path,
        sequence: document.content().sequence,
        next: next.map(|(next, _)| next),
    }))
}

fn approvals(registry: &Registry) -> ApprovalsFacts {
    let rules = registry.roles().keys();
    let rules = rules.filter_map(|name| Some((name.clone(), registry.rule(name)?.approvals)));
    ApprovalsFacts {
        waiting: registry.approvals_waiting().len(),
        strictest: rules.max_by_key(|(_, approvals)| *approvals),
    }
}

fn waiting(registry: &Registry) -> Result<WaitingFacts> {
    let pending = registry.pending()?;
    let by_hand = registry.devices().values();
    let by_hand =
        by_hand.filter(|device| device.state == DeviceState::Pending && !device.is_expected());
    Ok(WaitingFacts {
        requests: pending.iter().len().saturating_add(by_hand.count()),
        most: MOST_WAITING,
        since: pending.iter().map(|request| request.since).min(),
    })
}

fn place(dir: &Path) -> PlaceFacts {
    let mut found = PlaceFacts {
        dir: dir.to_owned(),
        open: Vec::new(),
        keys: Vec::new(),
        space: look::space(dir),
        is_in_git: is_in_git(dir),
    };
    walk(dir, &mut found);
    found
}

/// Everything of a registry lies two directories deep at most; links are not followed.
fn walk(path: &Path, found: &mut PlaceFacts) {
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    if metadata.file_type().is_symlink() {
        return;
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        found.open.push(path.to_owned());
    }
    if path.extension().is_some_and(|extension| extension == "pem") {
        found.keys.push(path.to_owned());
    }
    let is_git = path.file_name().is_some_and(|name| name == ".git");
    if metadata.is_dir() && !is_git {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries {
            walk(&entry.path(), found);
        }
    }
}

fn is_in_git(dir: &Path) -> bool {
    let real = dir.canonicalize();
    real.is_ok_and(|real| real.ancestors().any(|above| above.join(".git").exists()))
}

fn find_keys(registry: &Path, signing: &Signing) -> KeysFacts {
    let mut place = Ok(());
    for dir in &signing.keys {
        place = place.and_then(|()| keys::judge_place(dir, registry));
    }
    let found = keys::find(&signing.keys, Purpose::Registrar);
    KeysFacts {
        dirs: signing.keys.clone(),
        place,
        registrar: found.map(|paths| {
            let each = paths.into_iter();
            each.map(|path| look_at_key(path, signing)).collect()
        }),
        root: keys::find(&signing.keys, Purpose::Root).unwrap_or_default(),
    }
}

fn look_at_key(path: PathBuf, signing: &Signing) -> KeyFacts {
    let file = KeyFile::read(&path);
    let kid = file.as_ref().ok().and_then(|file| {
        let passphrase = match (file.is_encrypted(), &signing.passphrase_file) {
            (false, _) => Ok(String::new().into()),
            (true, Some(file)) => PassphraseSource::File(file.clone()).ask("the keys"),
            (true, None) => return None,
        };
        let key = passphrase.and_then(|passphrase| file.open(&passphrase));
        Some(key.map(|key| key.public().id()))
    });
    KeyFacts {
        path,
        is_encrypted: file.map(|file| file.is_encrypted()),
        kid,
    }
}

/// What is asked of a broker, once the registry is closed.
struct Asked {
    endpoint: Endpoint,
    expected: Expected,
    onlooker: Onlooker,
}

impl Asked {
    /// Why there is none to ask, otherwise.
    fn of(registry: &Registry, reach: &Reach) -> std::result::Result<Self, BrokerFacts> {
        let endpoint = reach.endpoint(registry).map_err(BrokerFacts::Unusable)?;
        Ok(Self {
            endpoint: endpoint.ok_or(BrokerFacts::NotSet)?,
            expected: Expected::of(registry).map_err(BrokerFacts::Unusable)?,
            onlooker: Onlooker::of(registry).map_err(BrokerFacts::Unusable)?,
        })
    }

    async fn ask(self) -> (BrokerFacts, Option<Result<Glance>>) {
        let url = self.endpoint.url();
        match self.expected.compare(&self.endpoint).await {
            Ok(standing) => {
                let glance = self.onlooker.glance(self.endpoint).await;
                let standing = Ok(standing);
                (BrokerFacts::Asked { url, standing }, Some(glance))
            }
            Err(why) => {
                let standing = Err((stage_of(&why), reach::failed(&why)));
                (BrokerFacts::Asked { url, standing }, None)
            }
        }
    }
}

const fn stage_of(why: &MqttError) -> Stage {
    match why {
        MqttError::Connect { stage, .. } => *stage,
        MqttError::Address(_) => Stage::Address,
        MqttError::Authorities { .. } => Stage::Tls,
        MqttError::Refused { .. } => Stage::Login,
        MqttError::Ended(_) => Stage::Link,
    }
}

fn units() -> Option<Vec<UnitFacts>> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let state = |name: &'static str| {
        let arguments = [
            "show",
            name,
            "--no-pager",
            "--value",
            "--property=ActiveState",
        ];
        let state = look::said("systemctl", &arguments)?.trim().to_owned();
        Some(UnitFacts { name, state })
    };
    Some(UNITS.into_iter().filter_map(state).collect())
}

pub(super) const RESTORE_ROOTS: &str =
    "restore root/ (git checkout, or your backup), then edgeseal root show";
pub(super) const RESTORE_PUBLISHED: &str =
    "restore published/ (git checkout, or your backup), or edgeseal publish --keys DIR";
