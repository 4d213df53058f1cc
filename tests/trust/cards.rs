//! Cards as `edgeseal join create` makes them, and the requests of devices that have them.

use crate::operator::{Place, key};
use edgeseal_trust::enrollment::{JoinFile, RequestDraft};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::SigningKey;
use std::path::PathBuf;

/// Makes join files in the directory `out`, and reads them in the order of their names.
pub(crate) fn create(place: &Place, out: &str, more: &str) -> Vec<JoinFile> {
    let line = format!("join create --keys keys --unsynchronized-clock --out {out} --json {more}");
    let made = place.run(&line).json();
    let files = made["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            let path = place.path(out).join(file["file"].as_str().unwrap());
            JoinFile::read(&std::fs::read(path).unwrap()).unwrap()
        })
        .collect()
}

/// The files in a directory that hold a join file.
pub(crate) fn files(place: &Place, out: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.path(out)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    files
}

/// The request of a device that has the card.
pub(crate) fn request(card: &JoinFile, id: &str, key: &SigningKey) -> Vec<u8> {
    let draft = RequestDraft {
        join: Some(card.token.clone()),
        ..plain(id)
    };
    draft.sign_joined(key, &card.one_time_key()).unwrap()
}

/// What a device says of itself.
pub(crate) fn plain(id: &str) -> RequestDraft {
    RequestDraft {
        domain: Some(TrustDomain::parse("farm").unwrap()),
        device: Some(DeviceId::parse(id).unwrap()),
        serial: Some(format!("serial-of-{id}")),
        ..RequestDraft::default()
    }
}

/// The topic that a request for the key `number` goes to.
pub(crate) fn topic(kind: &str, number: u32) -> String {
    format!("edgeseal/farm/{kind}/{}", key(number).public().id())
}
