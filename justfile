# Short names for the calls that are made every day; each one is a line of cargo.

# What CI runs first.
check: fmt clippy test

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# All tests; brings up the servers that do not run.
test:
    docker/services.sh run cargo test --workspace

# Seeds of the simulation.
seeds n="100000":
    DAJET_TEST_SEEDS={{n}} cargo test --release -p dajet-actors --test it simulation

# One system against its real server.
conformance system:
    docker/services.sh run cargo test -p dajet-adapters {{system}}

# The node from outside.
e2e:
    docker/services.sh run cargo test -p dajet-node --test it

# The README's main job.
first-light:
    cargo run --release -p dajet-node --example first-light

# Rates against the joint ceiling of the drivers; or another command of the load test.
load *args="ceiling":
    cargo build --release -p dajet-node
    docker/services.sh run cargo run --release -p dajet-loadtest -- {{args}}

# Licences, sources and homes of packages; needs cargo-deny.
deny:
    cargo deny check
