# A state directory that a newer version wrote. Part of booted.sh.
units stop
cp -a /var/lib/edgeseal /root/kept
# Version 2 in place of 1, the checksum made anew.
{ head -c 8 /root/kept/state.0; printf '\0\0\0\2'; head -c -32 /root/kept/state.0 | tail -c +13; } >/tmp/later
sum=$(sha256sum /tmp/later | cut -d' ' -f1)
printf "%b" "$(sed 's/../\\x&/g' <<<"$sum")" >>/tmp/later
cat /tmp/later >/var/lib/edgeseal/state.0
content() { (cd /var/lib/edgeseal && find . -type f ! -name lock -exec sha256sum {} + | sort); }
content >/tmp/before
since=$(date +%s)
systemctl start edgeseal-agent.socket
fails systemctl start edgeseal-agent.service
# A program that asks has the service started by its socket, again and again unless systemd ends it.
fails timeout 3 edgeseal-agent status
sleep 6
fails active
[ "$(systemctl show -p ExecMainStatus --value edgeseal-agent)" = 78 ]
journalctl -u edgeseal-agent --since "@$since" --no-pager >/tmp/said
grep -q "store-unknown-format" /tmp/said
grep -q "install the version of Edgeseal that wrote it" /tmp/said
starts=$(grep -c "store-unknown-format" /tmp/said)
[ "$starts" -le 8 ] || { echo "started $starts times"; false; }
content | cmp /tmp/before -
refused store-unknown-format edgeseal-agent trust apply /root/place/bundle-2.edgeseal
cp -a /root/kept/state.0 /var/lib/edgeseal/state.0
units stop
units start
within "with the state that it knows it runs" active
state signing ok
ok "a state of a newer version is refused with reason and next step, $starts starts, nothing changed"
