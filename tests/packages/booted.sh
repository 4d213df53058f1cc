#!/bin/bash
# In a booted system where the package is installed: the service works within its sandbox.
set -euo pipefail
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl -u edgeseal-agent -u edgeseal-clock --no-pager | tail -40' ERR
export DEBIAN_FRONTEND=noninteractive
cd /root
ok() { echo "ok: $*"; }
within() { for _ in $(seq 100); do if "${@:2}"; then return 0; fi; sleep 0.1; done; echo "not within 10 s: $1"; return 1; }
active() { systemctl is-active -q edgeseal-agent; }
state() { # check state: what doctor says; its exit status says whether anything is broken
  { edgeseal-agent doctor --json || true; } | tr '{' '\n' | grep >/dev/null "\"check\":\"$1\",\"state\":\"$2\""
}

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

bash /root/card.sh

mkdir -p /etc/edgeseal/config.d
cat >/etc/edgeseal/config.d/test.toml <<'TOML'
[clock]
unsynchronized = "allow" # nobody keeps the clock of the machine that this runs on
leeway_seconds = 0
[[api.caller]]
group = "edgeseal"
verbs = ["sign", "verify", "status"]
publish = ["site/{device}/#"]
TOML
edgeseal-agent config check
systemctl stop edgeseal-agent.socket edgeseal-agent.service
edgeseal-agent init
systemctl start edgeseal-agent.socket edgeseal-agent.service

dpkg -i operator.deb
mkdir place && cd place && umask 077 && printf 'a pass phrase\n' >pass
edgeseal domain init farm --keys keys --passphrase-file pass --json >init.json
root=$(sed -n 's/.*"root_words":"\([a-z ]*\)".*/\1/p' init.json)
edgeseal role add sensor
edgeseal role grant sensor --publish 'site/{device}/#' --audience domain
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
as() { setpriv --reuid "$1" --regid "$1" --init-groups "${@:2}"; }
umask 022
cd /
token=$(as program edgeseal-agent sign --topic site/pi-1/temp --payload 21.5)
as program edgeseal-agent verify --topic site/pi-1/temp --payload 21.5 --token "$token"
if as stranger edgeseal-agent status 2>/dev/null; then echo "a stranger was let in"; false; fi
ok "a program of the group signs and verifies, a stranger does not"

[ -z "$(journalctl -u edgeseal-agent --no-pager -p warning | grep -E 'remembered in this process only|cannot' || true)" ]
pid=$(systemctl show -p MainPID --value edgeseal-agent)
grep -q "^NoNewPrivs:.*1" /proc/$pid/status
grep -q "^CapEff:.*0000000000000000" /proc/$pid/status
grep -q "^Seccomp:.*2" /proc/$pid/status
grep -q "Max core file size  *0" /proc/$pid/limits
[ ! -e /proc/$pid/root/opt ] && [ ! -e /proc/$pid/root/root/booted.sh ]
ok "no privilege, no capability, a root of its own"

kill -9 "$pid"
sleep 6
within "it comes back after kill -9" active
[ "$(systemctl show -p NRestarts --value edgeseal-agent)" = 1 ]
# What was accepted before stays a replay: the memory survived.
if as program edgeseal-agent verify --topic site/pi-1/temp --payload 21.5 --token "$token" >/tmp/again 2>&1; then cat /tmp/again; false; fi
grep -q "replay" /tmp/again || { cat /tmp/again; false; }
ok "killed, it comes back and remembers what it accepted"

kid() { edgeseal-agent identity show --json | sed -n 's/.*"kid":"\([^"]*\)".*/\1/p'; }
before=$(kid)
dpkg -i /root/agent.deb
within "it runs after an upgrade" active
[ "$(kid)" = "$before" ] && state signing ok
ok "an upgrade keeps the key and restarts"

dpkg -r edgeseal-agent
[ -s /var/lib/edgeseal/identity.pem ] && [ -s /etc/edgeseal/config.toml ]
! systemctl is-active -q edgeseal-agent
dpkg -i /root/agent.deb
within "it runs after being removed and installed" active
[ "$(kid)" = "$before" ] && state signing ok
ok "removed it keeps key and state, installed again it goes on"

dpkg -P edgeseal-agent 2>&1 | tee /tmp/purged
grep -q "purge deletes this device's key" /tmp/purged
[ ! -e /var/lib/edgeseal ] && [ ! -e /etc/edgeseal ] && [ ! -e /lib/systemd/system/edgeseal-agent.service ]
ok "purged, key and state are gone, and it said so"
echo "all of it passed"
