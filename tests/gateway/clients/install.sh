#!/usr/bin/env bash
# Fetches the MQTT libraries of the plain programs into target/gateway-clients, once. Needs python3 with pip, npm, cc, libmosquitto-dev.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
place=$here/../../../target/gateway-clients
mkdir -p "$place"
for version in 1.6.1 2.1.0; do
  [ -d "$place/paho-$version/paho" ] ||
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-compile --target "$place/paho-$version" "paho-mqtt==$version"
done
[ -d "$place/node_modules/mqtt" ] || npm install --silent --no-audit --no-fund --prefix "$place" mqtt@5.16.0
# A new program only where the source is newer.
[ "$place/libmosquitto" -nt "$here/libmosquitto.c" ] ||
  cc -Wall -Wextra -Werror -O1 -o "$place/libmosquitto" "$here/libmosquitto.c" -lmosquitto -lpthread
