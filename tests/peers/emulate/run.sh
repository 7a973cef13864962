#!/usr/bin/env bash
# Runs a command with an emulator of a platform beside it: the npm package emulate, which others wrote.
#
#   tests/peers/emulate/run.sh slack|twilio COMMAND...
#
# What can't be had ends with 3, and says so.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
service=${1:?which platform: slack or twilio}
shift

skip() {
    printf 'SKIPPED: the conversation with the emulator of %s was not had: %s\n' "$service" "$*" >&2
    exit 3
}

case $service in
    slack) port=21844 ;;
    twilio) port=21840 ;;
    *) printf 'there is no %s: slack or twilio\n' "$service" >&2 && exit 2 ;;
esac
[ $# -gt 0 ] || skip "no command was given"
command -v npm >/dev/null || skip "there is no npm"
node=$here/node_modules/node/bin/node
if [ ! -x "$node" ]; then
    (cd "$here" && npm ci --no-audit --no-fund >&2) || skip "its packages can't be installed"
fi

"$node" "$here/node_modules/emulate/dist/index.js" start --service "$service" --port "$port" --seed "$here/$service.yaml" >&2 &
emulator=$!
trap 'kill "$emulator" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$emulator" 2>/dev/null || skip "it does not start"
    sleep 0.1
done

status=0
env "II_CLAW_${service^^}_PEER=http://localhost:$port" "$@" || status=$?
exit "$status"
