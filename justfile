# Recurring jobs. `just --list` shows them.

# Format, lints and types, quickly.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Everything that CI runs.
test *arguments:
    scripts/test.sh {{arguments}}

# The runtime's simulation over many seeds, then that of the whole.
sim seeds="1000":
    LOCKSTEP_SEEDS={{seeds}} cargo nextest run -p lockstep-runtime --release simulation
    cargo run --release -p lockstep-loadtest -- simulate --seeds {{seeds}}

# Every decoder against drawn bytes; needs a nightly compiler and cargo-fuzz.
fuzz *arguments:
    scripts/fuzz.sh {{arguments}}

# Criterion benchmarks.
bench *arguments:
    cargo bench {{arguments}}

# Renew the generated schemas.
schemas:
    cargo run --quiet -- schema --write schemas

# Renew the part of the chapter on orders that is made from the table of transitions.
states:
    LOCKSTEP_WRITE_BOOK=1 cargo test --quiet -p lockstep-actors the_book_says

# API documentation of the workspace.
docs:
    cargo doc --workspace --no-deps
