#!/usr/bin/env bash
# Copies the alerts and dashboards into the chart, because a chart reads only files of its own.
#
#   deploy/sync-chart.sh            copy
#   deploy/sync-chart.sh --check    say what differs, and fail
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FILES=helm/ii-claw/files

# From, to, and the names.
sync() {
    local from=$1 to=$2 pattern=$3 file copy
    if [ "$mode" = copy ]; then
        mkdir -p "$to"
        find "$to" -name "$pattern" -delete
    fi
    for file in "$from"/$pattern; do
        [ -e "$file" ] || continue
        copy=$to/$(basename "$file")
        if [ "$mode" = copy ]; then
            cp "$file" "$copy"
        elif ! cmp -s "$file" "$copy"; then
            differ+=("$copy")
        fi
    done
    for copy in "$to"/$pattern; do
        if [ -e "$copy" ] && [ ! -e "$from/$(basename "$copy")" ]; then differ+=("$copy"); fi
    done
}

case ${1:-} in
'') mode=copy ;;
--check) mode=check ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
differ=()
sync deploy/prometheus/rules "$FILES/rules" '*.yaml'
sync deploy/grafana "$FILES/dashboards" '*.json'
if [ "${#differ[@]}" -gt 0 ]; then
    echo "sync-chart: these are not what deploy/ has, run deploy/sync-chart.sh: ${differ[*]}" >&2
    exit 1
fi
