#!/bin/bash
# In a root where nothing runs, as in an image build: the package installs and makes no key.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
dpkg -i /root/agent.deb
[ "$(stat -c '%U %a' /var/lib/edgeseal)" = "edgeseal 700" ]
[ -z "$(ls -A /var/lib/edgeseal)" ] || { echo "the package made: $(ls -A /var/lib/edgeseal)"; exit 1; }
[ -L /etc/systemd/system/multi-user.target.wants/edgeseal-agent.service ]
[ -L /etc/systemd/system/sockets.target.wants/edgeseal-agent.socket ]
echo "ok: installed, enabled, no key"
