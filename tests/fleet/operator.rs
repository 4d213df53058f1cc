//! The operator's side, by the real commands.

use edgeseal_trust::document::BundleReader;
use edgeseal_trust::key::{SigningKey, public_jwk};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Registry and keys of the domain `farm` in one directory.
pub(crate) struct Operator {
    place: PathBuf,
    /// What its commands are given to live by.
    ways: Box<dyn Fn(&mut Command)>,
}

impl Operator {
    /// A domain with the devices `d0`, `d1` and so on, whose keys are [`key`].
    pub(crate) fn found(place: &Path, devices: u32) -> Self {
        fs::create_dir_all(place).unwrap();
        let operator = Self {
            place: place.to_owned(),
            ways: Box::new(|_| {}),
        };
        operator.run("domain init farm --demo --no-passphrase --keys keys");
        operator.run("role add node");
        operator.run("role grant node --publish site/{device}/# --audience domain --retained 1d --lifetime 12h");
        let mut csv = "id,x\n".to_owned();
        for number in 0..devices {
            let jwk = serde_json::to_value(public_jwk(key(number).public())).unwrap();
            csv.push_str(&format!("d{number},{}\n", jwk["x"].as_str().unwrap()));
        }
        fs::write(place.join("fleet.csv"), csv).unwrap();
        operator.run("device add --csv fleet.csv --role node");
        operator
    }

    /// Publishes into the file `bundle`; gives the words of the first root.
    pub(crate) fn publish_file(&self) -> String {
        self.signed("publish --to bundle");
        edgeseal_trust::words::Words::of_root(&self.root_of_bundle()).to_string()
    }

    /// The first root document.
    pub(crate) fn first_root(&self) -> Vec<u8> {
        self.signed("publish --to bundle");
        self.root_of_bundle()
    }

    fn root_of_bundle(&self) -> Vec<u8> {
        let bundle = fs::read(self.place.join("bundle")).unwrap();
        let bundle = BundleReader::open(&bundle[..]).unwrap();
        bundle.roots().next().unwrap().to_vec()
    }

    /// Publishes on the broker; gives root version and sequence.
    pub(crate) fn publish(&self, port: u16) -> (u64, u64) {
        let line = format!("publish --json --to mqtt://127.0.0.1:{port}");
        let published: Value = serde_json::from_slice(&self.signed(&line)).unwrap();
        (
            published["root_version"].as_u64().unwrap(),
            published["sequence"].as_u64().unwrap(),
        )
    }

    /// Takes what waits at the broker; gives how many devices have another key by it.
    pub(crate) fn fetch_rotations(&self) -> u64 {
        let fetched = self.run("registrar fetch --json --unsynchronized-clock");
        let fetched: Value = serde_json::from_slice(&fetched).unwrap();
        let rotated = &fetched["account"]["decisions"]["rotated"];
        rotated.as_u64().unwrap_or(0)
    }

    /// The states of a device's keys, the oldest first.
    pub(crate) fn key_states(&self, device: &str) -> Vec<String> {
        let shown = self.run(&format!("device show {device} --json"));
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        let keys = shown["device"]["keys"].as_array().unwrap().iter();
        keys.map(|key| key["state"].as_str().unwrap().to_owned())
            .collect()
    }

    /// From now on its commands live by another clock, say.
    pub(crate) fn live_by(&mut self, ways: impl Fn(&mut Command) + 'static) {
        self.ways = Box::new(ways);
    }

    /// The join files in `cards`.
    pub(crate) fn join_files(&self) -> Vec<PathBuf> {
        let mut open = vec![self.place.join("cards")];
        let mut files = Vec::new();
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.extension() {
                    _ if path.is_dir() => open.push(path),
                    Some(end) if end == "json" => files.push(path),
                    _ => {}
                }
            }
        }
        files
    }

    /// The registrar, at work.
    pub(crate) fn serve(&self) -> Child {
        let log = fs::File::create(self.place.join("serve.log")).unwrap();
        let mut command = self.command("registrar serve --keys keys --unsynchronized-clock");
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// A verb that signs.
    pub(crate) fn signed(&self, line: &str) -> Vec<u8> {
        self.run(&format!("{line} --keys keys --unsynchronized-clock"))
    }

    /// Another registrar key, by the next root.
    pub(crate) fn rotate_registrar(&self) {
        self.signed("registrar rotate --yes --no-passphrase");
    }

    /// A verb, its words parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Vec<u8> {
        let output = self.command(line).output().unwrap();
        assert!(
            output.status.success(),
            "{line}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgeseal"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EDGESEAL_") {
                command.env_remove(&name);
            }
        }
        (self.ways)(&mut command);
        command
            .args(["--registry", "registry"])
            .args(line.split(' '))
            .current_dir(&self.place)
            .stdin(Stdio::null());
        command
    }
}

/// The key of the device with this number.
pub(crate) fn key(number: u32) -> SigningKey {
    let mut seed = [1; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(&seed)
}
