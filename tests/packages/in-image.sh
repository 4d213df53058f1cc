#!/bin/bash
# In a root where nothing runs, as in an image build: the packages install and make no key; the units are in order.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
dpkg -i /shared/agent.deb /shared/operator.deb
[ "$(stat -c '%U %a' /var/lib/edgeseal)" = "edgeseal 700" ]
[ -z "$(ls -A /var/lib/edgeseal)" ] || { echo "the package made: $(ls -A /var/lib/edgeseal)"; exit 1; }
[ -L /etc/systemd/system/multi-user.target.wants/edgeseal-agent.service ]
[ -L /etc/systemd/system/sockets.target.wants/edgeseal-agent.socket ]
echo "ok: installed, enabled, no key"

# A unit that cannot be within 1.1 is named here, with what it needs.
# Registrar and refresh write where the operator keeps the registry: no root of their own.
declare -A bar=([edgeseal-registrar.service]=13 [edgeseal-refresh.service]=13)
units=$(dpkg -L edgeseal-agent edgeseal | sed -n 's,.*/systemd/system/\([^/]*\.\(service\|socket\|timer\)\)$,\1,p' | sort -u)
for unit in $units; do
  said=$(systemd-analyze verify --man=no "$unit" 2>&1) || { echo "$unit: $said"; exit 1; }
  [ -z "$said" ] || { echo "$unit: $said"; exit 1; }
  case $unit in *.service)
    systemd-analyze security --offline=true --threshold="${bar[$unit]:-11}" "$unit" >/tmp/exposure ||
      { tail -1 /tmp/exposure; exit 1; }
    tail -1 /tmp/exposure
    ;;
  esac
done
echo "ok: every unit is right, every service exposed by 1.1 at most"
