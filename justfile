# Recurring jobs. `just --list` shows them.

# Format, lints and types, quickly.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Everything that CI runs.
test *arguments:
    scripts/test.sh {{arguments}}

# The runtime's simulation over many seeds.
sim seeds="1000":
    LOCKSTEP_SEEDS={{seeds}} cargo nextest run -p lockstep-runtime --release simulation

# Criterion benchmarks.
bench *arguments:
    cargo bench {{arguments}}

# Renew the generated schemas.
schemas:
    cargo run --quiet -- schema --write schemas

# API documentation of the workspace.
docs:
    cargo doc --workspace --no-deps
