#!/usr/bin/env bash
# The one test command: installs and starts what the tests need, then checks format, lints, docs, schemas and runs all
# tests. Arguments go to cargo nextest, as in `scripts/test.sh -p lockstep-runtime`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/test-services.sh
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo run --quiet --locked -- schema --check schemas
[ ! -d schemas/released ] || cargo run --quiet --locked -- schema check --against schemas/released
if command -v cargo-deny >/dev/null 2>&1; then
  cargo deny --offline --all-features check bans licenses sources
else
  echo "cargo-deny is not installed; licences and sources were not checked (cargo install --locked cargo-deny)" >&2
fi
cargo test --workspace --doc --locked --quiet
cargo nextest run --workspace --locked --no-fail-fast "$@"
