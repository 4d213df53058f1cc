#!/bin/bash
# The data partition is full. After booted.sh.
. "$(dirname "$0")/common.sh"
within "it runs" active
dd if=/dev/zero of=/data/filler bs=64k 2>/dev/null || true
dd if=/dev/zero of=/data/filler-2 bs=1k 2>/dev/null || true
verify "$(sign)"
ok "while the disk is full it goes on signing and verifying"
state disk-space broken
refused "No space\|full\|store-io" edgeseal-agent trust apply /root/place/bundle-2.edgeseal
systemctl restart edgeseal-agent
within "it starts on a full disk" active
edgeseal-agent status || true
rm /data/filler /data/filler-2
systemctl restart edgeseal-agent
within "it runs when there is room again" active
state signing ok
state verifying ok
verify "$(sign)"
ok "with room again it signs"
echo "all of it passed"
