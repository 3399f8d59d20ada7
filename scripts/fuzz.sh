#!/usr/bin/env bash
# Fuzzes the decoders with cargo-fuzz: scripts/fuzz.sh [SECONDS [TARGET...]]; a minute for each of them by default.
# What is new goes to target/fuzz/corpus, what breaks a promise to tests/fuzz/artifacts; see tests/fuzz/README.md.
# Needs a nightly compiler and cargo-fuzz: rustup toolchain install nightly; cargo install --locked cargo-fuzz
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
if [ $# -eq 0 ]; then
  mapfile -t targets < <(basename -s .rs tests/fuzz/fuzz_targets/*.rs)
  set -- "${targets[@]}"
fi

for target in "$@"; do
  found="target/fuzz/corpus/$target"
  mkdir -p "$found"
  # Lockstep's own crates have no unsafe code: without a sanitizer ten times as many inputs are tried. As one unit, which
  # is cargo-fuzz's default, the adapters alone take more than a quarter of an hour to build.
  cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz --sanitizer none --codegen-units 16 "$target" \
    "$found" "tests/fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=4096 -print_final_stats=1
done
