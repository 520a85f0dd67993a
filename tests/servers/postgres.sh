#!/usr/bin/env bash
# Starts a PostgreSQL of its own on a free port of 127.0.0.1, with its logs in FOLDER, and stays: end it by its process id (TERM).
# When it takes connections, FOLDER/url holds the URL for KEYROLL_TEST_POSTGRES.
#
#   tests/servers/postgres.sh target/servers/postgres & server=$!
#   until [ -s target/servers/postgres/url ]; do sleep 0.1; done
#   KEYROLL_TEST_POSTGRES=$(cat target/servers/postgres/url) cargo test --test servers postgres
#   kill "$server"
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
rm -f "$folder/url"

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$programs" ] || programs=$(pg_config --bindir 2>/dev/null) || { echo 'install PostgreSQL: apt-get install -y postgresql' >&2; exit 1; }

server=
data=$(mktemp -d /tmp/keyroll-postgres.XXXXXX)
finish() {
  [ -z "$server" ] || { kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  rm -rf "$data"
}
trap finish EXIT
trap 'exit 0' TERM INT

# It refuses to run as root. Root's folders may be closed to other users, so its data is in /tmp while it runs.
as=()
printf 'test-password\n' >"$data/password"
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  chown -R postgres "$data"
fi
cd "$data"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$programs/initdb" -D "$data/db" -U keyroll_admin --pwfile="$data/password" \
  --auth=scram-sha-256 --no-sync -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }

"${as[@]}" "$programs/postgres" -D "$data/db" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories='' \
  -c max_connections=200 >"$folder/log" 2>&1 &
server=$!

for _ in $(seq 300); do
  if "$programs/pg_isready" -q -h 127.0.0.1 -p "$port"; then
    echo "postgres://keyroll_admin:test-password@127.0.0.1:$port/postgres" >"$folder/url"
    break
  fi
  kill -0 "$server" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
wait "$server"
