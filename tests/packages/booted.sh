#!/bin/bash
# In a booted system where the package is installed: the service works within its sandbox.
. "$(dirname "$0")/common.sh"

within "unenrolled it stays up" active
[ -z "$(ls /var/lib/edgeseal/*.pem 2>/dev/null)" ]
systemctl status edgeseal-agent --no-pager | grep >/dev/null "not signing"
ok "unenrolled it stays up, and says what is missing"

[ "$(stat -c '%U:%G %a' /run/edgeseal/api.sock)" = "root:edgeseal 660" ] || [ "$(stat -c '%U:%G %a' /run/edgeseal/api.sock)" = "edgeseal:edgeseal 660" ]
systemd-analyze security --threshold=11 edgeseal-agent.service >/dev/null
systemd-analyze security --threshold=11 edgeseal-clock.service >/dev/null
ok "exposure is 1.1 at most"

grep -q " " /run/edgeseal-clock/synchronization
ok "the clock watch tells the agent of the kernel's flag"

bash "$here/card.sh"

mkdir -p /etc/edgeseal/config.d
cat >/etc/edgeseal/config.d/test.toml <<'TOML'
[clock]
unsynchronized = "allow" # nobody keeps the clock of the machine that this runs on
leeway_seconds = 0
[[api.caller]]
group = "edgeseal"
verbs = ["sign", "verify", "status"]
publish = ["site/{device}/#"]
[[gateway.upstream]]
url = "mqtt://127.0.0.1:1883"
[[gateway.listener]]
name = "apps"
address = "127.0.0.1:1884"
publish = ["site/{device}/#"]
subscribe = ["site/#"]
[[rule]]
topic = "site/+/gone/#"
accept = ["message", "will"]
[[rule]]
topic = "site/#"
lifetime_seconds = 600
TOML
edgeseal-agent config check
units stop
edgeseal-agent init
units start

dpkg -s edgeseal >/dev/null 2>&1 || dpkg -i $here/operator.deb
mkdir place
cd place
umask 077
printf 'a pass phrase\n' >pass
edgeseal domain init farm --keys keys --passphrase-file pass --json >init.json
root=$(sed -n 's/.*"root_words":"\([a-z ]*\)".*/\1/p' init.json)
edgeseal role add sensor
edgeseal role grant sensor --publish 'site/{device}/#' --audience domain --will 7d --lifetime 1h
edgeseal-agent identity request --domain farm --device pi-1 -o pi-1.request 2>request.txt
edgeseal device add pi-1 --request pi-1.request --role sensor >/dev/null
edgeseal device approve pi-1 --words "$(tail -1 request.txt | sed 's/^ *//')"
edgeseal publish --keys keys --passphrase-file pass --unsynchronized-clock
edgeseal-agent trust apply bundle.edgeseal --root "$root"
for check in enrolled signing verifying round-trip service service-sandbox state-durable runtime-directory board; do
  state $check ok || { edgeseal-agent doctor; echo "doctor: $check is not ok"; false; }
done
ok "enrolled; doctor's round trip through the sandboxed service"

useradd --system --groups edgeseal program
useradd --system stranger
systemctl reload edgeseal-agent # who is in which group is read with the configuration
edgeseal role grant sensor --publish 'more/{device}/#' --audience domain
edgeseal publish --keys keys --passphrase-file pass --unsynchronized-clock --to bundle-2.edgeseal # for full-disk.sh
umask 022
cd /
token=$(sign)
verify "$token"
if as stranger edgeseal-agent status 2>/dev/null; then echo "a stranger was let in"; false; fi
ok "a program of the group signs and verifies, a stranger does not"

[ -z "$(journalctl -u edgeseal-agent --no-pager -p warning | grep -E 'remembered in this process only|cannot' || true)" ]
pid=$(systemctl show -p MainPID --value edgeseal-agent)
grep -q "^NoNewPrivs:.*1" /proc/$pid/status
grep -q "^CapEff:.*0000000000000000" /proc/$pid/status
grep -q "^Seccomp:.*2" /proc/$pid/status
grep -q "^VmLck:.*[1-9]" /proc/$pid/status
grep -q "Max core file size  *0" /proc/$pid/limits
[ ! -e /proc/$pid/root/opt ]
[ ! -e /proc/$pid/root/root/place ]
setpriv --reuid edgeseal --regid edgeseal --init-groups cat /proc/self/environ >/dev/null
refused "Permission denied" setpriv --reuid edgeseal --regid edgeseal --init-groups cat /proc/$pid/environ
ok "no privilege, no capability, a root of its own; the key's page is locked; its own account cannot look into it"

kill -9 "$pid"
sleep 6
within "it comes back after kill -9" active
[ "$(systemctl show -p NRestarts --value edgeseal-agent)" = 1 ]
# What was accepted before stays a replay: the memory survived.
refused replay verify "$token"
ok "killed, it comes back and remembers what it accepted"

. $here/upgrade.sh
. $here/newer-state.sh
. $here/credentials.sh

# For the boots that follow: the state goes to the data partition, by the example that the package ships.
units stop
install -d -m 0700 -o edgeseal -g edgeseal /data/edgeseal
cp -a /var/lib/edgeseal/. /data/edgeseal
mkdir -p /etc/systemd/system/edgeseal-agent.service.d
cp /usr/share/doc/edgeseal-agent/examples/data-partition.conf /etc/systemd/system/edgeseal-agent.service.d/
printf '[agent]\nstate_directory = "/data/edgeseal"\n' >/etc/edgeseal/config.d/data.toml
systemctl daemon-reload
units start
within "it runs on the data partition" active
state signing ok
state state-durable ok
sign >/data/token
verify "$(cat /data/token)"
ok "moved to a data partition, it signs there"
echo "all of it passed"
