#!/usr/bin/env bash
# Runs a command with an emulator of Twilio beside it, at 127.0.0.1:21840: the npm package emulate, which others wrote.
#
#   tests/peers/twilio/run.sh COMMAND...
#
# What can't be had ends with 3, and says so.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() {
    printf 'SKIPPED: the conversation by text message was not had: %s\n' "$*" >&2
    exit 3
}

[ $# -gt 0 ] || skip "no command was given"
command -v npm >/dev/null || skip "there is no npm"
node=$here/node_modules/node/bin/node
if [ ! -x "$node" ]; then
    (cd "$here" && npm ci --no-audit --no-fund >&2) || skip "its packages can't be installed"
fi

"$node" "$here/node_modules/emulate/dist/index.js" start --service twilio --port 21840 --seed "$here/twilio.yaml" >&2 &
emulator=$!
trap 'kill "$emulator" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    (exec 3<>/dev/tcp/127.0.0.1/21840) 2>/dev/null && break
    kill -0 "$emulator" 2>/dev/null || skip "it does not start"
    sleep 0.1
done

status=0
II_CLAW_TWILIO_PEER=http://127.0.0.1:21840 "$@" || status=$?
exit "$status"
