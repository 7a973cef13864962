#!/usr/bin/env python3
"""Fuzzes the API by its own document: no 5xx, no undocumented status, no answer that differs from its schema, and in a
long run no operation that never answers with success.

    run.py                          an `ii-claw up` of its own, at least 5,000 requests
    run.py --requests 500           fewer
    run.py --url URL --key KEY      a gateway that is there; it must allow private URLs

Exits with 1 on any finding.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path

import requests

import stack
from world import streaming

HERE = Path(__file__).resolve().parent
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
]
# From so many requests on, every operation is to have answered with success at least once.
LONG = 2_000
# Those that can't: none. At a gateway that was there before, links to attachments go to its own backend.
NEVER: set[str] = set()
NEVER_AT_ANOTHERS = {"GET /media/{message_id}/{filename}"}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a gateway that is there")
    parser.add_argument("--key", default=os.environ.get("II_CLAW_API_KEY"), help="its operator's key")
    parser.add_argument("--requests", type=int, default=5_000, help="send at least so many requests")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    if given.url and not given.key:
        parser.error("--url needs --key, or the variable II_CLAW_API_KEY")
    return given


def main() -> int:
    given = arguments()
    started = time.monotonic()
    print(f"seed: {given.seed} (repeat with --seed {given.seed})", flush=True)
    with ExitStack() as open_until_the_end:
        third_party = open_until_the_end.enter_context(stack.third_party())
        if given.url:
            url, key = given.url.rstrip("/"), given.key
        else:
            url, key = open_until_the_end.enter_context(stack.up(f"{third_party}/backend"))
        folder = open_until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="ii-claw-fuzz-counts-"))
        counts = Path(folder) / "counts"
        counts.touch()
        environment = os.environ | {
            "FUZZ_URL": url,
            "FUZZ_KEY": key,
            "FUZZ_THIRD_PARTY": third_party,
            "FUZZ_BACKEND": "no" if given.url else "yes",
            "FUZZ_COUNTS": str(counts),
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
        }
        document = requests.get(f"{url}/openapi.json", timeout=30).json()
        paths = document["paths"].items()
        operations = [f"{method.upper()} {path}" for path, item in paths for method in item if method in METHODS]
        failed = fuzz(given, url, key, environment, counts, streaming(document), len(operations))
        failed += summary(read(counts), failed, operations, given, time.monotonic() - started)
    return 1 if failed else 0


def fuzz(given, url: str, key: str, environment: dict, counts: Path, streams: list, operations: int) -> list[str]:
    """Rounds with one seed after another until enough was sent or something was found; answers what failed."""
    failed, seed = [], given.seed
    while not failed and (sent := read(counts).total()) < given.requests:
        # The cases that schemathesis derives systematically from the schema are too many for a short run.
        first = sent == 0 and given.requests >= LONG
        phases = "examples,coverage,fuzzing,stateful" if first else "fuzzing"
        # Some have fewer different cases than others.
        examples = max(10, (given.requests - sent) * 3 // (operations * 2))
        failed = one_round(url, key, streams, environment, seed, phases, examples)
        seed += 1
    return failed


def one_round(url, key, streams, environment: dict, seed: int, phases: str, examples: int) -> list[str]:
    general = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
    general += ["--checks", ",".join(CHECKS), "--phases", phases, "--max-examples", str(examples)]
    general += ["--seed", str(seed), "-H", f"Authorization: Bearer {key}", "--request-timeout", "30"]
    general += ["--generation-database", "none", "--suppress-health-check", "all", "--continue-on-failure"]
    general += ["--warnings", "off", "--no-color"]
    commands = {"schemathesis": general}
    for path, _ in streams:
        general += ["--exclude-path", path]
        commands["streams"] = [sys.executable, str(HERE / "streams.py"), url, key, str(min(examples, 100)), str(seed)]
    # It writes reports and caches to where it runs.
    with tempfile.TemporaryDirectory(prefix="ii-claw-fuzz-run-") as folder:
        return [
            name for name, command in commands.items()
            if subprocess.run(command, env=environment, cwd=folder).returncode != 0
        ]


def read(counts: Path) -> Counter[tuple[str, int]]:
    """Answers by operation and status."""
    found: Counter[tuple[str, int]] = Counter()
    for line in counts.read_text(encoding="utf-8").splitlines():
        operation, status, count = json.loads(line)
        found[(operation, status)] += count
    return found


def summary(
    counts: Counter[tuple[str, int]], failed: list[str], operations: list[str], given, seconds: float
) -> list[str]:
    """Prints what came of it; answers what else failed."""
    by_operation: dict[str, Counter[int]] = defaultdict(Counter)
    for (operation, status), count in counts.items():
        by_operation[operation][status] += count
    print("\nanswers by operation and status:")
    for operation, statuses in sorted(by_operation.items()):
        shown = "  ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        print(f"  {operation:62} {shown}")
    never = {name for name in operations if all(status >= 400 for status in by_operation[name])}
    never -= NEVER | (NEVER_AT_ANOTHERS if given.url else set())
    if never:
        print(f"never answered with success: {', '.join(sorted(never))}")
    more = ["success"] if never and given.requests >= LONG else []
    failed = failed + more
    outcome = f"FAILED: {', '.join(failed)}; see above" if failed else "no finding"
    print(f"{counts.total()} requests in {seconds:.0f} s, seed {given.seed}: {outcome}", flush=True)
    return more


if __name__ == "__main__":
    raise SystemExit(main())
