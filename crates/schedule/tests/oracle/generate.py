#!/usr/bin/env python3
"""Writes the tables that the crate is compared with, and checks the descriptions: `make schedule-oracle`.

Each case is computed twice, by croniter and by rule.py. Where the two part there must be a change of the clocks near, of
the kind that the class names; anything else ends this with an error. What croniter can't read as a whole, or reads in
another way than POSIX (weekdays like 5#2 beside others, or beside days of the month), it is asked in parts.
"""

import sys
import zoneinfo
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import tzdata
from croniter import CroniterBadDateError, croniter

# The pinned package only: the machine's zones may be of another release.
zoneinfo.reset_tzpath(to=[])

import cases  # noqa: E402
import english  # noqa: E402
import presets  # noqa: E402
import rule  # noqa: E402

HERE = Path(__file__).parent
# A run is moved by a change that is at most this far away.
NEAR = timedelta(hours=25)
# How far descriptions are followed: there is a fifth Monday of a February in it.
FAR = timedelta(days=60 * 366)
ALIASES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


def is_nth(item: str) -> bool:
    return "#" in item or item.endswith("L")


def parts(text: str) -> list[str]:
    """Expressions for croniter whose runs, together, are those of this one."""
    minute, hour, day, month, weekday = text.upper().replace("SAT-SUN", "6-7").split()
    plain = [item for item in weekday.split(",") if not is_nth(item)]
    # The last Friday is `L5` there.
    nth = [
        f"L{rule.number(item[:-1].rstrip('#'), rule.WEEKDAYS, 0)}" if item.endswith("L") else item
        for item in weekday.split(",")
        if is_nth(item)
    ]
    if not nth:
        return [f"{minute} {hour} {day} {month} {','.join(plain)}"]
    found = [f"{minute} {hour} * {month} {','.join(items)}" for items in (plain, nth) if items]
    return found if day == "*" else [*found, f"{minute} {hour} {day} {month} *"]


def by_croniter(case: cases.Case) -> list[datetime]:
    start = case.after.astimezone(zoneinfo.ZoneInfo(case.zone))
    found = set()
    for part in parts(case.text):
        times = croniter(part, start, max_years_between_matches=50)
        # A part may never come, like the 30th of February.
        with suppress(CroniterBadDateError):
            for _ in range(case.count):
                found.add(times.get_next(datetime).astimezone(timezone.utc))
    return sorted(found)[: case.count]


def expected(case: cases.Case) -> list[datetime]:
    match case.kind:
        case "cron":
            return rule.runs(case.text, zoneinfo.ZoneInfo(case.zone), case.after, case.count)
        case "every":
            # Of a job that was made at `after`.
            return [case.after + timedelta(seconds=int(case.text)) * n for n in range(1, case.count + 1)]
        case _:
            return [at for at in [cases.utc(case.text)] if at > case.after]


def class_of(case: cases.Case, runs: list[datetime], other: list[datetime]) -> str:
    if case.kind != "cron":
        return "rule"
    if runs == other:
        return "agree" if len(parts(case.text)) == 1 else "parts"
    horizon = min(runs[-1], other[-1])
    changed = {direction_near(at, case.zone) for at in set(runs) ^ set(other) if at <= horizon}
    if len(changed) != 1 or None in changed:
        sys.exit(f"not explained: {case}\n rule     {runs}\n croniter {other}")
    return f"{changed.pop()}-{'every' if rule.Expression(case.text).every_hour else 'named'}"


def direction_near(at: datetime, zone: str) -> str | None:
    """Whether the clocks are put forward (`gap`) or back (`overlap`) near an instant; None for neither or both."""
    local = [(at + shift).astimezone(zoneinfo.ZoneInfo(zone)).utcoffset() for shift in (-NEAR, NEAR)]
    if local[0] == local[1]:
        return None
    return "gap" if local[1] > local[0] else "overlap"


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(name: str, columns: str, rows: list[list[str]]) -> None:
    head = f"# tzdata {tzdata.IANA_VERSION}, croniter {version('croniter')}; made by `make schedule-oracle`\n# "
    lines = ["\t".join(row) + "\n" for row in rows]
    (HERE / name).write_text(head + columns.replace(" ", "\t") + "\n" + "".join(lines))


def write_cases() -> None:
    rows, classes = [], Counter()
    for case in cases.all_cases():
        runs, other = expected(case), by_croniter(case) if case.kind == "cron" else []
        name = class_of(case, runs, other)
        classes[name] += 1
        differs = " ".join(map(stamp, other)) if other and other != runs else "="
        rows.append([name, case.kind, case.text, case.zone, stamp(case.after), " ".join(map(stamp, runs)), differs])
    write("cases.tsv", "class kind schedule zone after runs croniter", rows)
    print(f"cases.tsv: {len(rows)} cases, {dict(classes)}")


def check_descriptions() -> None:
    lines = [line for line in (HERE / "english.tsv").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        text, zone, description = line.split("\t")
        for since in ("2026-08-22T00:00:00", "2027-12-31T12:00:00", "2032-02-28T23:59:00"):
            check_description(ALIASES.get(text, text), description, cases.utc(since))
        if zone not in description:
            sys.exit(f"{description!r} does not name {zone}")
    print(f"english.tsv: {len(lines)} descriptions say what their expressions do")


def check_description(text: str, description: str, since: datetime) -> None:
    """In UTC, where there are no changes: days of them, or years where runs are rare."""
    runs = by_croniter(cases.Case("cron", text, "UTC", since, 400 if "* *" in text else 20))
    runs = [run for run in runs if run - since < FAR]
    promised = english.runs(description, since.replace(tzinfo=None), len(runs), FAR)
    if not runs or promised != [run.replace(tzinfo=None) for run in runs]:
        sys.exit(f"{description!r} is not {text!r} after {since}:\n {promised[:9]}\n {runs[:9]}")


if __name__ == "__main__":
    write_cases()
    write("presets.tsv", "label expression zone year runs first last sha256", presets.table())
    check_descriptions()
