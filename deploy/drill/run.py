"""Loses the database of a cluster under way and restores it: all that was accepted must be there, and be delivered.

Usage: run.py PROGRAM [--messages N] [--keep]

PROGRAM is the ii-claw to drill with. Twice, each with a cluster and a PostgreSQL of its own:

log   a base backup taken under load and the archived log after it: nothing that was committed is lost
dump  pg_dump taken under load: what was accepted before it began is there

--messages  how many are written in each of the three parts of a drill (400)
--keep      leave the folder with the logs
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import threading
import time
from base64 import b64encode
from pathlib import Path

from servers import Cluster, Failed, Postgres, until
from traffic import Backend, People


class Drill:
    """What both ways have in common; `restore` and `kept` are what they differ in."""

    def __init__(self, name: str, program: Path, folder: Path, messages: int):
        self.name, self.messages, self.folder = name, messages, folder
        folder.mkdir()
        (folder / "postgres").mkdir()
        self.postgres = Postgres(folder / "postgres")
        key, secret = secrets.token_hex(24), secrets.token_hex(24)
        self.backend = Backend(secret)
        environment = {
            "DATABASE_URL": self.postgres.url(),
            "II_CLAW_API_KEY": key,
            # What must be kept beside the backup: without it the channel's secret can't be read.
            "II_CLAW_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(),
            "AI_WEBHOOK_URL": f"{self.backend.url}/webhook",
            "AI_WEBHOOK_SECRET": secret,
            "II_CLAW_ALLOW_PRIVATE_URLS": "true",
        }
        self.cluster = Cluster(program, folder, environment)
        self.people = People(self.cluster.gateway, key)
        self.backup = self.postgres.folder / "backup"
        # How many were accepted before the backup began.
        self.before = 0

    def run(self) -> str:
        self.begin()
        self.back_up_under_load()
        self.backend.away = True
        self.people.write(self.messages)
        waiting = self.waiting()
        if self.name == "log":
            self.postgres.archive_all()
        lost_at = time.monotonic()
        self.cluster.kill()
        self.postgres.destroy()
        if (status := self.people.post("chat-0", "chat-0/lost")) == 200:
            raise Failed(f"a cluster without anything accepted a message with {status}")
        self.restore()
        restored_at = time.monotonic()
        self.backend.away = False
        self.cluster.start()
        took = f"restored in {restored_at - lost_at:.1f} s, ready after {time.monotonic() - lost_at:.1f} s"
        return f"{took}; {waiting} waited for the backend then; {self.look()}"

    def begin(self) -> None:
        self.postgres.initialise()
        self.postgres.start()
        self.postgres.create_database()
        self.cluster.start()
        self.people.configure(f"{self.backend.url}/callback")
        self.people.write(self.messages)
        until("the first part is delivered", lambda: self.backend.count() == self.messages)

    def back_up_under_load(self) -> None:
        """The backup begins when some of the second part are accepted, and they go on being accepted."""
        self.people.write(self.messages // 4)
        self.before = len(self.people.accepted)
        to_do = self.postgres.base_backup if self.name == "log" else self.postgres.dump
        failed: list[Exception] = []

        def back_up() -> None:
            try:
                to_do(self.backup)
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=back_up)
        thread.start()
        self.people.write(self.messages - self.messages // 4)
        thread.join()
        if failed:
            raise failed[0]

    def restore(self) -> None:
        if self.name == "log":
            self.postgres.restore_base(self.backup)
        else:
            self.postgres.restore_dump(self.backup)

    def waiting(self) -> int:
        return int(self.postgres.sql("select count(*) from messages where finished_at is null"))

    def look(self) -> str:
        """Everything that must have been kept is in the database and reached the backend; the cluster goes on working."""
        until("nothing waits any more", lambda: self.waiting() == 0)
        stored = int(self.postgres.sql("select count(*) from messages where direction = 'in'"))
        kept = len(self.people.accepted) if self.name == "log" else self.before
        lost = len(self.people.accepted) - stored
        if stored < kept:
            raise Failed(f"{kept - stored} of {kept} messages are not in the database")
        heard = {(chat, number) for chat, numbers in self.backend.heard.items() for number in numbers}
        if missing := [message for message in self.people.accepted[:kept] if message not in heard]:
            raise Failed(f"{len(missing)} of {kept} messages did not reach the backend, the first is {missing[0]}")
        if disordered := self.backend.out_of_order():
            raise Failed(f"{disordered} messages came out of order")
        if self.backend.renamed:
            raise Failed(f"{self.backend.renamed} messages came again under another webhook-id")
        if (status := self.people.send("after the restore")) not in ("sent", "delivered"):
            raise Failed(f"a send was answered with {status}: the channel's secret can't be read?")
        until("a person got a message", lambda: "after the restore" in self.backend.sent)
        if self.people.post("chat-new", "chat-new/1") != 200:
            raise Failed("a new message was not accepted")
        until("the backend heard of a new message", lambda: "chat-new" in self.backend.heard)
        return f"{stored} of {stored + lost} accepted are there, all of them delivered in order, {self.backend.again} a second time"

    def end(self) -> None:
        self.cluster.kill()
        self.postgres.stop()


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    if not args.program.exists():
        sys.exit(f"drill: there is no {args.program}: make release")
    folder = Path(tempfile.mkdtemp(prefix="ii-claw-drill-"))
    # PostgreSQL's account must be able to pass.
    folder.chmod(0o755)
    try:
        for name in ("log", "dump"):
            drill = Drill(name, args.program.resolve(), folder / name, args.messages)
            try:
                print(f"drill: {name}: {drill.run()}", flush=True)
            finally:
                drill.end()
    except Failed as error:
        args.keep = True
        sys.exit(f"drill: {error} (logs: {folder})")
    finally:
        if not args.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
