#!/bin/bash
# The root is mounted read-only, the state lies on a data partition, /run is fresh. After booted.sh.
. "$(dirname "$0")/common.sh"
within "it runs on a read-only root" active
if touch /etc/written 2>/dev/null || touch /var/lib/written 2>/dev/null; then echo "the root can be written to"; false; fi
for check in signing verifying round-trip service service-sandbox state-durable state-writable runtime-directory; do
  state $check ok || { edgeseal-agent doctor; echo "doctor: $check is not ok"; false; }
done
# /run is fresh, the memory of what was accepted was saved at the stop.
refused "replay\|before-start" verify "$(cat /data/token)"
sign >/data/token
verify "$(cat /data/token)"
ok "on a read-only root with a data partition it signs and verifies"

# A power cut saves nothing: without its memory it judges by the time of its start.
pid=$(systemctl show -p MainPID --value edgeseal-agent)
systemctl kill --signal=KILL edgeseal-agent
rm -rf /run/edgeseal/replay*
within "it comes back" sh -c "[ \"\$(systemctl show -p MainPID --value edgeseal-agent)\" != $pid ] && edgeseal-agent status >/dev/null 2>&1"
refused "replay\|before-start" verify "$(cat /data/token)"
sleep 2
verify "$(sign)"
ok "with a fresh /run it accepts nothing from before its start, and everything from after"
echo "all of it passed"
