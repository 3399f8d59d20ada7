#!/usr/bin/env bash
# Installs the Python client that docs/examples use into target/pika. Harmless to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

place=target/pika
if ! "$place/venv/bin/python" -c 'import pika' 2> /dev/null; then
  echo "installing pika into $place" >&2
  python3 -m venv "$place/venv"
  "$place/venv/bin/pip" install --quiet --disable-pip-version-check "pika~=1.3.2"
fi
