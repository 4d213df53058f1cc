//! `edgeseal device add --request`: a device asks to be enrolled.

use super::add::judge_same_key;
use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::{DeviceRecord, Registry, state_word};
use crate::render::{Report, big_words};
use edgeseal_trust::enrollment::EnrollmentRequest;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::limits;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::words::Words;
use serde_json::json;
use std::path::Path;

/// What the command line says besides the file.
pub(crate) struct Given<'a> {
    /// Words that the device shows.
    pub(crate) words: Option<&'a str>,
    /// Replace a pending request.
    pub(crate) replace: bool,
    /// Gives a new device its roles, groups and serial.
    pub(crate) dress: &'a dyn Fn(&mut DeviceRecord),
}

/// Adds a device from its request: pending until approved, active at once if the words are given.
///
/// # Errors
/// The request is refused, is for another device or domain, or has other words.
pub(crate) fn run(
    given: &Given<'_>,
    id: &DeviceId,
    path: &Path,
    registry: &mut Registry,
) -> Result<Report> {
    let request = read(path)?;
    judge_addressee(&request, id, registry)?;
    let kid = request.key.id();
    let words = request.words.to_string();
    let is_approved = match given.words {
        Some(shown) => compare(shown, &request.words).map(|()| true)?,
        None => false,
    };
    let state = if is_approved {
        DeviceState::Active
    } else {
        DeviceState::Pending
    };
    let mut device = match registry.devices().get(id) {
        Some(present) if given.replace && present.state == DeviceState::Pending => {
            given.fresh(id, &request)
        }
        Some(present) => {
            let same = judge_same_key(present, kid);
            if present.state == DeviceState::Pending {
                same.map_err(|why| why.hint("a new request of the same device: add --replace"))?;
                present.clone()
            } else {
                same?;
                let state = state_word(present.state);
                let text = format!("{id} is there already, {state}; nothing was changed");
                return Ok(report(text, id, &request, present.state));
            }
        }
        None => given.fresh(id, &request),
    };
    device.state = state;
    device.request_words = (!is_approved).then(|| words.clone());
    registry.put_device(device)?;
    registry.save()?;
    if is_approved {
        let done = match registry.missing_approvals(registry.device(id)?) {
            None => format!("the words match: {id} is active"),
            Some(_) => "the words match".to_owned(),
        };
        let json = json!({ "kid": kid, "words": words });
        return super::settled(registry, id, &done, json);
    }
    let text = format!(
        "{id} is pending. `edgeseal-agent identity request` on the device shows these words:\n\n{}\n\n\
         If it does: edgeseal device approve {id} --words \"{words}\"",
        big_words(&words)
    );
    Ok(report(text, id, &request, state))
}

impl Given<'_> {
    fn fresh(&self, id: &DeviceId, request: &EnrollmentRequest) -> DeviceRecord {
        let key = request.key.clone();
        let mut device = DeviceRecord::new(id.clone(), key, DeviceState::Pending);
        device.serial.clone_from(&request.draft.serial);
        (self.dress)(&mut device);
        device
    }
}

/// Compares words as a person typed them.
///
/// # Errors
/// They are no eight words, or others.
pub(crate) fn compare(shown: &str, words: &Words) -> Result<()> {
    let shown = Words::parse(shown)
        .map_err(|why| CommandError::usage(why.code(), format!("--words: {why}")))?;
    if shown == *words {
        return Ok(());
    }
    let reason = format!("these are not the words of the request, which are: {words}");
    Err(CommandError::no("words-differ", reason).hint(
        "the request is not the device's, or the words were misread: fetch it again from the device",
    ))
}

fn read(path: &Path) -> Result<EnrollmentRequest> {
    let most = limits::REQUEST_OCTETS.saturating_add(2); // its line end
    let octets = input::read(path, most).map_err(|why| CommandError::io("read", path, &why))?;
    EnrollmentRequest::verify(&octets).map_err(|why| {
        let reason = format!("{} is no enrollment request: {why}", path.display());
        CommandError::no(why.code(), reason)
            .hint("make it anew on the device: edgeseal-agent identity request")
    })
}

fn judge_addressee(request: &EnrollmentRequest, id: &DeviceId, registry: &Registry) -> Result<()> {
    let draft = &request.draft;
    if let Some(domain) = draft.domain.as_ref().filter(|d| *d != registry.domain()) {
        let own = registry.domain();
        let reason = format!("the request is for the domain {domain}, this registry is of {own}");
        return Err(CommandError::no("domain", reason).hint("choose the registry with --registry"));
    }
    if let Some(other) = draft.device.as_ref().filter(|device| *device != id) {
        let reason = format!("the request is of the device {other}, not of {id}");
        return Err(CommandError::no("device", reason)
            .hint(format!("edgeseal device add {other} --request FILE")));
    }
    Ok(())
}

fn report(text: String, id: &DeviceId, request: &EnrollmentRequest, state: DeviceState) -> Report {
    let json = json!({
        "device": id,
        "kid": request.key.id(),
        "words": request.words.to_string(),
        "state": state,
    });
    Report::new(text, json)
}
