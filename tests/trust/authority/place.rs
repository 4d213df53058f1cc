//! A directory with a registry, keys and devices, and both programs run in it.

use crate::operator;
use crate::process::agent_program;
use edgeseal_trust::key::SigningKey;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

pub(crate) use operator::Outcome;

/// A working directory of its own; `pass` in it holds the passphrase of the root keys.
pub(crate) struct Place(operator::Place);

impl Deref for Place {
    type Target = operator::Place;

    fn deref(&self) -> &operator::Place {
        &self.0
    }
}

impl Place {
    /// A domain `farm`; the registrar keys need no passphrase.
    pub(crate) fn farm(options: &str) -> Self {
        Self(operator::Place::farm_with(options))
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Moves a key file into a directory of its own.
    pub(crate) fn move_key(&self, name: &str, to: &str) {
        std::fs::create_dir_all(self.path(to)).unwrap();
        let target = self.path(to).join(Path::new(name).file_name().unwrap());
        std::fs::rename(self.path(name), target).unwrap();
    }

    /// The operator's program with arguments parted by spaces, ready to be started.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.0.command(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// The agent's program with the configuration of `device`.
    pub(crate) fn agent(&self, device: &str, line: &str) -> Outcome {
        let mut command = Command::new(agent_program());
        command.args(["--config", &format!("{device}.toml")]);
        self.ended(command.args(line.split_whitespace()))
    }

    /// Makes an agent with a key of its own.
    pub(crate) fn device(&self, name: &str) {
        let at = |part: &str| self.path(&format!("{name}-{part}")).display().to_string();
        let config = format!(
            "[agent]\nstate_directory = \"{}\"\nruntime_directory = \"{}\"\n\
             dangerous_volatile_state = true\n[clock]\nunsynchronized = \"allow\"\n",
            at("state"),
            at("run")
        );
        self.write(&format!("{name}.toml"), config);
        self.agent(name, "init").succeeded();
    }

    /// Enrolls it; published is nothing yet.
    pub(crate) fn enroll(&self, name: &str) {
        self.device(name);
        self.agent(name, &format!("identity request --output {name}.request"))
            .succeeded();
        self.run(&format!("device add {name} --request {name}.request"))
            .succeeded();
        self.run(&format!("device approve {name} --yes"))
            .succeeded();
    }

    /// Adds a device by its public key.
    pub(crate) fn jwk_device(&self, name: &str, seed: u8) {
        self.write_jwk("jwk", &SigningKey::from_seed(&[seed; 32]));
        self.run(&format!("device add {name} --jwk jwk"))
            .succeeded();
    }

    /// Signs the next manifest and gives the bundle.
    pub(crate) fn publish(&self, options: &str) -> Vec<u8> {
        self.run(&format!(
            "publish --keys keys --unsynchronized-clock --to bundle {options}"
        ))
        .succeeded();
        self.read("bundle")
    }

    /// The key in a file without a passphrase.
    pub(crate) fn key(&self, name: &str) -> SigningKey {
        let pem = self.0.read(name);
        SigningKey::from_pkcs8_pem(&pem).unwrap()
    }
}
