"""Streams of events (`text/event-stream`) never end, and schemathesis reads every answer to its end. So the runner
leaves them out there, and here they get the same generated calls; of a stream only status and headers are looked at.
"""

import sys

import requests
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, given, seed, settings

import hooks
from run import CHECKS
from world import STREAM, streaming


def fuzz(url: str, key: str, examples: int, number: int) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for path, method in streaming(hooks.world.document):
        operation = schema[path][method]

        @seed(number)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def call(case):
            check(case, url, key)

        call()


def check(case, url: str, key: str) -> None:
    hooks.steer(case)
    # Not the headers: the key is among them.
    what = f"{case.method} {case.formatted_path} {case.query}"
    call = case.as_transport_kwargs(base_url=url, headers={"Authorization": f"Bearer {key}"})
    with requests.Session() as session:
        session.trust_env = False
        with session.request(**call, stream=True, timeout=(10, 30)) as response:
            hooks.note(case, response.status_code)
            documented = case.operation.definition.raw["responses"]
            assert str(response.status_code) in documented, f"undocumented status {response.status_code} of {what}"
            assert response.status_code < 500, f"{response.status_code} of {what}"
            content = response.headers.get("content-type", "").split(";")[0]
            if response.status_code < 300:
                assert content == STREAM, f"content type {content!r} of {what}"
            else:
                # Known by name once a document was loaded.
                checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
                case.validate_response(schemathesis.Response.from_requests(response, verify=True), checks=checks)


if __name__ == "__main__":
    fuzz(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
