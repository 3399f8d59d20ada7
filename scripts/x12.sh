#!/usr/bin/env bash
# Installs pyx12 from PyPI into target/x12: a parser of X12 that Lockstep has no part in, which tests read our documents
# with. Harmless to run again.
set -euo pipefail
cd "$(dirname "$0")/.."

place=target/x12
if [ ! -x "$place/venv/bin/x12valid" ]; then
  echo "installing pyx12 into $place" >&2
  python3 -m venv "$place/venv"
  # One series, so that what documents were read with is known; 4.0 needs Python 3.11.
  "$place/venv/bin/pip" install --quiet --disable-pip-version-check "pyx12~=4.0.0"
fi
