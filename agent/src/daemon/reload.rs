//! SIGHUP: the new configuration as a whole, or the old one.

use super::start::engine_settings;
use crate::api::{Settings, Shared};
use crate::config::{self, Config, Location, NameDatabase};
use crate::gateway::link::Gateway;
use crate::log::LogHandle;
use crate::notify;
use crate::trust_link::LinkSettings;
use rustix::process::geteuid;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Reads the configuration again when asked to.
pub(super) struct Reloader {
    location: Location,
    config: Config,
    log: LogHandle,
    shared: Arc<Shared>,
    gateway: Arc<Gateway>,
    link: watch::Sender<LinkSettings>,
}

impl Reloader {
    pub(super) fn new(
        location: Location,
        config: Config,
        log: LogHandle,
        shared: Arc<Shared>,
        gateway: Arc<Gateway>,
        link: watch::Sender<LinkSettings>,
    ) -> Self {
        Self {
            location,
            config,
            log,
            shared,
            gateway,
            link,
        }
    }

    /// Takes over what is new, if all of it is right; else keeps the old configuration and says so.
    pub(super) fn reload(&mut self) {
        notify::reloading();
        let agent = self.shared.agent();
        let loaded = match config::load(&self.location) {
            Ok(loaded) => loaded,
            Err(refusal) => {
                for problem in &refusal.problems {
                    error!("{problem}");
                }
                return keep_the_old();
            }
        };
        // What can still fail comes first.
        if let Err(refusal) = self.gateway.reload(&loaded.config.gateway) {
            error!(code = refusal.code(), "{refusal}");
            return keep_the_old();
        }
        self.warn_of_restart(&loaded.config);
        self.log.set_level(loaded.config.log.level);
        agent.set_settings(engine_settings(&loaded.config));
        let names = NameDatabase::of_system();
        let settings = Settings::new(&loaded.config.api, geteuid().as_raw(), &names);
        self.shared.set_settings(settings);
        let link = LinkSettings::of(&loaded.config);
        self.link.send_if_modified(|old| {
            let is_new = *old != link;
            *old = link;
            is_new
        });
        self.config = loaded.config;
        info!("the configuration was reloaded");
        notify::ready(&agent.summary());
    }

    pub(super) fn log_suppressed(&self) {
        self.shared.log_suppressed();
    }

    /// What was opened at the start is not opened again.
    fn warn_of_restart(&self, new: &Config) {
        let old = &self.config;
        let socket = |config: &Config| {
            (
                config.api_socket(),
                config.api.socket_mode,
                config.api.socket_group.clone(),
            )
        };
        for (section, changed) in [
            ("[agent]", old.agent != new.agent),
            ("socket of [api]", socket(old) != socket(new)),
            ("[peers]", old.peers != new.peers),
            ("[replay]", old.replay != new.replay),
            ("[enroll]", old.enroll != new.enroll),
            ("format of [log]", old.log.format != new.log.format),
        ] {
            if changed {
                warn!("{section} has changed: that takes effect at the next start");
            }
        }
    }
}

fn keep_the_old() {
    error!("the new configuration is not used: the old one stays in force");
    notify::ready("reload refused: the old configuration stays in force");
}
