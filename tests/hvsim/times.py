"""Durations and dates out of text and ticks, as .NET parses them in the invariant culture."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from tests.hvsim.numeric import CastFailure

DATE_SHAPES = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p")
SPAN = re.compile(r"\s*(-)?(?:(\d+)[.:])?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?\s*")
FIRST = datetime(1, 1, 1)


def span_from_ticks(ticks: int) -> timedelta:
    """A duration of so many 100 ns, to the microsecond."""
    return timedelta(microseconds=ticks // 10)


def span_from_text(text: str) -> timedelta:
    """A duration written ``[-][d.]hh:mm[:ss[.fffffff]]``, or a number of days."""
    if re.fullmatch(r"\s*-?\d{1,8}\s*", text):
        return timedelta(days=int(text))
    found = SPAN.fullmatch(text)
    if found is None:
        raise CastFailure(f"String '{text}' was not recognized as a valid TimeSpan.")
    sign, days, hours, minutes, seconds, fraction = found.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        raise CastFailure(
            f"The TimeSpan string '{text}' could not be parsed because at least one of the numeric components is out of "
            "range or contains too many digits."
        )
    span = timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "").ljust(7, "0")) // 10,
    )
    return -span if sign else span


def date_from_ticks(ticks: int) -> datetime:
    """The moment so many 100 ns after the beginning of the year 1."""
    return FIRST + timedelta(microseconds=ticks // 10)


def date_from_text(text: str) -> datetime:
    """A date in the invariant culture's notation or in ISO 8601's."""
    for shape in DATE_SHAPES:
        try:
            return datetime.strptime(text.strip(), shape)
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        pass
    word = re.search(r"[^\W\d_]+", text)
    if word is None:
        raise CastFailure(f"String '{text}' was not recognized as a valid DateTime.")
    raise CastFailure(
        f"The string '{text}' was not recognized as a valid DateTime. There is an unknown word starting at index "
        f"'{word.start()}'."
    )
