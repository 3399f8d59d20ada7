#!/usr/bin/env bash
# Installs a Tryton server from PyPI into target/tryton and prepares the PostgreSQL databases that tests take copies of:
# `lockstep_tryton`, a company that sells in GBP, with the sale and stock modules, and `lockstep_tryton_more`, the same with
# amendments of sales and price lists. Harmless to run again.
#
#   scripts/tryton.sh          prepare
#   scripts/tryton.sh drop     remove the databases and their copies
set -euo pipefail
cd "$(dirname "$0")/.."

place=target/tryton
template=lockstep_tryton
more="${template}_more"
# One series, so that what the connector was tested against is known.
packages=("trytond~=8.2.0" "trytond-sale~=8.2.0" "trytond-stock~=8.2.0" "trytond-sale-amendment~=8.2.0"
  "trytond-sale-price-list~=8.2.0" "proteus~=8.2.0" "psycopg[binary,pool]~=3.2")

export PGOPTIONS="-c client_min_messages=warning"
query() { psql -h 127.0.0.1 -U postgres -v ON_ERROR_STOP=1 -qtA "$@"; }

if [ "${1:-}" = drop ]; then
  query -c "select datname from pg_database where datname like '${template}%'" | while read -r name; do
    query -c "drop database \"$name\" with (force)"
  done
  exit 0
fi

if [ "$(cat "$place/packages" 2>/dev/null)" != "${packages[*]}" ]; then
  echo "installing Tryton into $place" >&2
  python3 -m venv "$place/venv"
  "$place/venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  echo "${packages[*]}" > "$place/packages"
fi
cat > "$place/trytond.conf" <<'CONFIG'
[database]
uri = postgresql://postgres@127.0.0.1:5432/
CONFIG
printf 'lockstep-test\n' > "$place/password"

export TRYTONPASSFILE="$place/password"
there() { [ "$(query -c "select 1 from pg_database where datname = '$1'")" = 1 ]; }
admin() { "$place/venv/bin/trytond-admin" -c "$place/trytond.conf" "$@" >/dev/null; }

# Each is renamed at the end of its preparation, so that a database that was left half made is made anew.
making="${template}_making"
if ! there "$template"; then
  echo "preparing the database $template; this takes about a minute" >&2
  query -c "drop database if exists $making with (force)" -c "create database $making"
  admin -d "$making" --all --administrator --email admin@example.com --password --language en </dev/null
  admin -d "$making" -u sale stock --activate-dependencies
  "$place/venv/bin/python" scripts/tryton_company.py "$place/trytond.conf" "$making"
  query -c "alter database $making rename to $template"
fi
if ! there "$more"; then
  echo "preparing the database $more" >&2
  query -c "drop database if exists $making with (force)" -c "create database $making template $template"
  admin -d "$making" -u sale_amendment sale_price_list --activate-dependencies
  query -c "alter database $making rename to $more"
fi
