#!/usr/bin/env bash
# Visitors with a real browser talk over the web chat of a real `ii-claw up`.
#
#   tests/peers/webchat/run.sh [ARGUMENTS OF node --test]    e.g. --test-name-pattern 'two tabs'
#
# Takes Debian's Chromium (or II_CLAW_CHROMIUM), and installs it as root where it is missing. What can't be had ends with 3, and says so.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() {
    printf 'SKIPPED: no browser opened the web chat: %s\n' "$*" >&2
    exit 3
}
have() { command -v "$1" >/dev/null 2>&1; }

[[ " ${PEERS_SKIP:-} " != *" webchat "* ]] || skip "PEERS_SKIP says so"
have node && have npm || skip "there is no node, or no npm"
if ! have "${II_CLAW_CHROMIUM:-chromium}"; then
    [ -z "${II_CLAW_CHROMIUM:-}" ] || skip "II_CLAW_CHROMIUM is no program"
    have apt-get || skip "Chromium is not installed, and there is no apt-get"
    [ "$(id -u)" = 0 ] || skip "Chromium is not installed, and only root can: apt-get install chromium"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >&2 ||
        skip "Chromium can't be installed"
fi
cmp -s "$here/package-lock.json" "$here/node_modules/.installed.json" || {
    (cd "$here" && npm ci --no-audit --no-fund >&2) || skip "its packages can't be installed"
    cp "$here/package-lock.json" "$here/node_modules/.installed.json"
}

cd "$here"
II_CLAW_CHROMIUM=$(command -v "${II_CLAW_CHROMIUM:-chromium}")
export II_CLAW_CHROMIUM
exec node --test --test-reporter spec "$@" peer.test.mjs
