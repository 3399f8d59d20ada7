#!/usr/bin/env bash
# Installs a Tryton server from PyPI into target/tryton and prepares the PostgreSQL database `lockstep_tryton`, which tests
# take copies of: a company that sells in GBP, with the sale and stock modules. Harmless to run again.
#
#   scripts/tryton.sh          prepare
#   scripts/tryton.sh drop     remove the database and its copies
set -euo pipefail
cd "$(dirname "$0")/.."

place=target/tryton
template=lockstep_tryton
# One series, so that what the connector was tested against is known.
packages=("trytond~=8.2.0" "trytond-sale~=8.2.0" "trytond-stock~=8.2.0" "proteus~=8.2.0" "psycopg[binary,pool]~=3.2")

export PGOPTIONS="-c client_min_messages=warning"
query() { psql -h 127.0.0.1 -U postgres -v ON_ERROR_STOP=1 -qtA "$@"; }

if [ "${1:-}" = drop ]; then
  query -c "select datname from pg_database where datname like '${template}%'" | while read -r name; do
    query -c "drop database \"$name\" with (force)"
  done
  exit 0
fi

if [ ! -x "$place/venv/bin/trytond" ]; then
  echo "installing Tryton into $place" >&2
  python3 -m venv "$place/venv"
  "$place/venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
fi
cat > "$place/trytond.conf" <<'CONFIG'
[database]
uri = postgresql://postgres@127.0.0.1:5432/
CONFIG
printf 'lockstep-test\n' > "$place/password"

# Comes last of the preparation, so that a database that was left half made is made anew.
if [ "$(query -c "select 1 from pg_database where datname = '$template'")" = 1 ]; then exit 0; fi
making="${template}_making"
echo "preparing the database $template; this takes about a minute" >&2
query -c "drop database if exists $making with (force)" -c "create database $making"
export TRYTONPASSFILE="$place/password"
admin=("$place/venv/bin/trytond-admin" -c "$place/trytond.conf" -d "$making")
"${admin[@]}" --all --administrator --email admin@example.com --password --language en </dev/null >/dev/null
"${admin[@]}" -u sale stock --activate-dependencies >/dev/null
"$place/venv/bin/python" scripts/tryton_company.py "$place/trytond.conf" "$making"
query -c "alter database $making rename to $template"
