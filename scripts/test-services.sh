#!/usr/bin/env bash
# Installs (on Debian) and starts what the tests need: RabbitMQ on 127.0.0.1:5672 with guest/guest, and cargo-nextest.
# Harmless to run again: what is there and running is left alone.
set -euo pipefail

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

installed() { command -v "$1" >/dev/null 2>&1; }

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

install_packages() {
  local missing=()
  [ -x /usr/sbin/rabbitmq-server ] || installed rabbitmq-server || missing+=(rabbitmq-server)
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

install_packages
start_rabbitmq
if ! installed cargo-nextest; then
  echo "installing cargo-nextest" >&2
  cargo install --locked cargo-nextest
fi
