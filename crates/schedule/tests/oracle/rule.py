"""When a schedule runs, computed from the rule and nothing else: every minute of every day that matches is looked at.

The rule. A day matches when its month does, and its day of month or its day of week; a `*` in one of these two says
nothing. When hours are named, each time of a matching day is one run: at the first instant at which the clock on the
wall shows it, or when the clock has jumped over it. When the hours have a `*`, there is a run at each instant at which
the clock shows a matching time: none in an hour that is jumped over, two in one that comes twice.

It shares nothing with the crate under test and nothing with croniter, and it is slow.
"""

import calendar
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# No run is further from the day that it belongs to: Samoa once left out a whole day.
SLACK = 3 * DAY
# No date is further away from the one before it than 40 years.
HORIZON = 41 * 366 * DAY


def number(text: str, names: list[str], least: int) -> int:
    return names.index(text) + least if text in names else int(text)


def values(field: str, least: int, most: int, names: list[str] = []) -> set[int]:
    """The plain values of a field; `L` and `#` are left to others."""
    found = set()
    for item in field.split(","):
        if "#" in item or item.endswith("L"):
            continue
        span, _, step = item.partition("/")
        if span == "*":
            first, last = least, most
        elif "-" in span:
            start, end = span.split("-")
            first, last = number(start, names, least), 7 if end == "SUN" else number(end, names, least)
        else:
            first = last = number(span, names, least)
        found.update(range(first, last + 1, int(step or 1)))
    return found


class Expression:
    """Five fields."""

    def __init__(self, text: str):
        minute, hour, day, month, weekday = text.upper().split()
        self.minutes, self.hours = values(minute, 0, 59), values(hour, 0, 23)
        self.every_hour = "*" in hour
        self.days, self.months = values(day, 1, 31), values(month, 1, 12, MONTHS)
        self.last_day = "L" in day.split(",")
        self.weekdays = {value % 7 for value in values(weekday, 0, 7, WEEKDAYS)}
        self.any_day, self.any_weekday = day == "*", weekday == "*"
        # Pairs of a weekday and which one of the month; None is the last.
        self.nth = set()
        for item in weekday.split(","):
            if item.endswith("L"):
                self.nth.add((number(item[:-1].rstrip("#"), WEEKDAYS, 0) % 7, None))
            elif "#" in item:
                name, which = item.split("#")
                self.nth.add((number(name, WEEKDAYS, 0) % 7, int(which)))

    def on(self, day: date) -> bool:
        length = calendar.monthrange(day.year, day.month)[1]
        weekday = (day.weekday() + 1) % 7
        by_day = day.day in self.days or (self.last_day and day.day == length)
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (day.day - 1) // 7 + 1) in self.nth
            or ((weekday, None) in self.nth and day.day + 7 > length)
        )
        if self.any_day or self.any_weekday:
            matches = (by_day or self.any_day) and (by_weekday or self.any_weekday)
        else:
            matches = by_day or by_weekday
        return matches and day.month in self.months


@lru_cache(None)
def instants(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """When the clock on the wall shows this: never, once or twice."""
    found = {wall.replace(tzinfo=zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)}
    return tuple(sorted(at for at in found if at.astimezone(zone).replace(tzinfo=None) == wall))


@lru_cache(None)
def after_the_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock on the wall has jumped over this."""
    while not instants(wall, zone):
        wall += MINUTE
    return instants(wall, zone)[0]


def of_day(expression: Expression, day: date, zone: ZoneInfo) -> set[datetime]:
    """The runs that belong to one day of the wall's calendar."""
    runs = set()
    for minute in range(24 * 60):
        if minute // 60 not in expression.hours or minute % 60 not in expression.minutes:
            continue
        wall = datetime(day.year, day.month, day.day) + minute * MINUTE
        shown = instants(wall, zone)
        if expression.every_hour:
            runs.update(shown)
        else:
            runs.add(shown[0] if shown else after_the_gap(wall, zone))
    return runs


def runs(text: str, zone: ZoneInfo, after: datetime, count: int) -> list[datetime]:
    """The first runs after an instant."""
    expression = Expression(text)
    found: list[datetime] = []
    first = (after - SLACK).date()
    for ahead in range(HORIZON.days * count):
        day = first + ahead * DAY
        if len(found) >= count and day - found[count - 1].date() > SLACK:
            break
        if expression.on(day):
            later = (run for run in of_day(expression, day, zone) if run > after)
            found = sorted({*found, *later})
    return found[:count]
