#!/bin/bash
# In a booted system where the package is installed and no identity made: a join file on a boot partition of root's alone
# is taken by the agent, which may not touch it, and shredded. Leaves the device as fresh as it was.
. "$(dirname "$0")/common.sh"
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; systemctl status edgeseal-card.service edgeseal-card.path --no-pager || true; journalctl -u edgeseal-agent -u edgeseal-card --no-pager | tail -40; cat /boot/firmware/edgeseal/edgeseal-result.txt || true' ERR
card=/boot/firmware/edgeseal
result() { tr -d '\r' <$card/edgeseal-result.txt 2>/dev/null | tr '\n' ' '; }
says() { result | grep >/dev/null -e "$1"; }

systemd-analyze security --threshold=11 edgeseal-card.service >/dev/null
systemctl is-active -q edgeseal-card.path
command -v edgeseal >/dev/null || dpkg -i "$here/operator.deb"
mkdir /root/barn
cd /root/barn
umask 077
printf 'a pass phrase\n' >pass
sign="--keys keys --passphrase-file pass --unsynchronized-clock"
edgeseal domain init barn --keys keys --passphrase-file pass >/dev/null
edgeseal role add sensor >/dev/null
edgeseal domain broker mqtt://127.0.0.1:9 >/dev/null # where nobody answers
install -d -m 0700 /boot/firmware
touch /boot/firmware/config.txt /boot/firmware/cmdline.txt
# shellcheck disable=SC2086 # several options
edgeseal prepare-card /boot/firmware --device barn-1 --role sensor $sign
systemctl restart edgeseal-agent # at boot; in between, the path unit sees it
within "the agent takes the join file" says "waits for the network"
[ "$(stat -c '%U:%G %a' /run/edgeseal-card /run/edgeseal-card/join.json | tr '\n' ' ')" = "root:edgeseal 750 root:edgeseal 640 " ]
pid=$(systemctl show -p MainPID --value edgeseal-agent)
[ ! -e "/proc/$pid/root$card/join.json" ]
ok "a join file that only root can reach is before the agent, which sees no boot partition"

edgeseal-agent identity request --join $card/join.json >request 2>/dev/null
edgeseal registrar accept --unsynchronized-clock request >/dev/null
# shellcheck disable=SC2086
edgeseal publish $sign --to bundle >/dev/null
edgeseal-agent trust apply bundle >/dev/null
within "the result says so" says "ENROLLED as barn-1"
[ ! -e $card/join.json ]
[ ! -e $card/join.json.used ]
[ ! -e /run/edgeseal-card/join.json ]
within "the agent has nothing left to do" test ! -e /var/lib/edgeseal/request.json
inode=$(stat -c %i $card/edgeseal-result.txt)
systemctl restart edgeseal-agent
sleep 5
[ "$(stat -c %i $card/edgeseal-result.txt)" = "$inode" ]
ok "enrolled, the join file is shredded and the result written, once"

systemctl stop edgeseal-agent.socket edgeseal-agent.service
edgeseal-agent reset-identity --for-image --yes >/dev/null
rm -rf /boot/firmware /root/barn
systemctl start edgeseal-agent.socket edgeseal-agent.service
