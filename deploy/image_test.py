"""Builds the image and starts it as README.md says: a single node with four settings, then the roles.

Usage: image_test.py PROGRAM

PROGRAM is a release build of ii-claw. Needs root, PostgreSQL and what image.py needs.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from base64 import b64encode
from ipaddress import ip_address
from pathlib import Path

from image import IMAGE, Store, missing_tools  # It also says where the drill's modules are.
from servers import Failed, Postgres, answers, free_port, until
from traffic import Backend, People

# The machine that tests may not allow to raise limits, and has no systemd that asks for health by the clock: the
# test asks.
LIMITS = ["--ulimit", "nofile=8192:8192", "--ulimit", "nproc=4096:4096", "--health-interval=disable"]
RESTRICTED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


def say(sentence: str) -> None:
    print(f"image-test: {sentence}", flush=True)


def check_image(store: Store) -> None:
    (image,) = json.loads(store.podman("image", "inspect", IMAGE))
    config = image["Config"]
    if config["User"] != "10001:10001" or config["Entrypoint"] != ["tini", "--", "ii-claw"] or config["Cmd"] != ["up"]:
        raise Failed(f"the image runs {config['Entrypoint']} {config['Cmd']} as {config['User']}")
    document = json.loads(inside(store, "cat", "/usr/share/doc/ii-claw/sbom.cdx.json"))
    found = [component.get("purl", "") for component in document["components"]]
    crates, packages = (sum(purl.startswith(f"pkg:{kind}/") for purl in found) for kind in ("cargo", "deb"))
    if not any(purl.startswith("pkg:cargo/tokio@") for purl in found) or not any(
        "/nats-server@" in purl for purl in found
    ):
        raise Failed("the list of what the image is made of lacks tokio or nats-server")
    say(f"{image['Size'] / 1e6:.0f} MB with this base, made of {packages} packages and {crates} crates")


def inside(store: Store, *command: str) -> str:
    return store.podman(
        "run", "--rm", *LIMITS, "--network=none", "--read-only", f"--entrypoint={command[0]}", IMAGE, *command[1:]
    )


class Containers:
    """Those of this test; they end with their store."""

    def __init__(self, store: Store) -> None:
        self.store, self.podman = store, store.podman
        self.prefix = f"ii-claw-test-{secrets.token_hex(4)}"

    def start(self, name: str, *options: str, command: tuple[str, ...] = ()) -> str:
        name = f"{self.prefix}-{name}"
        self.podman("run", "--detach", "--name", name, *LIMITS, *options, IMAGE, *command)
        return name

    def healthy(self, name: str) -> None:
        def holds() -> bool:
            if self.podman("inspect", "--format", "{{.State.Running}}", name) != "true":
                raise Failed(f"{name} ended: {self.logs(name)}")
            return self.store.works("healthcheck", "run", name)

        until(f"{name} is healthy", holds)

    def logs(self, name: str) -> str:
        return subprocess.run(
            [*self.store.command, "logs", "--tail", "5", name], text=True, stdout=-1, stderr=-2
        ).stdout

    def stop(self, name: str) -> None:
        """By SIGTERM, which must be enough."""
        self.podman("stop", "--time", "40", name)
        status = self.podman("inspect", "--format", "{{.State.ExitCode}}", name)
        if status != "0":
            raise Failed(f"{name} ended with {status}: {self.logs(name)}")


def host_address(store: Store) -> str:
    """Where containers reach this machine."""
    (network,) = json.loads(store.podman("network", "inspect", "podman"))
    return (network.get("subnets") or network["plugins"][0]["ipam"]["ranges"][0])[0]["gateway"]


def single_node(containers: Containers, postgres: Postgres) -> None:
    """`docker run -p 4200:4200 -e ...` with the four settings, a message through it, and no zombie left."""
    backend, host, podman = (
        Backend(secret := secrets.token_hex(24), "0.0.0.0"),
        host_address(containers.store),
        containers.podman,
    )
    port, key = free_port(), secrets.token_hex(24)
    env = {
        "DATABASE_URL": f"postgres://ii_claw@{host}:{postgres.port}/ii_claw",
        "II_CLAW_API_KEY": key,
        "AI_WEBHOOK_URL": f"http://{host}:{backend.port}/webhook",
        "AI_WEBHOOK_SECRET": secret,
    }
    name = containers.start("up", f"--publish=127.0.0.1:{port}:4200", *[f"--env={k}={v}" for k, v in env.items()])
    containers.healthy(name)
    until("the single node is ready", lambda: answers(f"http://127.0.0.1:{port}/readyz"))
    people = People(f"http://127.0.0.1:{port}", key)
    people.configure()
    people.write(40)
    until("the backend heard 40 messages", lambda: backend.count() == 40)
    podman("exec", name, "bash", "-c", "(true & exec true) & wait")
    processes = podman("exec", name, "bash", "-c", "cat /proc/[0-9]*/stat").splitlines()
    zombies = [line for line in processes if line.rsplit(")", 1)[1].split()[0] == "Z"]
    if not processes[0].startswith("1 (tini)") or zombies:
        raise Failed(f"PID 1 is {processes[0]}, zombies are {zombies}")
    containers.stop(name)
    say("a single node with four settings is healthy, delivers, leaves no zombie and ends at SIGTERM with 0")


def roles(containers: Containers, postgres: Postgres) -> None:
    """Each in a container with nothing to write to and no capability; nats-server is the image's own."""
    backend, host, podman = (
        Backend(secret := secrets.token_hex(24), "0.0.0.0"),
        host_address(containers.store),
        containers.podman,
    )
    nats = containers.start("nats", *RESTRICTED, "--entrypoint=nats-server", command=("--port", "4222"))
    address = podman("inspect", "--format", "{{.NetworkSettings.IPAddress}}", nats)
    env = {
        "DATABASE_URL": f"postgres://ii_claw@{host}:{postgres.port}/ii_claw",
        "NATS_URL": f"nats://{address}:4222",
        "II_CLAW_API_KEY": secrets.token_hex(24),
        "II_CLAW_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
        "AI_WEBHOOK_URL": f"http://{host}:{backend.port}/webhook",
        "AI_WEBHOOK_SECRET": secret,
    }
    options = [*RESTRICTED, *[f"--env={k}={v}" for k, v in env.items()]]
    podman("run", "--rm", *LIMITS, *options, IMAGE, "migrate")
    # Each says at which address it is, as the chart has it by the pod's.
    addresses = {role: str(ip_address(host) + at) for at, role in enumerate(("gateway", "worker", "scheduler"), 240)}
    started = [
        containers.start(role, *options, f"--ip={at}", f"--env=II_CLAW_RPC_ADVERTISE={at}:4201", command=(role,))
        for role, at in addresses.items()
    ]
    for name in started:
        containers.healthy(name)
        until(f"{name} is ready", lambda name=name: containers.store.works("exec", name, "healthcheck", "/readyz"))
    # What `helm test` runs.
    for command in ("doctor", "status"):
        podman(
            "run", "--rm", *LIMITS, *options, f"--env=II_CLAW_URL=http://{addresses['gateway']}:4200", IMAGE, command
        )
    for name in started:
        containers.stop(name)
    refused = subprocess.run(
        [
            *containers.store.command,
            "run",
            "--rm",
            *LIMITS,
            *RESTRICTED,
            f"--env=DATABASE_URL={env['DATABASE_URL']}",
            IMAGE,
            "worker",
        ],
        text=True,
        capture_output=True,
    )
    if refused.returncode == 0 or "AI_WEBHOOK_URL is not set" not in refused.stderr:
        raise Failed(f"a worker without its settings: {refused.returncode}, {refused.stderr}")
    say(
        "gateway, worker and scheduler are ready with a read-only root and no capabilities, doctor and status find"
        " nothing wrong, and all end at SIGTERM with 0"
    )


def main() -> None:
    if len(sys.argv) != 2 or os.geteuid() != 0:
        sys.exit(f"{__doc__}\nimage-test: as root, with one argument")
    program = Path(sys.argv[1])
    if not program.exists():
        sys.exit(f"image-test: there is no {program}: make release")
    if missing := missing_tools():
        sys.exit(f"image-test: {', '.join(missing)} missing: apt-get install buildah podman runc mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="ii-claw-image-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        (work / "postgres").mkdir()
        postgres, store = Postgres(work / "postgres"), Store(work, say)
        containers = Containers(store)
        try:
            store.build(program)
            check_image(store)
            # For as long as the test takes: containers come from other addresses than this machine's own.
            postgres.initialise("*")
            with (postgres.data / "pg_hba.conf").open("a") as hba:
                hba.write("host all all samenet trust\n")
            postgres.start()
            postgres.create_database()
            single_node(containers, postgres)
            postgres.sql("drop database ii_claw with (force)", "postgres")
            postgres.create_database()
            roles(containers, postgres)
        except Failed as error:
            sys.exit(f"image-test: {error}")
        finally:
            store.end()
            postgres.stop()


if __name__ == "__main__":
    main()
