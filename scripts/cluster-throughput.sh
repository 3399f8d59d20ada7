#!/usr/bin/env bash
# How many messages one, two and three nodes take on this machine, and what a message costs: processor time and memory of the nodes,
# round trips and write-ahead log of PostgreSQL, bytes over the loopback. Needs what scripts/test-services.sh starts, and release
# binaries: cargo build --release --bin lockstep --bin lockstep-loadtest.
#
#   scripts/cluster-throughput.sh [RATE] [SECONDS] [NODES...]     as in scripts/cluster-throughput.sh 20000 20 1 2 3
#
# The generator, RabbitMQ and PostgreSQL share the machine's cores with the nodes: it says what a message costs, not what a cluster can do.
set -euo pipefail
cd "$(dirname "$0")/.."

rate=${1:-20000} seconds=${2:-20}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- 1 2 3
partitions=48
work=$(mktemp -d)
pids=()

stop() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  pids=()
}
trap 'stop; rm -rf "$work"' EXIT

ask() { psql -q -At -h 127.0.0.1 -U postgres -w -d "$1" -c "$2"; }

# Transactions and bytes of write-ahead log so far, and bytes over the loopback.
counts() {
  ask "$1" "select xact_commit from pg_stat_database where datname = '$1'"
  ask "$1" "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
  awk '$1 == "lo:" { print $2 }' /proc/net/dev
}

configure() {
  cat <<TOML
[node]
shards = 1
[store]
kind = "postgres"
partitions = $partitions
[store.postgres]
url = "postgres://postgres@127.0.0.1:5432/$3"
[cluster]
name = "node-$1"
listen = "127.0.0.1:$((8580 + $1))"
[http]
listen = "127.0.0.1:$((8680 + $1))"
keys = "$work/keys.toml"
anonymous_on_loopback = true
[amqp]
url = "amqp://guest:guest@127.0.0.1:5672/%2f"
prefix = "$3"
partition_queues = true
partition_prefetch = 512
[amqp.users]
guest = { system = "operator", scopes = ["admin"] }
TOML
}

shared_by() {
  local each
  each=$(ask "$1" "select count(distinct owner) || '/' || count(owner) from lockstep.placement" 2>/dev/null || true)
  [ "$each" = "$2/$partitions" ]
}

measure() {
  local nodes=$1 name before after flags=()
  name="throughput_$$_$nodes"
  ask postgres "create database $name"
  for node in $(seq "$nodes"); do
    configure "$node" "$nodes" "$name" >"$work/$node.toml"
    target/release/lockstep serve --cluster --config "$work/$node.toml" 2>"$work/$node.log" &
    pids+=($!)
    flags+=(--pid $!)
  done
  for _ in $(seq 600); do shared_by "$name" "$nodes" && break; sleep 0.1; done
  shared_by "$name" "$nodes" || { cat "$work"/*.log >&2; exit 1; }
  sleep 2
  mapfile -t before < <(counts "$name")
  target/release/lockstep-loadtest drive amqp --prefix "$name" --partitions "$partitions" --rate "$rate" --seconds "$seconds" \
    --workload stock --skus 10000 "${flags[@]}"
  mapfile -t after < <(counts "$name")
  awk -v nodes="$nodes" -v sent=$((rate * (seconds + 2))) \
    -v x=$((after[0] - before[0])) -v wal=$((after[1] - before[1])) -v lo=$((after[2] - before[2])) \
    'BEGIN { printf "%d nodes: a message, warm-up included: %.4f transactions, %.0f bytes of write-ahead log, %.0f bytes over the loopback\n\n",
             nodes, x / sent, wal / sent, lo / sent }'
  stop
  ask postgres "drop database $name with (force)"
  for queue in $(rabbitmqctl -q list_queues name | grep "^$name\\."); do rabbitmqctl -q delete_queue "$queue" >/dev/null; done
}

for nodes in "$@"; do measure "$nodes"; done
