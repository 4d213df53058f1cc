#!/bin/bash
# In a booted system: the operator's package. Nothing of it is enabled; the registrar and the look at the fleet work as services,
# within their sandboxes, with the passphrase as a credential.
. "$(dirname "$0")/common.sh"
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl -u edgeseal-registrar -u edgeseal-status -u edgeseal-refresh --no-pager | tail -40' ERR
said() { journalctl -u "$1" --no-pager -o cat | grep >/dev/null -- "$2"; }
registrar() { setpriv --reuid edgeseal-registrar --regid edgeseal-registrar --init-groups "$@"; }

dpkg -i "$here/operator.deb"
for unit in edgeseal-registrar.service edgeseal-refresh.timer edgeseal-status.timer; do
  [ "$(systemctl is-enabled $unit || true)" = disabled ]
  [ "$(systemctl is-active $unit || true)" = inactive ]
done
for unit in registrar refresh status; do
  systemd-analyze security --threshold=15 edgeseal-$unit.service >/dev/null
  systemd-analyze verify --man=no edgeseal-$unit.service
done
id edgeseal-registrar >/dev/null
ok "installed: nothing is enabled, exposure is 1.5 at most, the account is there"

mkdir -p /etc/mosquitto/conf.d
printf 'listener 1883 127.0.0.1\nallow_anonymous true\n' >/etc/mosquitto/conf.d/test.conf
systemctl restart mosquitto
umask 077
state=/var/lib/edgeseal-registrar
install -d -m 0700 -o edgeseal-registrar -g edgeseal-registrar $state
mkdir -p /etc/credstore /etc/edgeseal
printf 'correct horse battery\n' >/etc/credstore/edgeseal-registrar.passphrase
cp /etc/credstore/edgeseal-registrar.passphrase $state/pass
chown edgeseal-registrar: $state/pass
cd $state
registrar edgeseal domain init farm --keys keys --passphrase-file pass >/dev/null
registrar edgeseal role add sensor >/dev/null
registrar edgeseal domain broker mqtt://127.0.0.1:1883 >/dev/null
registrar edgeseal publish --keys keys --passphrase-file pass --unsynchronized-clock >/dev/null
rm pass
printf 'EDGESEAL_REGISTRY=%s/registry\nEDGESEAL_KEYS=%s/keys\n' $state $state >/etc/edgeseal/registrar.env

systemctl start edgeseal-registrar || true
within "without a clock it says so" said edgeseal-registrar "clock-unsynchronized"
systemctl stop edgeseal-registrar
# Nobody keeps the clock of the machine that this runs on.
for unit in "registrar:registrar serve" "refresh:publish --refresh"; do
  mkdir -p /etc/systemd/system/edgeseal-${unit%%:*}.service.d
  printf '[Service]\nExecStart=\nExecStart=/usr/bin/edgeseal %s --unsynchronized-clock\n' "${unit#*:}" \
    >/etc/systemd/system/edgeseal-${unit%%:*}.service.d/test.conf
done
systemctl daemon-reload
systemctl start edgeseal-registrar
within "the registrar serves" said edgeseal-registrar "serving farm at mqtt://127.0.0.1:1883"
pid=$(systemctl show -p MainPID --value edgeseal-registrar)
[ "$(stat -c %U /proc/"$pid")" = edgeseal-registrar ]
grep -q "^NoNewPrivs:.*1" /proc/"$pid"/status
grep -q "^CapEff:.*0000000000000000" /proc/"$pid"/status
ok "the registrar serves within its sandbox, with the passphrase as a credential"

systemctl start edgeseal-refresh.service
registrar edgeseal status --registry registry | grep >/dev/null "published sequence 2"
systemctl start edgeseal-status.service
ok "the refresh publishes beside it, and the look at an empty fleet finds nothing"

x=$(openssl genpkey -algorithm ed25519 | openssl pkey -pubout -outform DER | tail -c 32 | base64 | tr '/+' '_-' | tr -d '=')
printf 'id,x\npump-1,%s\n' "$x" >fleet.csv
chown edgeseal-registrar: fleet.csv
registrar edgeseal device add --csv fleet.csv >/dev/null
if systemctl start edgeseal-status.service; then echo "it did not fail"; false; fi
said edgeseal-status "never-seen"
[ "$(systemctl is-failed edgeseal-status.service)" = failed ]
ok "a device that nobody has heard makes the status unit fail, and the journal says which"
journalctl -u edgeseal-status --no-pager -o short-iso | tail -8
EDGESEAL_REGISTRY=registry EDGESEAL_KEYS=keys registrar edgeseal doctor --unsynchronized-clock >/tmp/doctor || { cat /tmp/doctor; false; }
grep -q "^warning  units  *edgeseal-status.service has failed" /tmp/doctor
ok "doctor says so, too"

dpkg -i "$here/operator.deb"
within "it runs after an upgrade" systemctl is-active -q edgeseal-registrar
[ "$(systemctl show -p MainPID --value edgeseal-registrar)" != "$pid" ]
dpkg -P edgeseal 2>&1 | grep >/dev/null "is kept"
[ -s $state/keys/registrar-1.pem ]
[ -s $state/registry/domain.json ]
fails systemctl is-active -q edgeseal-registrar
ok "an upgrade restarts it, a purge keeps registry and keys"
echo "all of it passed"
