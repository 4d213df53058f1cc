#!/usr/bin/env bash
# Fuzzes everything that reads what strangers, files or people wrote: `tests/fuzz.sh [SECONDS [TARGET...]]`.
# SECONDS is per target, 60 unless given. It stops at the first panic, hang (10 s), or growth beyond 1 GiB.
set -euo pipefail
cd "$(dirname "$0")/../trust"
seconds=${1:-60}
shift || true
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
export RUSTC_BOOTSTRAP=1 # libFuzzer's instrumentation is not stable yet
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)

# What the vectors hold is the first input of those that read the like.
python3 - <<'END'
import base64, json, pathlib
vectors, corpus = pathlib.Path("../tests/vectors"), pathlib.Path("fuzz/corpus")
def keep(target, name, octets):
    (corpus / target).mkdir(parents=True, exist_ok=True)
    (corpus / target / name).write_bytes(octets)
def decoded(part):
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""
for file in sorted(vectors.glob("token/*.json")):
    vector = json.loads(file.read_text())
    keep("api_body", file.stem, json.dumps(vector["line"]).encode())
    for number, message in enumerate([*vector.get("before", []), vector["line"]]):
        token = message.get("token")
        if not isinstance(token, str):
            continue
        name = f"{file.stem}-{number}"
        keep("token", name, b"\0" + token.encode()) # its first octet picks the message
        if isinstance(message.get("topic"), str) and len(token) < 4096:
            # versions and mode, no other token, then PUBLISH at QoS 1: topic, identifier, user property, payload
            text = lambda octets: len(octets).to_bytes(2, "big") + octets
            token_property = b"\x26" + text(b"edgeseal") + text(token.encode())
            length = bytes([len(token_property) & 0x7F | 0x80, len(token_property) >> 7])
            packet = b"\x32" + text(message["topic"].encode()) + b"\0\x09" + length + token_property
            keep("gateway_message", name, b"\0\xff" + packet + base64.b64decode(message.get("payload_b64", "")))
        parts = token.split(".")
        if len(parts) == 3 and token.isascii():
            keep("header", name, decoded(parts[0]))
            keep("claims", name, decoded(parts[1]))
reads = ["answer", "approval", "config", "jwk", "join_file", "request", "rotation", "status"]
for folder, target in [("document", "bundle"), ("join", "request"), *zip(reads, reads)]:
    for file in sorted(vectors.glob(f"{folder}/*.json")):
        vector = json.loads(file.read_text())
        octets = vector["text"].encode() if "text" in vector else base64.b64decode(vector["octets_b64"])
        keep(target, f"{folder}-{file.stem}", octets)
        if folder == "join_file" and b'"token":"' in octets:
            keep("join_token", file.stem, octets.split(b'"token":"')[1].split(b'"')[0])
# A packet of each type, of MQTT 5 where the two versions differ: first octet and body.
packets = [
    "10 00044d515454 05 f6 003c 05 1100000e10 000163 05 1800000005 000174 000178 000175 000170",
    "10 00044d515454 04 02 003c 000163", "20 00 00 06 2100142200 0a", "20 01 00",
    "34 0001 74 0001 0e 2300 05 0b01 26 0001 61 0001 62 78", "30 0001 74 78", "40 0001 10 03 1f0000", "50 0001 87",
    "62 0001", "70 0001 92", "82 0001 02 0b01 000a 2473686172652f672f23 2a 0001 2b 01", "90 0001 00 01 87",
    "a2 0001 00 0003 2b2f23", "b0 0001 00 11", "c0", "d0", "e0 04 05 11000000 00", "f0 18 04 1500016d",
]
stream, split = b"", []
for number, packet in enumerate(map(bytes.fromhex, packets)):
    keep("gateway_packet", f"{number:02}", packet)
    split.append(packet[:1] + bytes([len(packet) - 1]) + packet[1:])
stream = b"".join(split)
for limit in [20, 255]:
    keep("gateway_framer", f"limit-{limit}", bytes([limit, 7]) + stream)
# Each packet by itself in a session that runs, or has to begin, in every pair of versions.
for how in range(8):
    for side in ["local", "upstream"]:
        whole = b"".join(bytes([0, len(packet)]) + packet for packet in split)
        keep(f"gateway_session_{side}", f"how-{how}", bytes([how]) + whole + bytes([14, 0, 8, 2, 0, 7, 9, 1, 60]))
bundle = (vectors / "farm.bundle").read_bytes()
keep("bundle", "farm", bundle)
for number, line in enumerate(bundle.splitlines()[1:]):
    keep("document", f"farm-{number}", bytes([min(number, 2)]) + line) # root, manifest, then shards
END

for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  cargo fuzz build "$target" 2>&1 | { grep -E '^error' -A12 || true; }
  case $target in bundle | document) longest=32768 ;; *) longest=8192 ;; esac
  cargo fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len="$longest" -print_final_stats=1 2>&1 |
    grep -E 'panicked|ERROR|SUMMARY|stat::number_of_executed_units|stat::peak_rss_mb'
done
