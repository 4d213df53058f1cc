#!/usr/bin/env bash
# Installs the packages in a clean Debian, uses them there under systemd, upgrades, removes and purges them.
#
#   tests/packages.sh [DIRECTORY WITH THE TWO .deb]      default: target/packages, the amd64 ones
#
# Needs root, mmdebstrap, systemd-container and e2fsprogs. The Debian root is made once, in target/packages/root.tar.
# Where the machine lets no container boot, it says so and does what needs no systemd.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=${1:-target/packages}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
agent=$packages/edgeseal-agent_${version}_amd64.deb
operator=$packages/edgeseal_${version}_amd64.deb
client=target/gateway-clients/libmosquitto
for what in "$agent" "$operator" "$client" "$(command -v mmdebstrap || echo mmdebstrap)" "$(command -v systemd-nspawn || echo systemd-nspawn)"; do
  [ -e "$what" ] || {
    echo "packages.sh: lacks $what (cargo xtask package amd64; tests/gateway/clients/install.sh; apt install mmdebstrap systemd-container)" >&2
    exit 69
  }
done
say() { printf '\n-- %s (%s s)\n' "$*" "$SECONDS"; }

say "the Debian root"
tar=target/packages/root-2.tar
include=systemd,systemd-sysv,dbus,init-system-helpers,mosquitto,openssl
[ -s $tar ] || { mmdebstrap --quiet --format=tar --variant=minbase --include=$include bookworm $tar.new && mv $tar.new $tar; }

# Not on tmpfs or an overlay: there the agent rightly does not sign.
place=$(mktemp -d "$PWD/target/packages/place.XXXXXX")
root=$place/root shared=$place/shared data=$place/data
mkdir "$root" "$shared" "$data"
clean() {
  for mounted in "$data" "$root/proc"; do
    if mountpoint -q "$mounted"; then umount "$mounted"; fi
  done
  rm -rf "$place"
}
trap clean EXIT
cp tests/packages/*.sh "$shared/"
cp "$agent" "$shared/agent.deb"
cp "$operator" "$shared/operator.deb"
cp "$client" "$shared/client"
# The same programs as a later version.
dpkg-deb -R "$agent" "$place/newer"
sed -i "s/^Version: .*/&+1/" "$place/newer/DEBIAN/control"
dpkg-deb -Znone -b "$place/newer" "$shared/newer.deb" >/dev/null
unpack() {
  rm -rf "$root"
  mkdir -p "$root/dev" "$root/shared" "$root/data"
  tar -C "$root" -xf $tar --exclude=./dev
}

say "in an image build: no systemd runs"
unpack
cp "$shared"/*.deb "$shared"/*.sh "$root/shared/"
mount -t proc proc "$root/proc"
chroot "$root" bash /shared/in-image.sh
chroot "$root" bash /shared/without-systemd.sh
umount "$root/proc"

unpack
contain=(systemd-nspawn --quiet --machine=edgeseal-check --register=no --keep-unit --private-network --bind "$shared:/shared"
  --system-call-filter="adjtimex clock_adjtime clock_adjtime64 mlock mlock2 munlock" --directory "$root")
if ! said=$("${contain[@]}" --pipe true 2>&1); then
  echo "packages.sh: SKIPPED what needs systemd: no container starts on this machine: $said" >&2
  [ -z "${CI:-}" ] # there it is a failure
  exit
fi
"${contain[@]}" --pipe bash /shared/in-image.sh >/dev/null

# boot SCRIPT [OPTIONS]: boots the root and runs the script in it, which ends with "all of it passed".
boot() {
  local script=$1 said=$shared/said
  shift
  say "booted: $script $*"
  rm -f "$said"
  install -m 0644 /dev/stdin "$root/etc/systemd/system/check.service" <<UNIT
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/bash /shared/$script.sh
StandardOutput=file:/shared/said
StandardError=file:/shared/said
ExecStopPost=/usr/bin/systemctl poweroff
UNIT
  mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
  ln -sf ../check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"
  timeout 300 "${contain[@]}" "$@" --boot >"$place/console" 2>&1 </dev/null || true
  cat "$said" || cat "$place/console"
  grep -qx "all of it passed" "$said"
}

truncate -s 16M "$place/data.ext4"
mkfs.ext4 -q "$place/data.ext4"
mount -o loop,noatime "$place/data.ext4" "$data"
boot booted --bind "$data:/data"
boot read-only --bind "$data:/data" --read-only --tmpfs=/tmp --tmpfs=/var/log
boot overlay --bind "$data:/data" --volatile=overlay
boot full-disk --bind "$data:/data"
boot removed --bind "$data:/data"
boot operator
say "packages: all of it passed"
