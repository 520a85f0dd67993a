#!/usr/bin/env bash
# Changes the pure core in one place at a time, and sees whether the protocol's tests and the model's small size notice.
#   tests/model/mutation.sh [what cargo-mutants takes, e.g. --shard 0/8 or --list]
# The core and its tests are copied into a package of their own, which builds in seconds where keyroll takes minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
place=$target/mutation
tools=$target/tools
[ -x "$tools/bin/cargo-mutants" ] || cargo install cargo-mutants --version 27.1.0 --locked --root "$tools"

mkdir -p "$place/src" "$place/tests" "$place/.cargo"
rm -rf "$place"/src/* "$place"/tests/*
cp -r src/ids.rs src/protocol src/record src/rotation.rs "$place/src/"
cp -r tests/protocol tests/model tests/proptest-regressions "$place/tests/"
mkdir -p "$place/tests/common"
cp tests/common/figure.rs "$place/tests/common/"
cp .cargo/mutants.toml "$place/.cargo/"
cp Cargo.lock "$place/"
printf '//! The pure core.\npub mod ids;\npub mod protocol;\npub mod record;\npub mod rotation;\n' >"$place/src/lib.rs"
line() { grep -m1 "^$1 = " Cargo.toml; }
{
  printf '[package]\nname = "keyroll"\nversion = "0.1.0"\nedition = "2024"\n[workspace]\n[features]\nmutants = []\n[dependencies]\n'
  for name in serde thiserror ulid chrono fastrand; do line "$name"; done
  printf '[dev-dependencies]\n'
  for name in stateright arrayvec ahash insta proptest serde_json; do line "$name"; done
  sed -n '/^\[profile.dev\]/,/^\[profile.release\]/p' Cargo.toml | sed '$d'
} >"$place/Cargo.toml"

cd "$place"
export INSTA_UPDATE=no PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
unset CARGO_TARGET_DIR
exec "$tools/bin/cargo-mutants" mutants --output "$place" "$@"
