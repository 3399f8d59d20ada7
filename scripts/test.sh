#!/usr/bin/env bash
# The one test command: installs and starts what the tests need, then checks format, lints, docs, schemas and runs all
# tests. Arguments go to cargo nextest, as in `scripts/test.sh -E 'package(lockstep-runtime)'`.
set -euo pipefail
cd "$(dirname "$0")/.."

# Among the packages is what building needs, too. The rest starts meanwhile.
scripts/test-services.sh packages
scripts/test-services.sh &
services=$!
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
wait "$services"
# All of it at once: what cargo builds for the program alone has fewer features, and would be built beside it a second time.
cargo nextest run --workspace --locked --no-run
lockstep=${CARGO_TARGET_DIR:-target}/debug/lockstep
"$lockstep" schema --check schemas
[ ! -d schemas/released ] || "$lockstep" schema check --against schemas/released
if command -v cargo-deny >/dev/null 2>&1; then
  cargo deny --locked --all-features check bans licenses sources
else
  echo "cargo-deny is not installed; licences and sources were not checked (cargo install --locked cargo-deny)" >&2
fi
cargo test --workspace --doc --locked --quiet
cargo nextest run --workspace --locked --no-fail-fast "$@"
