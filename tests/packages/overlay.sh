#!/bin/bash
# An overlay over the root, which is lost at power-off. After booted.sh.
. "$(dirname "$0")/common.sh"
[ "$(stat -f -c %T /)" = overlayfs ]
within "it runs on an overlay" active
state signing ok
state state-durable ok
sign >/dev/null
ok "on an overlay root with a data partition it signs"

rm /etc/systemd/system/edgeseal-agent.service.d/data-partition.conf /etc/edgeseal/config.d/data.toml
systemctl daemon-reload
systemctl restart edgeseal-agent
within "it runs with its state on the overlay" active
systemctl status edgeseal-agent --no-pager | grep >/dev/null "not signing"
state state-durable broken
refused state-not-durable sign
state verifying ok
ok "with its state on an overlay it verifies and does not sign"
echo "all of it passed"
