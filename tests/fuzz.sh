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

# Tokens of the vectors are the first inputs of those that read tokens.
mkdir -p fuzz/corpus/token
python3 - <<'END'
import json, pathlib
for file in pathlib.Path("../tests/vectors/token").glob("*.json"):
    vector = json.loads(file.read_text())
    for number, message in enumerate([*vector.get("before", []), vector]):
        token = message.get("token")
        if isinstance(token, str):
            pathlib.Path("fuzz/corpus/token", f"{file.stem}-{number}").write_text(token)
END

for target in "${targets[@]}"; do
  echo "== $target, $seconds s"
  cargo fuzz run "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 2>&1 |
    grep -E 'panicked|ERROR|SUMMARY|stat::number_of_executed_units|stat::peak_rss_mb'
done
