"""Loaded by schemathesis: leads half of the calls to what is there, puts it back, and counts.

Which half is decided by the call itself and not by chance, so that the same seed leads the same calls there.
"""

import atexit
import json
import os
import random
import zlib
from collections import Counter

import schemathesis

from world import from_environment

world = from_environment()
counts: Counter[tuple[str, int]] = Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    steer(case)


@schemathesis.hook
def after_call(context, case, response):
    note(case, response.status_code)


def steer(case) -> None:
    generated = repr((case.method, case.path, case.path_parameters, case.query, case.body))
    pick = random.Random(zlib.crc32(generated.encode(errors="replace")))
    method, led = case.method.upper(), dict(case.path_parameters or {})
    if pick.random() < 0.5:
        return
    led, query = world.lead(case.path, led, pick)
    if led:
        case.path_parameters.update(led)
    if query is not None:
        case.query.clear()
        case.query.update(query)
    if pick.random() < 0.3:
        return
    if case.path.startswith("/webhooks/") or case.path == "/hooks/{name}":
        # As plain text it is sent as it is; the signature is over the bytes.
        case.media_type = "text/plain"
        case.body, case.headers["X-Webhook-Signature"] = world.message(pick)
    elif (body := world.body(method, case.path, led, case.body, pick)) is not None:
        case.body, case.media_type = body, "application/json"


def note(case, status: int) -> None:
    counts[(case.operation.label, status)] += 1
    if status < 300 and case.method.upper() != "GET":
        world.mend(case.method.upper(), case.path, case.path_parameters or {})


@atexit.register
def report() -> None:
    with open(os.environ["FUZZ_COUNTS"], "a", encoding="utf-8") as file:
        for (operation, status), count in counts.items():
            print(json.dumps([operation, status, count]), file=file)
