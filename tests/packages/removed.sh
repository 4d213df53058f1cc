#!/bin/bash
# Removed, installed again and purged. After booted.sh.
. "$(dirname "$0")/common.sh"
rm -f /etc/edgeseal/config.d/data.toml
rm -rf /etc/systemd/system/edgeseal-agent.service.d
systemctl daemon-reload
systemctl restart edgeseal-agent
within "it runs" active
before=$(kid)

dpkg -r edgeseal-agent
[ -s /var/lib/edgeseal/identity.pem ]
[ -s /etc/edgeseal/config.toml ]
fails systemctl is-active -q edgeseal-agent
dpkg -i $here/agent.deb
within "it runs after being removed and installed" active
[ "$(kid)" = "$before" ]
state signing ok
ok "removed it keeps key and state, installed again it goes on"

dpkg -P edgeseal-agent 2>&1 | tee /tmp/purged
grep -q "purge deletes this device's key" /tmp/purged
[ ! -e /var/lib/edgeseal ]
[ ! -e /etc/edgeseal ]
[ ! -e /lib/systemd/system/edgeseal-agent.service ]
ok "purged, key and state are gone, and it said so"
echo "all of it passed"
