//! `edgeseal device list`.

use crate::command::Context;
use crate::error::Result;
use crate::registry::{Access, DeviceRecord, state_word};
use crate::render::Report;
use clap::ValueEnum;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::registry::DeviceState;
use serde_json::json;
use std::fmt::Write as _;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  edgeseal device list --state pending\n  \
    edgeseal device list --role sensor --json")]
pub(crate) struct Args {
    /// Only devices in this state
    #[arg(long)]
    state: Option<State>,
    /// Only devices that have this role
    #[arg(long, value_parser = RoleName::parse)]
    role: Option<RoleName>,
    /// Only devices that are in this group
    #[arg(long, value_parser = GroupName::parse)]
    group: Option<GroupName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    Active,
    Pending,
    Revoked,
    Suspended,
}

/// Shows devices: id, state, roles, groups.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let held = registry.held_back()?;
    let devices: Vec<&DeviceRecord> = registry
        .devices()
        .values()
        .filter(|device| args.matches(device, held.state(device)))
        .collect();
    let width = devices.iter().map(|device| device.id.as_str().len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for device in &devices {
        let id = device.id.as_str();
        let state = state_word(held.state(device));
        let _ = write!(text, "{id:width$}  {state:9}");
        for role in &device.roles {
            let _ = write!(text, " {role}");
        }
        for group in &device.groups {
            let _ = write!(text, " group:{group}");
        }
        if held.of(&device.id).is_some() {
            text.push_str(" (waits for approvals)");
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "{} of {} devices",
        devices.len(),
        registry.devices().len()
    );
    let waiting = devices.iter().map(|device| &device.id);
    let waiting: Vec<&DeviceId> = waiting.filter(|id| held.of(id).is_some()).collect();
    Ok(Report::new(
        text,
        json!({ "devices": devices, "waiting_for_approvals": waiting }),
    ))
}

impl Args {
    fn matches(&self, device: &DeviceRecord, published: DeviceState) -> bool {
        let state = self.state.is_none_or(|state| state.wanted() == published);
        let role = self
            .role
            .as_ref()
            .is_none_or(|role| device.roles.contains(role));
        let group = self.group.as_ref();
        state && role && group.is_none_or(|group| device.groups.contains(group))
    }
}

impl State {
    const fn wanted(self) -> DeviceState {
        match self {
            Self::Active => DeviceState::Active,
            Self::Pending => DeviceState::Pending,
            Self::Revoked => DeviceState::Revoked,
            Self::Suspended => DeviceState::Suspended,
        }
    }
}
