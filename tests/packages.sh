#!/usr/bin/env bash
# Installs the packages in a clean Debian with systemd, uses them there, upgrades, removes and purges them.
#
#   tests/packages.sh [DIRECTORY WITH THE TWO .deb]      default: target/packages, the amd64 ones
#
# Needs root, mmdebstrap and systemd-container. The Debian root is made once, in target/packages/root.tar.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=${1:-target/packages}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
agent=$packages/edgeseal-agent_${version}_amd64.deb
operator=$packages/edgeseal_${version}_amd64.deb
for what in "$agent" "$operator" "$(command -v mmdebstrap || echo mmdebstrap)" "$(command -v systemd-nspawn || echo systemd-nspawn)"; do
  [ -e "$what" ] || { echo "packages.sh: lacks $what (cargo xtask package amd64; apt install mmdebstrap systemd-container)" >&2; exit 69; }
done
mkdir -p target/packages
tar=target/packages/root.tar
[ -s $tar ] || { mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,init-system-helpers bookworm $tar.new && mv $tar.new $tar; }

# Not on tmpfs or an overlay: there the agent rightly does not sign.
root=$(mktemp -d "$PWD/target/packages/root.XXXXXX")
trap 'rm -rf "$root"' EXIT
tar -C "$root" -xf $tar --exclude=./dev
mkdir -p "$root/dev"
cp "$agent" "$root/root/agent.deb"
cp "$operator" "$root/root/operator.deb"
cp tests/packages/*.sh "$root/root/"
contain=(systemd-nspawn --quiet --register=no --keep-unit --private-network
  --system-call-filter="adjtimex clock_adjtime clock_adjtime64" --directory "$root")

echo "== in an image build: no systemd runs"
"${contain[@]}" --pipe bash /root/in-image.sh

echo "== booted"
install -m 0644 /dev/stdin "$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/bash /root/booted.sh
StandardOutput=file:/root/said
StandardError=file:/root/said
ExecStopPost=/usr/bin/systemctl poweroff
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"
timeout 300 "${contain[@]}" --boot >"$root.log" 2>&1 </dev/null || true
cat "$root/root/said"
rm -f "$root.log"
grep -qx "all of it passed" "$root/root/said"
