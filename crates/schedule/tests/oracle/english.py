"""Reads descriptions back: from the English alone it computes the times that it promises."""

import calendar
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

MONTHS = [calendar.month_name[month] for month in range(1, 13)]
WEEKDAYS = [calendar.day_name[day] for day in range(7)]
NTH = ["first", "second", "third", "fourth", "fifth", "last"]

CLOCK = r"(\d\d):(\d\d)"
Day = Callable[[date], bool]


class Unread(Exception):
    """A description with words that are not known."""


def split(text: str) -> list[str]:
    return re.split(r", | and ", text)


def span(text: str, names: list[str]) -> set[int]:
    """A list of names with ranges, as places in the names."""
    found = set()
    for item in split(text):
        first, _, last = item.partition(" to ")
        found.update(range(names.index(first), names.index(last or first) + 1))
    return found


def numbers(text: str) -> set[int]:
    return span(text, [str(number) for number in range(60)])


def times(text: str) -> set[tuple[int, int]]:
    """The minutes of a day, as pairs of hour and minute."""
    every = [(hour, minute) for hour in range(24) for minute in range(60)]
    if text == "Every hour on the hour":
        return {at for at in every if at[1] == 0}
    if found := re.fullmatch(r"Every hour at minute (\d+)", text):
        return {at for at in every if at[1] == int(found[1])}
    if found := re.fullmatch(r"At ([\d:, and]+)", text):
        return {(int(item[:2]), int(item[3:])) for item in split(found[1])}
    if found := re.fullmatch(rf"Every (?:(\d+) )?(hour|minute)s? from {CLOCK} to {CLOCK}", text):
        length = int(found[1] or 1) * (60 if found[2] == "hour" else 1)
        first, last = (int(found[n]) * 60 + int(found[n + 1]) for n in (3, 5))
        return {divmod(minute, 60) for minute in range(first, last + 1, length)}
    return some_hours(text, every)


def some_hours(text: str, every: list[tuple[int, int]]) -> set[tuple[int, int]]:
    words = re.fullmatch(r"(.*?)(?: of every hour| in hours? ([\d, andto]+))?", text)
    hours = numbers(words[2]) if words[2] else set(range(24))
    if found := re.fullmatch(r"Every (?:(\d+) )?minutes?(?: from minute (\d+) to (\d+))?", words[1]):
        minutes = set(range(int(found[2] or 0), int(found[3] or 59) + 1, int(found[1] or 1)))
    elif found := re.fullmatch(r"At minutes? ([\d, andto]+)", words[1]):
        minutes = numbers(found[1])
    else:
        raise Unread(text)
    return {at for at in every if at[0] in hours and at[1] in minutes}


def months(text: str) -> set[int]:
    text = text.removeprefix("each month from ")
    return set(range(1, 13)) if text == "the month" else {place + 1 for place in span(text, MONTHS)}


def dates(text: str) -> Day:
    found = re.fullmatch(r"(.*?) of (.*)", text)
    wanted, within, days, last = found[1], months(found[2]), set(), False
    if wanted.endswith("last day"):
        wanted, last = re.sub(r"(, | and )?(the )?last day$", "", wanted), True
    ordinals = re.sub(r"(\d)(st|nd|rd|th)", r"\1", wanted)
    if stepped := re.fullmatch(r"every (\d+) day from the (\d+) to the (\d+)", ordinals):
        days = set(range(int(stepped[2]), int(stepped[3]) + 1, int(stepped[1])))
    elif ordinals:
        days = numbers(ordinals.removeprefix("the "))
    return lambda day: day.month in within and (
        day.day in days or (last and day.day == calendar.monthrange(day.year, day.month)[1])
    )


def nth_weekday(nth: str, weekday: str, within: set[int]) -> Day:
    def matches(day: date) -> bool:
        dates = [week[WEEKDAYS.index(weekday)] for week in calendar.monthcalendar(day.year, day.month)]
        dates = [each for each in dates if each]
        place = -1 if nth == "last" else NTH.index(nth)
        return day.month in within and place < len(dates) and day.day == dates[place]

    return matches


def weekdays(text: str) -> Day:
    tests: list[Day] = []
    if found := re.search(rf"the (?:{'|'.join(NTH)}) .* of (.*)$", text):
        some = found[0].removesuffix(f" of {found[1]}")
        for nth, weekday in re.findall(r"the (\w+) (\w+)", some):
            tests.append(nth_weekday(nth, weekday, months(found[1])))
        text = re.sub(r"(, | and )$", "", text[: found.start()])
    if text:
        names, _, within = text.replace(" from ", " in ").partition(" in ")
        every, wanted = months(within or "the month"), span(names, WEEKDAYS)
        tests.append(lambda day: day.month in every and day.weekday() in wanted)
    return lambda day: any(test(day) for test in tests)


def on(text: str) -> Day:
    by_date, also, by_weekday = text.partition(" and also on ")
    if also:
        return lambda day: dates(by_date)(day) or weekdays(by_weekday)(day)
    is_date = re.match(r"every \d|the \d|the last day", text)
    return dates(text) if is_date else weekdays(text)


def days(text: str) -> Day:
    if text in ("", " every day"):
        return lambda _: True
    if found := re.fullmatch(r"(?: every day)? (?:in|from) (.*)", text):
        return lambda day: day.month in months(found[1])
    return on(text.removeprefix(" on "))


def runs(description: str, after: datetime, count: int, horizon: timedelta) -> list[datetime]:
    """The first times after `after` by the clock on the wall that a description promises."""
    text = description.rpartition(", ")[0]
    begin = re.search(r" (?:on (?!the hour)|every day|in [A-Z]|from [A-Z])", text)
    cut = begin.start() if begin else len(text)
    wanted, matches = sorted(times(text[:cut])), days(text[cut:])
    found, day = [], after.date()
    while len(found) < count and day <= (after + horizon).date():
        if matches(day):
            of_day = (datetime(day.year, day.month, day.day, *at) for at in wanted)
            found.extend(at for at in of_day if at > after)
        day += timedelta(days=1)
    return found[:count]
