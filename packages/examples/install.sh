#!/bin/sh
# Installs what lies beside it: the agent's package and its configuration. Run once by cloud-init or firstrun.sh, as
# root, at the first boot; doing it again changes nothing. The join file is taken by edgeseal-card.service.
set -eu
card=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# Before the package: the agent starts as soon as it is there.
if [ -f "$card/agent.toml" ]; then
    install -d -m 0755 /etc/edgeseal /etc/edgeseal/config.d
    [ ! -f "$card/broker-ca.pem" ] || install -m 0644 "$card/broker-ca.pem" /etc/edgeseal/broker-ca.pem
    install -m 0644 "$card/agent.toml" /etc/edgeseal/config.d/10-card.toml
fi
if ! command -v edgeseal-agent >/dev/null 2>&1; then
    set -- "$card"/edgeseal-agent_*.deb
    if [ ! -f "$1" ]; then
        echo "edgeseal: there is no edgeseal-agent_*.deb in $card, and the agent is not installed" >&2
        exit 1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1"
fi
# In a system where nothing runs yet, the next boot starts it.
systemctl enable edgeseal-agent.service edgeseal-agent.socket
systemctl start --no-block edgeseal-agent.service || true
