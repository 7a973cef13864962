"""A Docker engine with compose: this machine's own where one runs, else one for as long as the test takes.

What it makes has the test's own project name, so it shares no container and no volume with anybody. Images have the names that
compose.yaml gives them; those that were there before are put back at the end, all others go.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from image import IMAGE, ROOT, Store, run
from servers import Failed, until
from standins.images import Roots, StandIn, root_name, stand_in

COMPOSE_FILE = ROOT / "deploy/compose.yaml"
PROJECT = f"ii-claw-test-{os.getpid()}"
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
# What of the environment is the engine's; nothing else may reach the variables of compose.yaml.
KEPT = ("PATH", "HOME", "DOCKER_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class Daemon:
    """An engine that leaves nothing on the machine: the packet filter and the bridge are as they were before it."""

    def __init__(self, folder: Path):
        for tool in ("dockerd", "iptables-save", "iptables-restore", "ip"):
            if shutil.which(tool) is None:
                raise Failed(
                    f"{tool} is missing: apt-get install docker.io iptables iproute2, or start a Docker engine"
                )
        self.filter = {table: run("iptables-save", "-t", table) for table in ("filter", "nat")}
        self.forward = FORWARD.read_text()
        self.had_bridge = Path("/sys/class/net/docker0").exists()
        self.socket = folder / "docker.sock"
        self.log = folder / "dockerd.log"
        # Not the machine's.
        config = folder / "daemon.json"
        config.write_text('{"ip6tables": false}')
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    "dockerd",
                    f"--config-file={config}",
                    f"--data-root={folder / 'docker'}",
                    f"--exec-root={folder / 'docker-run'}",
                    f"--pidfile={folder / 'docker.pid'}",
                    f"--host=unix://{self.socket}",
                ],
                stdout=log,
                stderr=log,
                # Ctrl-C is the test's to handle.
                start_new_session=True,
            )

    def end(self) -> None:
        """Its containers are gone by now; containerd ends with it."""
        self.process.terminate()
        self.process.wait()
        for rules in self.filter.values():
            subprocess.run(["iptables-restore"], input=rules + "\n", text=True, capture_output=True)
        if not self.had_bridge:
            run("ip", "link", "delete", "docker0", good=False)
        FORWARD.write_text(self.forward)


class Engine:
    def __init__(self, folder: Path, say: Callable[[str], None]):
        self.folder, self.say, self.daemon = folder, say, None
        self.roots = Roots(folder, say)
        self.env = {name: value for name, value in os.environ.items() if name.upper().startswith(KEPT)}
        # Images by name, and what they were before the test, if anything.
        self.before: dict[str, str] = {}
        self.settings, self.override = folder / "env", folder / "override.json"

    def start(self) -> None:
        if shutil.which("docker") is None:
            raise Failed("docker is missing: apt-get install docker.io")
        if not self.works("info"):
            self.say("no Docker engine runs: starting one for the test")
            self.daemon = Daemon(self.folder)
            self.env["DOCKER_HOST"] = f"unix://{self.daemon.socket}"
            until(f"the engine answers, its log is {self.daemon.log}", self.answers)
        if not self.works("compose", "version"):
            self.say("docker compose is missing: taking Debian's")
            self.roots.compose(self.folder / "docker-config/cli-plugins")
            self.env["DOCKER_CONFIG"] = str(self.folder / "docker-config")
        self.say(
            f"Docker {self.docker('version', '--format={{.Server.Version}}')}, {self.docker('compose', 'version')}"
        )

    def answers(self) -> bool:
        if self.daemon and self.daemon.process.poll() is not None:
            raise Failed(f"the engine ended: {self.daemon.log.read_text()[-2000:]}")
        return self.works("info")

    def works(self, *args: str) -> bool:
        return subprocess.run(["docker", *args], env=self.env, capture_output=True).returncode == 0

    def docker(self, *args: str, good: bool = True) -> str:
        return run("docker", *args, good=good, env=self.env)

    def compose(self, *args: str, good: bool = True) -> str:
        files = [f"--file={COMPOSE_FILE}"] + ([f"--file={self.override}"] if self.override.exists() else [])
        return self.docker(
            "compose", f"--project-name={PROJECT}", f"--env-file={self.settings}", *files, *args, good=good
        )

    def remember(self, image: str) -> None:
        """What has this name before the test gives it to something else."""
        self.before[image] = self.docker("images", "--no-trunc", "--quiet", image)

    def load(self, store: Store, image: str) -> None:
        """The image that the store built, under the name that compose.yaml has for it."""
        self.remember(image)
        tar = self.folder / "image.tar"
        store.podman("save", "--quiet", "--format=docker-archive", f"--output={tar}", IMAGE)
        self.docker("load", "--quiet", f"--input={tar}")
        self.docker("tag", IMAGE, image)
        self.docker("rmi", IMAGE)
        tar.unlink()

    def have(self, image: str) -> StandIn | str | None:
        """The real image (its own name is answered), or a stand-in for it, or nothing. An engine that others use gets no stand-in:
        were the test killed, they would take it for the real one."""
        self.remember(image)
        if self.before[image] or self.works("pull", "--quiet", image):
            return image
        if self.daemon is None:
            raise Failed(f"this machine's engine can't pull {image}: let it, or stop it, and the test starts one of its own")
        found = stand_in(self.docker, image, self.roots)
        if found:
            self.before[root_name(found)] = ""
        return found

    def containers(self, service: str) -> list[str]:
        labels = {"project": PROJECT, "service": service}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()

    def inspect(self, container: str, template: str) -> str:
        return self.docker("inspect", f"--format={template}", container)

    def tell(self) -> str:
        """What there is and what it said last, for whoever looks for the fault."""
        return self.compose("ps", "--all", good=False) + "\n" + self.compose("logs", "--tail=10", good=False)

    def end(self) -> None:
        """Containers, networks, volumes and images of the test go, whatever became of it."""
        if self.settings.exists():
            self.compose("down", "--volumes", "--remove-orphans", "--timeout=5", good=False)
        for image, was in self.before.items():
            if was:
                self.docker("tag", was, image, good=False)
            else:
                self.docker("rmi", "--force", image, good=False)
        if self.daemon:
            self.daemon.end()
