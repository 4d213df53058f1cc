#!/bin/sh
# /boot/firmware/firstrun.sh of Raspberry Pi OS Bookworm: installs Edgeseal's agent from the folder `edgeseal` of the
# boot partition (edgeseal prepare-card makes it). It runs once, as root, if the one line of cmdline.txt ends with
#   systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target
# Raspberry Pi Imager writes a firstrun.sh of its own where you set user or Wi-Fi there: then put the line that begins with
# `sh` into that one, above its last lines, instead.
set +e

sh /boot/firmware/edgeseal/install.sh >/boot/firmware/edgeseal/install.log 2>&1

rm -f /boot/firmware/firstrun.sh
sed -i 's| systemd.run.*||' /boot/firmware/cmdline.txt
exit 0
