#!/usr/bin/env bash
# Installs (on Debian) and starts what the tests need: RabbitMQ on 127.0.0.1:5672 with guest/guest, PostgreSQL on
# 127.0.0.1:5432 where the user postgres needs no password from this machine, a Tryton server in target/tryton,
# a parser of X12 in target/x12, and cargo-nextest.
# Harmless to run again: what is there and running is left alone. `scripts/test-services.sh packages` installs what Debian has
# and starts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

installed() { command -v "$1" >/dev/null 2>&1; }

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

install_packages() {
  local missing=()
  [ -x /usr/sbin/rabbitmq-server ] || installed rabbitmq-server || missing+=(rabbitmq-server)
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing+=(postgresql)
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
  installed cc || missing+=(build-essential)
  installed cmake || missing+=(cmake)
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing ${missing[*]}" >&2
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

start_rabbitmq() {
  listens 5672 && return
  echo "starting RabbitMQ" >&2
  as_root rabbitmq-server -detached
  for _ in $(seq 120); do
    if listens 5672 && as_root rabbitmqctl -q status >/dev/null 2>&1; then return; fi
    sleep 1
  done
  echo "RabbitMQ does not listen on 127.0.0.1:5672 after two minutes; see /var/log/rabbitmq" >&2
  exit 1
}

# The version of the newest server that is installed, which Debian has given a cluster `main`.
postgres_version() { basename "$(dirname "$(dirname "$(ls -d /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)")")"; }

reaches_postgres() { psql -q -h 127.0.0.1 -U postgres -w -c 'select 1' postgres >/dev/null 2>&1; }

start_postgres() {
  reaches_postgres && return
  echo "starting PostgreSQL" >&2
  local version
  version=$(postgres_version)
  listens 5432 || as_root pg_ctlcluster "$version" main start
  if ! reaches_postgres; then
    # Of this machine alone, and of tests: nobody is asked for a password.
    as_root sed -i -E 's/^(host +all +all +(127\.0\.0\.1\/32|::1\/128) +).*/\1trust/' \
      "/etc/postgresql/$version/main/pg_hba.conf"
    as_root pg_ctlcluster "$version" main reload
  fi
  for _ in $(seq 30); do
    if reaches_postgres; then return; fi
    sleep 1
  done
  echo "PostgreSQL does not let postgres in on 127.0.0.1:5432; see /var/log/postgresql" >&2
  exit 1
}

install_packages
[ "${1:-}" != packages ] || exit 0
start_rabbitmq
start_postgres
scripts/tryton.sh
scripts/x12.sh
scripts/pika.sh
if ! installed cargo-nextest; then
  echo "installing cargo-nextest" >&2
  cargo install --locked cargo-nextest
fi
