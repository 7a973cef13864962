# shellcheck shell=bash
# What the checks of this folder print; to be sourced.

say() { printf 'check: %s\n' "$*"; }

# A check that was not made, so that nobody takes the end of the others for its success.
skipped() { printf '\n*** SKIPPED: %s ***\n\n' "$*" >&2; }
