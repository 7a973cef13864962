#!/usr/bin/env bash
# What compose.yaml relies on in the official image of PostgreSQL: POSTGRES_USER, _PASSWORD and _DB make the cluster at the
# first start and are not read again; it starts as root, gives its folders to its user and becomes that; while it sets up it
# can't be reached by TCP, so that nobody takes it for ready.
set -euo pipefail

data=${PGDATA:-/var/lib/postgresql/data}
if [ "$(id -u)" -eq 0 ]; then
    install -d -o postgres -g postgres -m 0700 "$data"
    install -d -o postgres -g postgres -m 2775 /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
    initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:?}") --auth=trust
    printf 'host all all all scram-sha-256\n' >>"$data/pg_hba.conf"
    pg_ctl start --pgdata="$data" --wait --options="-c listen_addresses=''"
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl stop --pgdata="$data" --wait --mode=fast
fi
exec "$@" -D "$data"
