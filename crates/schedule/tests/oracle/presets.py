"""The front end's presets: what their labels promise, computed from the words and not from the expressions."""

import calendar
import hashlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

YEARS = range(2024, 2032)
ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago",
    "Africa/Casablanca",
]


def days(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)


def last_friday(year: int) -> list[datetime]:
    found = []
    for month in range(1, 13):
        fridays = [week[calendar.FRIDAY] for week in calendar.monthcalendar(year, month)]
        found.append(datetime(year, month, max(fridays), 17))
    return found


def twice_a_day(year: int) -> list[datetime]:
    return [datetime.combine(day, time(hour)) for day in days(year) for hour in (9, 18)]


def every_six_hours(year: int) -> list[datetime]:
    return [datetime.combine(day, time(hour)) for day in days(year) for hour in (0, 6, 12, 18)]


def quarterly(year: int) -> list[datetime]:
    return [datetime(year, month, 1, 9) for month in (1, 4, 7, 10)]


def weekdays(year: int) -> list[datetime]:
    working = {"Mon", "Tue", "Wed", "Thu", "Fri"}
    return [datetime.combine(day, time(9)) for day in days(year) if day.strftime("%a") in working]


PRESETS = [
    ("The last Friday of the month at 17:00", "0 17 * * 5#L", last_friday),
    ("Twice a day, at 9:00 and 18:00", "0 9,18 * * *", twice_a_day),
    ("Every six hours", "0 */6 * * *", every_six_hours),
    ("The first day of each quarter at 9:00", "0 9 1 1,4,7,10 *", quarterly),
    ("Weekdays at 9:00", "0 9 * * 1-5", weekdays),
]


def promised(walls: list[datetime], name: str) -> list[datetime]:
    """The instants at which the clock on the wall shows these times; none of them comes twice in these zones."""
    zone, found = ZoneInfo(name), []
    for wall in walls:
        at = wall.replace(tzinfo=zone).astimezone(timezone.utc)
        # Midnight is left out in Santiago's spring, and six hours later is the next time that there is.
        if at.astimezone(zone).replace(tzinfo=None) == wall:
            found.append(at)
    return found


def table() -> list[list[str]]:
    rows = []
    for label, text, semantics in PRESETS:
        for zone in ZONES:
            for year in YEARS:
                runs = [run.strftime("%Y-%m-%dT%H:%MZ") for run in promised(semantics(year), zone)]
                digest = hashlib.sha256("\n".join(runs).encode()).hexdigest()[:16]
                rows.append([label, text, zone, str(year), str(len(runs)), runs[0], runs[-1], digest])
    return rows
