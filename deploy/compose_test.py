"""Brings compose.yaml up as README.md says, has people write through nginx, and kills what must not matter.

Usage: compose_test.py PROGRAM

PROGRAM is a release build of ii-claw, which the image is built around. Needs root, a Docker engine (or Debian's docker.io, of
which it starts one) and what image.py needs. Images that can't be pulled are stood in for by Debian's packages, or left out;
lines that begin with SKIPPED say what was therefore not tried.
"""

import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

from image import Store, missing_tools  # It also says where the drill's modules are.
from compose_checks.cluster import REPLICAS, Cluster, say, skip
from compose_checks.delivery import (
    check_callers,
    check_delivered,
    check_kills,
    check_messages,
    check_restarts,
    check_servers,
)
from compose_checks.watching import check_grafana, check_prometheus, check_traces
from engine import Engine
from servers import Failed


def prepare(engine: Engine, store: Store) -> None:
    """Every image under its name; what can't be had is left out."""
    services = json.loads(engine.compose("config", "--format=json"))["services"]
    images = {service["image"]: name for name, service in services.items()}
    left_out = []
    for image, service in sorted(images.items()):
        if image.startswith("ii-claw:"):
            engine.load(store, image)
            continue
        found = engine.have(image)
        if found is None:
            left_out.append(service)
            skip(f"{service} was left out: {image} can't be pulled, and Debian has no package of it")
        elif found != image:
            say(f"{image} can't be pulled: {found.what} stands in")
            if found.not_tried:
                skip(f"{found.not_tried}, because {image} can't be pulled")
    if left_out:
        engine.override.write_text(
            json.dumps({"services": {service: {"profiles": ["can't be had"]} for service in left_out}})
        )


def check_healthy(cluster: Cluster) -> None:
    engine, states = cluster.engine, {}
    for service in engine.compose("config", "--services").split():
        containers = engine.containers(service)
        if len(containers) != REPLICAS.get(service, 1):
            raise Failed(f"{service} is there {len(containers)} times")
        for container in containers:
            states[f"{service} {container[:12]}"] = cluster.state(container)
    migrate = [states.pop(name) for name in list(states) if name.startswith("migrate ")]
    if migrate != ["exited  0"] and not (len(migrate) == 1 and re.fullmatch(r"exited \S* 0", migrate[0])):
        raise Failed(f"migrate is {migrate}")
    # A collector's image has nothing to ask it with.
    wrong = {name: state for name, state in states.items() if state not in ("running healthy 0", "running  0")}
    unasked = [name.split()[0] for name, state in states.items() if state == "running  0"]
    if wrong or unasked != ["otel-collector"]:
        raise Failed(f"not healthy: {wrong}; without a health check: {unasked}")
    environment = engine.docker("exec", cluster.one("gateway"), "env")
    if "\nII_CLAW_EVENTS_HOURS=48\n" not in environment or "II_CLAW_MEDIA" in environment:
        raise Failed(
            "a gateway lacks II_CLAW_EVENTS_HOURS, which .env sets, or has II_CLAW_MEDIA, which it does not set"
        )
    engine.compose("exec", "-T", "worker", "ii-claw", "doctor")
    say(f"{len(states)} containers are healthy, migrate ended with 0, the doctor finds nothing wrong")


def check_again(cluster: Cluster) -> None:
    """All ends by itself, and what is brought up again has kept its data."""
    engine = cluster.engine
    engine.compose("stop")
    ends = {f"{service} {at[:12]}": cluster.state(at) for service in REPLICAS for at in engine.containers(service)}
    if wrong := {name: state for name, state in ends.items() if not re.fullmatch(r"exited \S* 0", state)}:
        raise Failed(f"roles did not end with 0: {wrong}")
    engine.compose("down")
    cluster.up()
    cluster.people.write(20)
    check_delivered(cluster)
    say("all roles end with 0, and after down and up the channel and its messages are there")


def main() -> None:
    if len(sys.argv) != 2 or os.geteuid() != 0:
        sys.exit(f"{__doc__}\ncompose-test: as root, with one argument")
    program = Path(sys.argv[1])
    if not program.exists():
        sys.exit(f"compose-test: there is no {program}: make release")
    if missing := missing_tools():
        sys.exit(
            f"compose-test: {', '.join(missing)} missing: apt-get install buildah podman runc mmdebstrap docker.io"
        )
    # What was started ends, however this does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compose-test: was told to end"))
    with tempfile.TemporaryDirectory(prefix="ii-claw-compose-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        work.chmod(0o755)
        store, engine = Store(work, say), Engine(work, say)
        try:
            engine.start()
            cluster = Cluster(engine)
            store.build(program)
            prepare(engine, store)
            cluster.up()
            for check in (
                check_healthy,
                check_messages,
                check_kills,
                check_servers,
                check_restarts,
                check_callers,
                check_prometheus,
                check_traces,
                check_grafana,
                check_again,
            ):
                check(cluster)
        except Failed as error:
            if engine.settings.exists():
                print(engine.tell(), file=sys.stderr)
            sys.exit(f"compose-test: {error}")
        finally:
            engine.end()
            store.end()


if __name__ == "__main__":
    main()
