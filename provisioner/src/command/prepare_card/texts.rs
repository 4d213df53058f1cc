//! What is written onto a card beside the join file.

use super::Args;
use crate::command::duration;
use edgeseal_trust::enrollment::{Broker, JoinId};

/// Installs what lies beside it; run at first boot.
pub(super) const INSTALL: &str = include_str!("../../../../packages/examples/install.sh");
/// What cloud-init reads.
pub(super) const USER_DATA: &str = include_str!("../../../../packages/examples/user-data");
/// Its part that belongs into a user-data that is there already.
pub(super) const USER_DATA_LINES: &str = "runcmd:\n  - [sh, /boot/firmware/edgeseal/install.sh]\n";

/// For whoever finds the card. Lines end as every system likes them.
pub(super) fn readme(args: &Args, id: &JoinId) -> Vec<u8> {
    let text = format!(
        "This card is for the device {device}.\n\n\
         Put it into the board and switch on. The device makes its key, enrolls, and deletes join.json from this folder.\n\
         How that went is written into edgeseal-result.txt here: put the card back into a computer and read it.\n\n\
         join.json enrolls one device, once, within {expires} of its making. Whoever has it can do that: do not copy this\n\
         card, and do not hand it on. Lost it? The operator takes it back: edgeseal join revoke {id}\n\n\
         install.sh is run at first boot by cloud-init (user-data) or firstrun.sh: it installs the package\n\
         edgeseal-agent_*.deb of this folder where the agent is not installed, and agent.toml where there is one.\n",
        device = args.device,
        expires = duration::show(args.expires),
    );
    text.replace('\n', "\r\n").into_bytes()
}

/// A gateway to the broker of the join file.
pub(super) fn agent_config(broker: &Broker, topics: &[String]) -> Vec<u8> {
    let topics: Vec<String> = topics.iter().map(|topic| quoted(topic)).collect();
    let ca_file = match broker.ca {
        Some(_) => "ca_file = \"/etc/edgeseal/broker-ca.pem\"\n",
        None => "",
    };
    format!(
        "# Made by edgeseal prepare-card; installed as /etc/edgeseal/config.d/10-card.toml.\n\
         # After a change there: edgeseal-agent config check && sudo systemctl reload edgeseal-agent\n\n\
         [[gateway.upstream]]\nurl = {url}\n{ca_file}\
         # A broker that wants a password: see /usr/share/doc/edgeseal-agent/gateway.md\n\
         credentials = \"none\"\n\n\
         # Programs of this device connect here instead of to the broker.\n\
         [[gateway.listener]]\nname = \"apps\"\naddress = \"127.0.0.1:1884\"\n\
         publish = [{publish}]\nsubscribe = []\n",
        url = quoted(&broker.url),
        publish = topics.join(", "),
    )
    .into_bytes()
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
