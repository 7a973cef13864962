"""Builds the image around a release build, in a store of its own that is gone at the end: a stand-in for Debian's image must
never be taken for the real one by somebody else's build.

Needs root, buildah, podman and runc; where Debian's image can't be pulled also mmdebstrap, which makes a stand-in of the
same packages.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "deploy/drill"))

from servers import Failed  # noqa: E402

BASE = "docker.io/library/debian:bookworm-slim"
IMAGE = "localhost/ii-claw:image-test"
TOOLS = ("buildah", "podman", "runc")


def run(*command: str | Path, good: bool = True, env: dict[str, str] | None = None) -> str:
    """What it printed; a failure unless it ended with 0, or none is asked for."""
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, env=env)
    if good and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()


def debian(suite: str, tar: Path, *options: str) -> None:
    """A root of Debian's packages, without any image."""
    if shutil.which("mmdebstrap") is None:
        raise Failed("mmdebstrap is missing: apt-get install mmdebstrap, or let images be pulled")
    run("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", *options, suite, tar)


class Store:
    """Images and containers of one test, in its folder."""

    def __init__(self, folder: Path, say):
        self.folder, self.say = folder, say
        self.places = ["--root", str(folder / "images"), "--runroot", str(folder / "running")]
        self.command = ["podman", *self.places, "--runtime", "runc", "--cgroup-manager", "cgroupfs"]

    def podman(self, *args: str, good: bool = True) -> str:
        return run(*self.command, *args, good=good)

    def works(self, *args: str) -> bool:
        return subprocess.run([*self.command, *args], capture_output=True).returncode == 0

    def build(self, program: Path) -> None:
        """`program` takes the place of the Dockerfile's first stage, which needs a compiler's image and a quarter of an
        hour; all other stages are built."""
        if not self.works("pull", "--quiet", BASE):
            self.say(f"{BASE} can't be pulled: making a stand-in with mmdebstrap")
            debian("bookworm", self.folder / "base.tar")
            self.podman("import", "--quiet", str(self.folder / "base.tar"), BASE)
        (self.folder / "build/out").mkdir(parents=True)
        shutil.copy(program, self.folder / "build/out/ii-claw")
        # What this machine's package clients go by, the build's go by, and the image keeps nothing of it.
        (self.folder / "pip.conf").write_text("[global]\ncert = /etc/machine-authorities.crt\n")
        mounts = {
            "/etc/apt/apt.conf.d": "/etc/apt/apt.conf.d",
            "/etc/ssl/certs/ca-certificates.crt": "/etc/machine-authorities.crt",
            str(self.folder / "pip.conf"): "/etc/pip.conf",
        }
        volumes = [f"--volume={there}:{here}:ro" for there, here in mounts.items()]
        run(
            "buildah",
            *self.places,
            "build",
            "--format=docker",
            "--runtime=runc",
            "--isolation=oci",
            "--network=host",
            *volumes,
            f"--build-context=build={self.folder / 'build'}",
            "--ignorefile=deploy/Dockerfile.dockerignore",
            "--file=deploy/Dockerfile",
            f"--tag={IMAGE}",
            ".",
        )

    def end(self) -> None:
        """Nothing of it stays, on the disk or mounted."""
        self.podman("rm", "--all", "--force", good=False)
        run("umount", self.folder / "images/overlay", good=False)
        for name in ("images", "running"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def missing_tools() -> list[str]:
    return [tool for tool in TOOLS if shutil.which(tool) is None]
