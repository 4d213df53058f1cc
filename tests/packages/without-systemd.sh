#!/bin/bash
# Where no systemd runs the packages upgrade, are removed and purged all the same. After in-image.sh.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
edgeseal-agent init >/dev/null
kid() { edgeseal-agent identity show --json | sed -n 's/.*"kid":"\([^"]*\)".*/\1/p'; }
before=$(kid)
dpkg -i /shared/newer.deb
[ "$(kid)" = "$before" ]
dpkg -i --force-downgrade /shared/agent.deb
[ "$(kid)" = "$before" ]
dpkg -r edgeseal-agent
[ -s /var/lib/edgeseal/identity.pem ]
[ -s /etc/edgeseal/config.toml ]
dpkg -P edgeseal-agent 2>&1 | tee /tmp/purged
grep -q "purge deletes this device's key" /tmp/purged
[ ! -e /var/lib/edgeseal ]
[ ! -e /etc/edgeseal ]
dpkg -P edgeseal
echo "ok: upgraded, downgraded, removed, purged without systemd"
