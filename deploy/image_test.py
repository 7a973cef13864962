"""Builds the image and starts it as README.md says: a single node with four settings, then the roles.

Usage: image_test.py PROGRAM

PROGRAM is a release build of ii-claw. It takes the place of the Dockerfile's first stage, which needs a compiler's
image and a quarter of an hour; all other stages are built. Needs root, buildah, podman, runc and PostgreSQL; where
Debian's image can't be pulled also mmdebstrap, which makes a stand-in of the same packages.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from ipaddress import ip_address
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "deploy/drill"))

from servers import Failed, Postgres, answers, free_port, until  # noqa: E402
from traffic import Backend, People  # noqa: E402

BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/ii-claw:image-test"
PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
# The machine that tests may not allow to raise limits, and has no systemd that asks for health by the clock: the
# test asks.
LIMITS = ["--ulimit", "nofile=8192:8192", "--ulimit", "nproc=4096:4096", "--health-interval=disable"]
RESTRICTED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


def say(sentence: str) -> None:
    print(f"image-test: {sentence}", flush=True)


def run(*command: str | Path, good: bool = True) -> str:
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if good and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()


def podman(*args: str, good: bool = True) -> str:
    return run(*PODMAN, *args, good=good)


def works(*args: str) -> bool:
    return subprocess.run([*PODMAN, *args], capture_output=True).returncode == 0


def build(program: Path, work: Path) -> None:
    if not works("image", "exists", BASE) and not works("pull", "--quiet", BASE):
        say(f"{BASE} can't be pulled: making a stand-in with mmdebstrap")
        run("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", "bookworm", work / "base.tar")
        podman("import", "--quiet", str(work / "base.tar"), BASE)
    (work / "build/out").mkdir(parents=True)
    shutil.copy(program, work / "build/out/ii-claw")
    # What this machine's package clients go by, the build's go by, and the image keeps nothing of it.
    (work / "pip.conf").write_text("[global]\ncert = /etc/machine-authorities.crt\n")
    mounts = {
        "/etc/apt/apt.conf.d": "/etc/apt/apt.conf.d",
        "/etc/ssl/certs/ca-certificates.crt": "/etc/machine-authorities.crt",
        str(work / "pip.conf"): "/etc/pip.conf",
    }
    volumes = [f"--volume={there}:{here}:ro" for there, here in mounts.items()]
    run(
        "buildah",
        "build",
        "--format=docker",
        "--runtime=runc",
        "--isolation=oci",
        "--network=host",
        *volumes,
        f"--build-context=build={work / 'build'}",
        "--ignorefile=deploy/Dockerfile.dockerignore",
        "--file=deploy/Dockerfile",
        f"--tag={IMAGE}",
        ".",
    )


def check_image() -> None:
    (image,) = json.loads(podman("image", "inspect", IMAGE))
    config = image["Config"]
    if config["User"] != "10001:10001" or config["Entrypoint"] != ["tini", "--", "ii-claw"] or config["Cmd"] != ["up"]:
        raise Failed(f"the image runs {config['Entrypoint']} {config['Cmd']} as {config['User']}")
    document = json.loads(inside("cat", "/usr/share/doc/ii-claw/sbom.cdx.json"))
    found = [component.get("purl", "") for component in document["components"]]
    crates, packages = (sum(purl.startswith(f"pkg:{kind}/") for purl in found) for kind in ("cargo", "deb"))
    if not any(purl.startswith("pkg:cargo/tokio@") for purl in found) or not any(
        "/nats-server@" in purl for purl in found
    ):
        raise Failed("the list of what the image is made of lacks tokio or nats-server")
    say(f"{image['Size'] / 1e6:.0f} MB with this base, made of {packages} packages and {crates} crates")


def inside(*command: str) -> str:
    return podman(
        "run", "--rm", *LIMITS, "--network=none", "--read-only", f"--entrypoint={command[0]}", IMAGE, *command[1:]
    )


class Containers:
    """Those of this test, removed at its end."""

    def __init__(self) -> None:
        self.prefix = f"ii-claw-test-{secrets.token_hex(4)}"
        self.names: list[str] = []

    def start(self, name: str, *options: str, command: tuple[str, ...] = ()) -> str:
        name = f"{self.prefix}-{name}"
        self.names.append(name)
        podman("run", "--detach", "--name", name, *LIMITS, *options, IMAGE, *command)
        return name

    def healthy(self, name: str) -> None:
        def holds() -> bool:
            if podman("inspect", "--format", "{{.State.Running}}", name) != "true":
                raise Failed(f"{name} ended: {self.logs(name)}")
            return works("healthcheck", "run", name)

        until(f"{name} is healthy", holds)

    def logs(self, name: str) -> str:
        return subprocess.run([*PODMAN, "logs", "--tail", "5", name], text=True, stdout=-1, stderr=-2).stdout

    def stop(self, name: str) -> None:
        """By SIGTERM, which must be enough."""
        podman("stop", "--time", "40", name)
        status = podman("inspect", "--format", "{{.State.ExitCode}}", name)
        if status != "0":
            raise Failed(f"{name} ended with {status}: {self.logs(name)}")

    def end(self) -> None:
        podman("rm", "--force", "--ignore", *self.names, good=False)


def host_address() -> str:
    """Where containers reach this machine."""
    (network,) = json.loads(podman("network", "inspect", "podman"))
    return (network.get("subnets") or network["plugins"][0]["ipam"]["ranges"][0])[0]["gateway"]


def single_node(containers: Containers, postgres: Postgres) -> None:
    """`docker run -p 4200:4200 -e ...` with the four settings, a message through it, and no zombie left."""
    backend = Backend(secret := secrets.token_hex(24), "0.0.0.0")
    port, key = free_port(), secrets.token_hex(24)
    env = {
        "DATABASE_URL": f"postgres://ii_claw@{host_address()}:{postgres.port}/ii_claw",
        "II_CLAW_API_KEY": key,
        "AI_WEBHOOK_URL": f"http://{host_address()}:{backend.port}/webhook",
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
    backend = Backend(secret := secrets.token_hex(24), "0.0.0.0")
    nats = containers.start("nats", *RESTRICTED, "--entrypoint=nats-server", command=("--port", "4222"))
    address = podman("inspect", "--format", "{{.NetworkSettings.IPAddress}}", nats)
    env = {
        "DATABASE_URL": f"postgres://ii_claw@{host_address()}:{postgres.port}/ii_claw",
        "NATS_URL": f"nats://{address}:4222",
        "II_CLAW_API_KEY": secrets.token_hex(24),
        "II_CLAW_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
        "AI_WEBHOOK_URL": f"http://{host_address()}:{backend.port}/webhook",
        "AI_WEBHOOK_SECRET": secret,
    }
    options = [*RESTRICTED, *[f"--env={k}={v}" for k, v in env.items()]]
    podman("run", "--rm", *LIMITS, *options, IMAGE, "migrate")
    # Each says at which address it is, as the chart has it by the pod's.
    addresses = {
        role: str(ip_address(host_address()) + at) for at, role in enumerate(("gateway", "worker", "scheduler"), 240)
    }
    started = [
        containers.start(role, *options, f"--ip={at}", f"--env=II_CLAW_RPC_ADVERTISE={at}:4201", command=(role,))
        for role, at in addresses.items()
    ]
    for name in started:
        containers.healthy(name)
        until(f"{name} is ready", lambda name=name: works("exec", name, "healthcheck", "/readyz"))
    # What `helm test` runs.
    for command in ("doctor", "status"):
        podman(
            "run", "--rm", *LIMITS, *options, f"--env=II_CLAW_URL=http://{addresses['gateway']}:4200", IMAGE, command
        )
    for name in started:
        containers.stop(name)
    refused = subprocess.run(
        [*PODMAN, "run", "--rm", *LIMITS, *RESTRICTED, f"--env=DATABASE_URL={env['DATABASE_URL']}", IMAGE, "worker"],
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
    for tool in ("buildah", "podman", "runc"):
        if shutil.which(tool) is None:
            sys.exit(f"image-test: {tool} is missing: apt-get install buildah podman runc mmdebstrap")
    containers = Containers()
    with tempfile.TemporaryDirectory(prefix="ii-claw-image-") as folder:
        work = Path(folder)
        work.chmod(0o755)
        (work / "postgres").mkdir()
        postgres = Postgres(work / "postgres")
        try:
            build(program, work)
            check_image()
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
            containers.end()
            postgres.stop()


if __name__ == "__main__":
    main()
