#!/usr/bin/env bash
# Fuzzes every parser that reads what strangers send, with libFuzzer, which follows the coverage.
#
#   run.sh [--seconds N] [TARGET...]    600 seconds each and all targets, as many at a time as there are processors
#
# A panic, an input that takes more than 10 seconds and one that takes more than 2 GB are findings: the input is kept and
# named, and the exit status is 1. The stable compiler will do: the flags are those that cargo-fuzz gives it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=600
if [ "${1:-}" = --seconds ]; then
    seconds=${2:?--seconds needs a number}
    shift 2
fi

folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/fuzz")
host=$(rustc -vV | sed -n 's/^host: //p')
flags=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cdebug-assertions
    --cfg fuzzing
)
# Named, the target keeps the flags from build scripts and macros, which can't be linked with them.
RUSTFLAGS="${flags[*]}" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
    CARGO_PROFILE_RELEASE_STRIP=none \
    "${CARGO:-cargo}" build --release --locked --target "$host" --target-dir "$folder" \
    -p claw-fuzz-parsers --features libfuzzer
binary=$folder/$host/release/claw-fuzz-parsers

targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(FUZZ_TARGET=list "$binary")

# What one target found goes into its own folder; what it learnt is where the next run begins.
one() {
    local name=$1 at=$folder/$1
    mkdir -p "$at/corpus"
    FUZZ_TARGET=$name FUZZ_SEEDS=$at/corpus "$binary" "$at/corpus" -artifact_prefix="$at/" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        >"$at/log" 2>&1 && found=none || found="FOUND: $(sed -n 's/.*Test unit written to //p' "$at/log") (see $at/log)"
    local runs coverage
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$at/log")
    coverage=$(grep -o 'cov: [0-9]*' "$at/log" | tail -1 | cut -d' ' -f2)
    printf '%-20s %12s %9s  %s\n' "$name" "${runs:-?}" "${coverage:-?}" "$found"
}
export -f one
export folder binary seconds

printf 'each %s s, %s at a time\n%-20s %12s %9s  %s\n' "$seconds" "$(nproc)" target inputs coverage findings
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'one {}' | tee "$folder/table"
if grep -q 'FOUND' "$folder/table"; then
    echo 'repeat one with: FUZZ_TARGET=<target> '"$binary"' <file>' >&2
    exit 1
fi
