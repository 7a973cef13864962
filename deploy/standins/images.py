"""Stand-ins for images of compose.yaml that can't be pulled: Debian's packages under the very names that compose.yaml has,
started as the real ones are, so that it is used as it is. They have what it relies on of each and no more: entrypoint, users,
who owns the folders of volumes, the commands of health checks.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from image import ROOT, debian, run

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROTEL = ROOT / "tests/peers/rotel/requirements.txt"
COMPOSE = "usr/libexec/docker/cli-plugins/docker-compose"


@dataclass(frozen=True)
class StandIn:
    """`suite` of Debian has the packages, `create` are options of `docker create` that become the image's own."""

    suite: str
    what: str
    create: tuple[str, ...] = ()
    # What is not tried where it stands in.
    not_tried: str = ""


STAND_INS = {
    "postgres": StandIn(
        "bookworm",
        "Debian's PostgreSQL 15",
        (
            "--entrypoint=/usr/local/bin/postgres.sh",
            f"--env=PATH=/usr/lib/postgresql/15/bin:{PATH}",
            "--stop-signal=SIGINT",
        ),
    ),
    "nats": StandIn("trixie", "Debian's nats-server"),
    "nginx": StandIn("trixie", "Debian's nginx", ("--stop-signal=SIGQUIT",)),
    "prom/prometheus": StandIn("trixie", "Debian's Prometheus", ("--entrypoint=prometheus",)),
    "prom/alertmanager": StandIn("trixie", "Debian's Alertmanager", ("--entrypoint=prometheus-alertmanager",)),
    "otel/opentelemetry-collector": StandIn(
        "bookworm",
        "rotel, another collector",
        ("--entrypoint=/usr/local/bin/otel-collector.sh",),
        "deploy/compose/otel-collector.yaml was read by nothing",
    ),
}
# What each image runs when it is told nothing, after its entrypoint.
DEFAULT_COMMANDS = {"postgres": ["postgres", "-c", "listen_addresses=*"]}


class Roots:
    """Debian's packages, each suite unpacked once in `folder`."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self.folder, self.say = folder, say
        self.tar = cache(self._tar)

    def _tar(self, suite: str) -> Path:
        self.say(f"making a root of packages of Debian {suite} with mmdebstrap")
        tar = self.folder / f"{suite}.tar"
        debian(suite, tar, *(self.bookworm() if suite == "bookworm" else self.trixie()))
        return tar

    def bookworm(self) -> list[str]:
        """PostgreSQL without the cluster that its package makes, and a collector, which is a wheel for this suite's Python."""
        wheel = self.folder / "wheel"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        run(*pip, "--only-binary=:all:", "--python-version=3.11", f"--target={wheel}", f"--requirement={ROTEL}")
        conf = "/etc/postgresql-common"
        return [
            "--include=postgresql-15,libpython3.11",
            f'--essential-hook=mkdir -p "$1{conf}" && echo "create_main_cluster = false" >"$1{conf}/createcluster.conf"',
            f"--customize-hook=copy-in {HERE}/postgres.sh {HERE}/otel-collector.sh {wheel}/rotel/rotel-agent /usr/local/bin",
            '--customize-hook=chmod 0755 "$1"/usr/local/bin/*',
        ]

    def trixie(self) -> list[str]:
        """Servers as new as Debian has them, and docker compose for where that is missing."""
        owned = 'chroot "$1" install -d -o 65534 -g 65534 /prometheus /alertmanager'
        return [
            "--include=nats-server,nginx-light,prometheus,prometheus-alertmanager,wget,docker-compose",
            f"--customize-hook={owned}",
            '--customize-hook=ln -sf /dev/stderr "$1/var/log/nginx/error.log"',
        ]

    def compose(self, folder: Path) -> None:
        """docker compose as a plugin in `folder`."""
        run("tar", "--extract", f"--file={self.tar('trixie')}", f"--directory={self.folder}", f"./{COMPOSE}")
        folder.mkdir(parents=True)
        shutil.move(self.folder / COMPOSE, folder / "docker-compose")


def root_name(of: StandIn) -> str:
    """The image that this stand-in and others are made of."""
    return f"ii-claw-stand-in:{of.suite}"


def stand_in(docker: Callable[..., str], image: str, roots: Roots) -> StandIn | None:
    """Makes a stand-in and names it `image`; None when there is none of its kind."""
    repository = image.rsplit(":", 1)[0]
    found = STAND_INS.get(repository)
    if found is None:
        return None
    root = root_name(found)
    if not docker("images", "--quiet", root):
        docker("import", f"--change=ENV PATH={PATH}", str(roots.tar(found.suite)), root)
    container = docker("create", *found.create, root, *DEFAULT_COMMANDS.get(repository, ["false"]))
    docker("commit", container, image)
    docker("rm", container)
    return found
