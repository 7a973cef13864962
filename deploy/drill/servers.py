"""The processes of a drill: PostgreSQL with its backups, nats-server, the roles. All are private to one folder."""

import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

SECONDS = 60.0


class Failed(Exception):
    """The drill failed, and why."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, holds, seconds: float = SECONDS) -> None:
    """Waits for an event by looking for it."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def postgres_programs() -> Path:
    """Where PostgreSQL's programs are, as `ii-claw up` looks for them."""
    if given := os.environ.get("II_CLAW_POSTGRES_BIN"):
        return Path(given)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise Failed("no PostgreSQL was found: install it, or set II_CLAW_POSTGRES_BIN to the folder of its programs")
    return found[-1]


def nats_program() -> str:
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    found = shutil.which(os.environ.get("II_CLAW_NATS_BIN", "nats-server"), path=path)
    if found is None:
        raise Failed("no nats-server was found: install it, or set II_CLAW_NATS_BIN to the program")
    return found


class Postgres:
    """One server that archives its log, as production should; `destroy` loses its data, the archive is elsewhere."""

    def __init__(self, folder: Path):
        self.bin, self.port = postgres_programs(), free_port()
        self.data, self.archive, self.log = folder / "data", folder / "archive", folder / "postgres.log"
        self.folder = folder
        # The server refuses to run as root.
        self.account = pwd.getpwnam("postgres").pw_uid if os.geteuid() == 0 else None
        self.archive.mkdir()
        self.own(folder, self.archive)

    def own(self, *paths: Path) -> None:
        if self.account is not None:
            for path in paths:
                os.chown(path, self.account, -1)

    def run(self, program: str, *args: str, **more) -> str:
        done = subprocess.run(
            [self.bin / program, *args],
            user=self.account,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **more,
        )
        if done.returncode != 0:
            raise Failed(f"{program} {' '.join(args)}: {done.stdout}")
        return done.stdout.strip()

    def initialise(self, listen: str = "127.0.0.1") -> None:
        self.run("initdb", "--pgdata", str(self.data), "--username", "ii_claw", "--auth", "trust", "--encoding", "UTF8")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"listen_addresses = '{listen}'\nport = {self.port}\nunix_socket_directories = ''\n"
                f"archive_mode = on\narchive_command = 'test ! -f {self.archive}/%f && cp %p {self.archive}/%f'\n"
                f"restore_command = 'cp {self.archive}/%f %p'\n"
            )

    def start(self) -> None:
        self.run(
            "pg_ctl", "start", "--wait", "--pgdata", str(self.data), "--log", str(self.log), stdin=subprocess.DEVNULL
        )

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "stop", "--mode", "immediate", "--pgdata", str(self.data))

    def destroy(self) -> None:
        """No last checkpoint, and then nothing."""
        self.stop()
        shutil.rmtree(self.data)

    def url(self, database: str = "ii_claw") -> str:
        return f"postgres://ii_claw@127.0.0.1:{self.port}/{database}"

    def sql(self, query: str, database: str = "ii_claw") -> str:
        return self.run("psql", self.url(database), "--no-psqlrc", "--tuples-only", "--no-align", "--command", query)

    def create_database(self) -> None:
        self.sql("create database ii_claw", "postgres")

    def base_backup(self, to: Path) -> None:
        self.run("pg_basebackup", "--dbname", self.url("postgres"), "--pgdata", str(to), "--checkpoint", "fast")

    def archive_all(self) -> None:
        """Until the archive has everything that was committed before the call."""
        wanted = self.sql("select pg_walfile_name(pg_switch_wal())")
        until(f"the archive has {wanted}", lambda: (self.archive / wanted).exists())

    def restore_base(self, backup: Path) -> None:
        """The backup, and after it all of the log that the archive has."""
        backup.rename(self.data)
        (self.data / "recovery.signal").touch()
        self.own(self.data / "recovery.signal")
        self.start()
        until("the recovery ended", lambda: self.sql("select pg_is_in_recovery()") == "f")

    def dump(self, to: Path) -> None:
        self.run("pg_dump", "--format", "custom", "--file", str(to), self.url())

    def restore_dump(self, dump: Path) -> None:
        self.initialise()
        self.start()
        self.create_database()
        self.run("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--dbname", self.url(), str(dump))


class Cluster:
    """nats-server, a gateway, two workers and a scheduler, in processes of their own."""

    def __init__(self, program: Path, folder: Path, environment: dict[str, str]):
        self.program, self.folder = program, folder
        self.nats_port, port = free_port(), free_port()
        self.gateway = f"http://127.0.0.1:{port}"
        base = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        self.environment = base | {
            "NATS_URL": f"nats://127.0.0.1:{self.nats_port}",
            "II_CLAW_LISTEN": f"127.0.0.1:{port}",
            "II_CLAW_MEDIA": str(folder / "media"),
            **environment,
        }
        self.running: list[subprocess.Popen] = []

    def spawn(self, name: str, command: list[str], **more: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.running.append(subprocess.Popen(command, env=self.environment | more, stdout=log, stderr=log))

    def start(self) -> None:
        done = subprocess.run([self.program, "migrate"], env=self.environment, text=True, capture_output=True)
        if done.returncode != 0:
            raise Failed(f"ii-claw migrate: {done.stderr}")
        nats = nats_program()
        self.spawn("nats", [nats, "--addr", "127.0.0.1", "--port", str(self.nats_port)])
        until("nats-server listens", lambda: listens(self.nats_port))
        ready = [f"{self.gateway}/readyz"]
        for name in ("gateway", "worker-a", "worker-b", "scheduler"):
            rpc = free_port()
            command = [str(self.program), name.split("-")[0]]
            self.spawn(name, command, II_CLAW_NAME=name, II_CLAW_RPC_LISTEN=f"127.0.0.1:{rpc}")
            ready.append(f"http://127.0.0.1:{rpc}/readyz")
        for url in ready:
            until(f"{url} answers 200; the logs are in {self.folder}", lambda url=url: answers(url))

    def kill(self) -> None:
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()
        self.running.clear()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
