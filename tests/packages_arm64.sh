#!/usr/bin/env bash
# Boots a clean arm64 Debian under qemu, installs the packages there and uses them: what tests/packages.sh does, on the Pi's processor.
#
#   tests/packages_arm64.sh [DIRECTORY WITH THE TWO .deb]      default: target/packages, the arm64 ones
#
# Needs root, qemu-system-arm, mmdebstrap, arch-test, qemu-user-static (its binfmt entry) and e2fsprogs; half an hour the first time,
# minutes then: the Debian root is kept in target/packages/root-arm64.tar.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=${1:-target/packages}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
agent=$packages/edgeseal-agent_${version}_arm64.deb
operator=$packages/edgeseal_${version}_arm64.deb
lacks() { echo "packages_arm64.sh: lacks $1" >&2; exit 69; }
for file in "$agent" "$operator"; do [ -e "$file" ] || lacks "$file (cargo xtask package arm64)"; done
[ -e /usr/include/mosquitto.h ] || lacks "mosquitto.h (libmosquitto-dev)"
for program in qemu-system-aarch64 aarch64-linux-gnu-gcc mmdebstrap arch-test mke2fs; do command -v $program >/dev/null || lacks $program; done
arch-test arm64 >/dev/null || lacks "the binfmt entry of qemu-user-static"
tar=target/packages/root-arm64.tar
mkdir -p target/packages
[ -s $tar ] || {
  mmdebstrap --quiet --format=tar --variant=minbase --architectures=arm64 \
    --include=systemd,systemd-sysv,dbus,init-system-helpers,udev,kmod,linux-image-arm64,mosquitto,openssl bookworm $tar.new
  mv $tar.new $tar
}

work=$(mktemp -d "$PWD/target/packages/arm64.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir "$root"
tar -C "$root" -xf $tar --exclude=./dev
shared=$root/shared
mkdir -p "$root/dev" "$root/data" "$shared" "$root/etc/systemd/system/multi-user.target.wants"
cp "$agent" "$shared/agent.deb"
cp "$operator" "$shared/operator.deb"
cp tests/packages/*.sh "$shared/"
# The same programs as a later version.
dpkg-deb -R "$agent" "$work/newer"
sed -i "s/^Version: .*/&+1/" "$work/newer/DEBIAN/control"
dpkg-deb -Znone -b "$work/newer" "$shared/newer.deb" >/dev/null
rm -rf "$work/newer"
# The plain program that publishes and subscribes during the upgrade, for this processor.
cp /usr/include/mosquitto.h "$work/"
aarch64-linux-gnu-gcc -O1 -I"$work" -o "$shared/client" tests/gateway/clients/libmosquitto.c \
  "$root"/usr/lib/aarch64-linux-gnu/libmosquitto.so.1 -Wl,--allow-shlib-undefined
install -m 0644 /dev/stdin "$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Environment=PATIENCE=6
ExecStart=/bin/bash -c "bash /shared/in-image.sh && bash /shared/booted.sh"
StandardOutput=file:/shared/said
StandardError=file:/shared/said
ExecStopPost=/usr/bin/systemctl poweroff
UNIT
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"
echo "/dev/vda / ext4 defaults 0 1" >"$root/etc/fstab"
kernel=$(ls "$root"/boot/vmlinuz-*-arm64) initrd=$(ls "$root"/boot/initrd.img-*-arm64)
cp "$kernel" "$work/kernel"
cp "$initrd" "$work/initrd"
mke2fs -q -t ext4 -d "$root" "$work/disk" 3G
rm -rf "$root"
timeout 3000 qemu-system-aarch64 -M virt -cpu cortex-a53 -smp 2 -m 1024 -nographic -no-reboot -nic none \
  -kernel "$work/kernel" -initrd "$work/initrd" -append "root=/dev/vda rw console=ttyAMA0 quiet" \
  -drive "if=none,format=raw,file=$work/disk,id=disk" -device virtio-blk-device,drive=disk >"$work/console" 2>&1 </dev/null || true
debugfs -R "cat /shared/said" "$work/disk" 2>/dev/null | tee "$work/said"
grep -qx "all of it passed" "$work/said" || { tail -20 "$work/console"; exit 1; }
