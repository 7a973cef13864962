#!/usr/bin/env bash
# Builds the version before this one, which tests/upgrade/previous names, to target/previous/ii-claw. That is a commit until
# there are releases; after each one, name it there.
#
# In a target directory of its own: cargo tells members of a workspace by their paths below it, so that of two versions in one
# directory it would take the one for the other. Ends with status 3 when the version is not in the history of this clone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

commit=$(<tests/upgrade/previous)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
folder=$target/previous

if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    printf '\n*** SKIPPED: the upgrade was NOT tested ***\n' >&2
    printf '*** %s is not in the history of this clone; fetch all of it: git fetch --unshallow ***\n\n' "$commit" >&2
    exit 3
fi
if [ -x "$folder/ii-claw" ] && [ "$(cat "$folder/commit" 2>/dev/null)" = "$commit" ]; then
    exit 0
fi

mkdir -p "$folder"
rm -rf "$folder/source" "$folder/build"
mkdir "$folder/source"
git archive "$commit" | tar -x -C "$folder/source"
CARGO_TARGET_DIR=$folder/build "${CARGO:-cargo}" build --locked -p ii-claw --manifest-path "$folder/source/Cargo.toml"
cp "$folder/build/debug/ii-claw" "$folder/ii-claw"
printf '%s\n' "$commit" >"$folder/commit"
rm -rf "$folder/source" "$folder/build"
