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
        parts = token.split(".")
        if len(parts) == 3 and token.isascii():
            keep("header", name, decoded(parts[0]))
            keep("claims", name, decoded(parts[1]))
for folder, target in [("document", "bundle"), ("request", "request"), ("jwk", "jwk"), ("config", "config")]:
    for file in sorted(vectors.glob(f"{folder}/*.json")):
        vector = json.loads(file.read_text())
        octets = vector["text"].encode() if "text" in vector else base64.b64decode(vector["octets_b64"])
        keep(target, f"{folder}-{file.stem}", octets)
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
