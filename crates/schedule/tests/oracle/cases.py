"""The cases: schedules, zones and instants."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Case:
    kind: str
    text: str
    zone: str
    after: datetime
    count: int


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


# Zones and the periods in which all their changes are looked at.
CHANGES = [
    ("America/New_York", "2026-01-01", "2027-01-01"),
    ("Europe/Berlin", "2026-01-01", "2027-01-01"),
    ("Europe/London", "2027-01-01", "2028-01-01"),
    # Ireland's winter time is the database's daylight saving, by minus an hour.
    ("Europe/Dublin", "2026-01-01", "2027-01-01"),
    # Half an hour.
    ("Australia/Lord_Howe", "2026-01-01", "2027-01-01"),
    # Back for Ramadan, whose dates are predicted.
    ("Africa/Casablanca", "2026-01-01", "2028-01-01"),
    # The 30th of December 2011 was left out.
    ("Pacific/Apia", "2011-01-01", "2013-01-01"),
    # At midnight: the day begins at one o'clock, or has 23:00 to 24:00 twice.
    ("America/Santiago", "2026-01-01", "2027-01-01"),
    ("America/Sao_Paulo", "2018-06-01", "2019-06-01"),
    ("Asia/Beirut", "2026-01-01", "2027-01-01"),
    # 2:45 and 3:45.
    ("Pacific/Chatham", "2026-01-01", "2027-01-01"),
    # Two hours.
    ("Antarctica/Troll", "2026-01-01", "2027-01-01"),
    # Another base offset and daylight saving at once: the clocks stood still, and then went by other dates.
    ("America/Scoresbysund", "2024-01-01", "2025-01-01"),
    # Daylight saving given up for good.
    ("Asia/Amman", "2022-01-01", "2023-01-01"),
]


def changes(name: str, start: str, end: str) -> list[datetime]:
    """The instants at which the clock on the wall is changed."""
    zone, at, found = ZoneInfo(name), utc(start), []
    while at < utc(end):
        before, after = at, at + HOUR
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            while after - before > timedelta(minutes=1):
                middle = before + (after - before) // 2
                middle = middle.replace(second=0, microsecond=0)
                same = middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset()
                before, after = (middle, after) if same else (before, middle)
            found.append(after)
        at += HOUR
    return found


def around(name: str, change: datetime) -> list[Case]:
    """What people schedule, at the times that a change leaves out or brings twice."""
    zone = ZoneInfo(name)
    shown = change.astimezone(zone).replace(tzinfo=None)
    instead = (change.astimezone(timezone.utc) - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    instead += timedelta(minutes=1)
    first, last = min(shown, instead), max(shown, instead)
    middle = first + (last - first) / 2
    middle = middle.replace(second=0)
    at, hour = f"{middle.minute} {middle.hour}", middle.hour
    weekday = (middle.weekday() + 1) % 7
    day_before, hours_before = change - 30 * HOUR, change - timedelta(hours=3, minutes=10)
    following = (hour + 12) % 24
    wanted = [
        # A time that is left out or comes twice, and its two ends.
        (f"{at} * * *", day_before, 3),
        (f"{first.minute} {first.hour} * * *", day_before, 3),
        (f"{last.minute} {last.hour} * * *", day_before, 3),
        # With others of the same day; a list, a range, all hours by their names.
        (f"{middle.minute} {min(hour, following)},{max(hour, following)} * * *", day_before, 4),
        (f"{middle.minute} {max(hour - 1, 0)}-{min(hour + 1, 23)} * * *", day_before, 6),
        (f"{middle.minute} 0-23 * * *", hours_before, 8),
        # Several in the hour.
        (f"*/15 {hour} * * *", hours_before, 8),
        (f"5,35 {hour} * * *", hours_before, 5),
        (f"* {hour} * * *", change - timedelta(minutes=3), 6),
        # By the clock.
        (f"{middle.minute} * * * *", hours_before, 8),
        ("*/20 * * * *", hours_before, 20),
        ("0 */2 * * *", day_before, 24),
        (f"{middle.minute} */3 * * *", day_before, 14),
        ("* * * * *", change - timedelta(minutes=3), 6),
        # On that day only.
        (f"{at} {middle.day} {middle.month} *", day_before, 2),
        (f"{at} * * {weekday}", day_before, 2),
        (f"{at} * * {weekday}L", day_before, 2),
        (f"{at} {middle.day} * {(weekday + 3) % 7}", day_before, 4),
        # Asked in the middle of it: before, between and after.
        (f"{at} * * *", change + timedelta(minutes=10), 2),
        (f"{middle.minute} * * * *", change - timedelta(minutes=10), 4),
        (f"{middle.minute} * * * *", change + timedelta(minutes=1), 4),
        (f"{at} * * *", change, 2),
    ]
    return [Case("cron", text, name, after, count) for text, after, count in wanted]


# The calendar, away from changes; each in several zones.
CALENDAR = """
0 9 * * 1-5
0 9 * * MON-FRI
0 9 * * mon,wed,fri
0 9 * * 0
0 9 * * 7
0 9 * * SAT-SUN
0 9 * * 1-5/2
0 17 * * 5#L
0 17 * * 5L
0 17 * * FRI#L
0 10 * * 1#1
0 10 * * TUE#2
0 10 * * 3#5
0 10 * * 1#1,1#3
0 10 * * 6L,0L
0 10 * * 1,5#2
0 10 * * 2-4,5L
0 0 L * *
0 0 L 2 *
0 0 15,L * *
0 0 1,15 * *
0 0 1 * 1
0 0 13 * 5
0 0 L * 5L
30 4 1,15 * 5
0 12 */10 * 1
0 12 31 * *
0 12 30 1,2,3 *
0 12 29 2 *
0 12 29 FEB *
0 12 * 2 1#5
0 12 30 2 5#5
0 0 1-7 * *
0 0 1-31/7 * *
0 9 1 1,4,7,10 *
0 9 1 */3 *
0 9 1 JAN-MAR *
0 9 * 6-8 *
*/5 * * * *
7-59/10 * * * *
5,*/20 * * * *
*/7 */5 * * *
0 9-17 * * *
0 9-17/2 * * *
0 9,18 * * *
0 */6 * * *
15,45 8-10,16 * * 1-5
59 23 31 12 *
0 0 1 1 *
""".strip().splitlines()
IN_ZONES = ["Asia/Kathmandu", "Pacific/Chatham", "America/New_York"]
SINCE = ["2026-08-22T00:00:00", "2027-12-31T12:00:30", "2032-02-28T23:59:59"]

INTERVALS = [1, 60, 90, 300, 3_600, 86_400, 604_800, 31_622_400]


def all_cases() -> list[Case]:
    cases = [case for period in CHANGES for change in changes(*period) for case in around(period[0], change)]
    for index, text in enumerate(CALENDAR):
        # Each in one zone and from one time, in turn, and all of them in UTC.
        cases.append(Case("cron", text, IN_ZONES[index % 3], utc(SINCE[index // 3 % 3]), 5))
        cases.append(Case("cron", text, "UTC", utc(SINCE[(index + 1) % 3]), 5))
    for index, interval in enumerate(INTERVALS):
        cases.append(Case("every", str(interval), "UTC", utc(SINCE[index % 3]), 4))
    for at in ("2026-12-01T09:00:00", "2026-03-29T01:00:00", "2028-02-29T23:59:59"):
        cases.append(Case("at", at, "UTC", utc(SINCE[0]) - timedelta(days=300), 2))
        cases.append(Case("at", at, "UTC", utc(at), 2))
    return list(dict.fromkeys(cases))
