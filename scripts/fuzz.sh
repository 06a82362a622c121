#!/usr/bin/env bash
# Runs every fuzz target for SECONDS each:  scripts/fuzz.sh [SECONDS] [TARGET …]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true

# The fuzzer's instrumentation is a nightly flag; this asks the stable compiler to take it.
export RUSTC_BOOTSTRAP=1
[ -d fuzz ] || { echo "$0: there is no folder fuzz/" >&2; exit 1; }
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
[ ${#targets[@]} -gt 0 ] || { echo "$0: fuzz/ has no targets" >&2; exit 1; }
for name in "${targets[@]}"; do
  echo "fuzzing $name for $seconds s"
  cargo fuzz run "$name" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096
done
