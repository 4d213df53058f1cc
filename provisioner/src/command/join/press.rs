//! Makes the join files that a verb asks for, one after the other.

use crate::command::Signing;
use crate::command::publish::Signers;
use crate::error::{CommandError, Result};
use crate::keys::{self, PassphraseSource};
use crate::registry::{Registry, TokenRecord};
use edgeseal_trust::document::{Document, Root};
use edgeseal_trust::enrollment::{Broker, JoinDraft, JoinFile, JoinId, Secret};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::time::UnixTime;
use std::collections::BTreeSet;
use std::path::Path;
use zeroize::Zeroizing;

/// For whom one file is.
pub(crate) struct Card {
    pub(crate) device: Option<DeviceId>,
    pub(crate) serial: Option<String>,
}

/// What all files of one run have in common.
pub(crate) struct Terms<'a> {
    pub(crate) roles: &'a [RoleName],
    pub(crate) groups: &'a [GroupName],
    /// Seconds that they can be used.
    pub(crate) expires: u64,
    /// What the devices log in to the broker with.
    pub(crate) username: Option<&'a str>,
    pub(crate) password_file: Option<&'a Path>,
}

/// All that is needed for a file: the root, the broker, a registrar's key, and the time.
pub(crate) struct Press<'a> {
    registry: &'a Registry,
    roles: Vec<RoleName>,
    groups: Vec<GroupName>,
    expires: u64,
    root: Document<Root>,
    broker: Broker,
    signers: Signers,
    now: UnixTime,
}

impl<'a> Press<'a> {
    /// Judges the terms, and opens the key.
    ///
    /// # Errors
    /// A role or group that is not defined, no broker, or no key of a registrar.
    pub(crate) fn new(
        terms: &Terms<'_>,
        signing: &Signing,
        registry: &'a Registry,
        now: UnixTime,
    ) -> Result<Self> {
        for role in terms.roles {
            registry.role(role)?;
        }
        for group in terms.groups {
            registry.judge_group(group)?;
        }
        let root = registry.root()?;
        let signers = Signers::open(signing, root.content())?;
        signers.of(root.content())?;
        Ok(Self {
            registry,
            roles: once_each(terms.roles),
            groups: once_each(terms.groups),
            expires: terms.expires,
            broker: terms.broker(registry)?,
            root,
            signers,
            now,
        })
    }

    /// The registry that remembers the tokens.
    pub(crate) const fn registry(&self) -> &Registry {
        self.registry
    }

    /// The broker that the files name.
    pub(crate) const fn broker(&self) -> &Broker {
        &self.broker
    }

    /// One file, and its token. The token must be in the registry, on disk, before the file is written: a file
    /// that exists counts.
    ///
    /// # Errors
    /// There is no randomness, or a part is refused.
    pub(crate) fn one(&self, card: &Card) -> Result<(TokenRecord, Zeroizing<Vec<u8>>)> {
        let mut seed = Zeroizing::new([0; 32]);
        keys::fill_random(&mut *seed)?;
        let draft = JoinDraft {
            domain: self.registry.domain().clone(),
            id: new_id()?,
            one_time: SigningKey::from_seed(&seed).public().id(),
            device: card.device.clone(),
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            serial: card.serial.clone(),
            issued_at: self.now,
            expires_at: self.now.plus(self.expires),
        };
        let registrar = self.signers.of(self.root.content())?;
        let registrar = registrar.first().ok_or_else(|| {
            CommandError::no("threshold", "no registrar key is here").hint("give --keys DIR")
        })?;
        let token = draft
            .sign(registrar)
            .map_err(|why| CommandError::no(why.code(), format!("no join token: {why}")))?;
        let file = JoinFile::new(self.root.octets(), self.broker.clone(), &token, &seed)
            .map_err(|why| CommandError::no(why.code(), format!("no join file: {why}")))?;
        Ok((TokenRecord::new(draft), file.write()))
    }
}

impl Terms<'_> {
    fn broker(&self, registry: &Registry) -> Result<Broker> {
        let Some(settings) = registry.broker()? else {
            return Err(CommandError::no(
                "no-broker",
                "a join file names the broker to enroll over, and none is set",
            )
            .hint("edgeseal domain broker mqtts://HOST --ca FILE"));
        };
        let password = self
            .password_file
            .map(|file| PassphraseSource::File(file.to_owned()));
        let password = password.map(|file| file.ask("the broker")).transpose()?;
        Ok(Broker {
            url: settings.url,
            ca: settings.ca,
            username: self.username.map(str::to_owned),
            password: password.map(|password| Secret::new(password.to_string())),
        })
    }
}

fn once_each<T: Clone + Ord>(names: &[T]) -> Vec<T> {
    let names: BTreeSet<&T> = names.iter().collect();
    names.into_iter().cloned().collect()
}

/// 128 random bits that no shell or option parser takes for an option.
fn new_id() -> Result<JoinId> {
    loop {
        let mut octets = [0; 16];
        keys::fill_random(&mut octets)?;
        let id = JoinId::from_octets(octets);
        if !id.to_string().starts_with('-') {
            return Ok(id);
        }
    }
}
