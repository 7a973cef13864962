#!/usr/bin/env bash
# Checks the rules, tries each alert's two cases, and reads the example configurations, with Prometheus' own programs.
#
#   deploy/prometheus/check.sh
#
# `scripts/setup.sh test`, which continuous integration begins with, installs promtool and amtool, or fails. Without them it says aloud
# what was not checked. Starts nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=deploy/say.sh
. ../say.sh

# Runs a program and tells what it said only if it found something.
quietly() {
    local said
    said=$("$@" 2>&1) || {
        say "$* failed: $said" >&2
        exit 1
    }
}

if command -v promtool >/dev/null 2>&1; then
    quietly promtool check rules rules/*.yaml
    quietly promtool test rules tests/*.yaml
    quietly promtool check config prometheus.yml
    cases=$(cat tests/*.yaml | grep -c 'alertname:')
    say "promtool: $(cat rules/*.yaml | grep -c 'alert:') alerts pass, in $cases cases"
else
    skipped "promtool is not installed, so the rules of deploy/prometheus and their cases were NOT tried"
fi
if command -v amtool >/dev/null 2>&1; then
    quietly amtool check-config alertmanager.yml
    say "amtool: deploy/prometheus/alertmanager.yml is one"
else
    skipped "amtool is not installed, so it did NOT read deploy/prometheus/alertmanager.yml"
fi
