#!/usr/bin/env bash
# Starts a PostgreSQL of its own below FOLDER, on a free port of 127.0.0.1, and stays: end it by its process id (TERM).
# When it takes connections, FOLDER/url holds the URL for KEYROLL_TEST_POSTGRES.
#
#   tests/servers/postgres.sh target/servers/postgres & server=$!
#   until [ -s target/servers/postgres/url ]; do sleep 0.1; done
#   KEYROLL_TEST_POSTGRES=$(cat target/servers/postgres/url) cargo test --features servers --test servers postgres
#   kill "$server"
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
rm -rf "$folder/data" "$folder/url"

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$programs" ] || programs=$(pg_config --bindir 2>/dev/null) || { echo 'install PostgreSQL: apt-get install -y postgresql' >&2; exit 1; }

# It refuses to run as root; any other user runs it as itself.
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  # The way to a folder below root's home may be closed to other users.
  folder_of_data=$(mktemp -d /tmp/keyroll-postgres.XXXXXX)
  chown postgres "$folder_of_data"
else
  folder_of_data=$folder/data
  mkdir -p "$folder_of_data"
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cd /
printf 'test-password\n' >"$folder/password" && chmod 644 "$folder/password"
install -m 644 "$folder/password" "$folder_of_data.password"
"${as[@]}" "$programs/initdb" -D "$folder_of_data/db" -U keyroll_admin --pwfile="$folder_of_data.password" \
  --auth=scram-sha-256 --no-sync -E UTF8 --locale=C >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }

"${as[@]}" "$programs/postgres" -D "$folder_of_data/db" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories='' \
  -c max_connections=200 >"$folder/log" 2>&1 &
server=$!
finish() {
  kill -INT "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -rf "$folder_of_data" "$folder_of_data.password"
}
trap finish EXIT
trap 'exit 0' TERM INT

for _ in $(seq 300); do
  if "$programs/pg_isready" -q -h 127.0.0.1 -p "$port"; then
    echo "postgres://keyroll_admin:test-password@127.0.0.1:$port/postgres" >"$folder/url"
    break
  fi
  kill -0 "$server" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
  sleep 0.1
done
wait "$server"
