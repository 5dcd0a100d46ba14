"""Durations and dates out of text and ticks, as .NET parses them in the invariant culture."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from tests.hvsim.numeric import CastFailure
from tests.hvsim.values import INT64, TICKS_PER_SECOND, TimeSpan

DATE_SHAPES = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p")
SPAN = re.compile(
    r"\s*(?P<sign>-)?"
    r"(?:(?P<days>\d+)[.:](?=\d+:\d+:\d+)|(?P<whole_days>\d+)\.)?"
    r"(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?\s*"
)
FIRST = datetime(1, 1, 1)


def span_from_text(text: str) -> TimeSpan:
    """A duration written ``[-][d.]hh:mm[:ss[.fffffff]]``, or a number of days."""
    if re.fullmatch(r"\s*-?\d{1,8}\s*", text):
        return _span(int(text) * 24 * 3600 * TICKS_PER_SECOND, text)
    found = SPAN.fullmatch(text)
    if found is None:
        raise CastFailure(f"String '{text}' was not recognized as a valid TimeSpan.")
    days, hours, minutes, seconds = (
        int(part or 0)
        for part in (found["days"] or found["whole_days"], found["hours"], found["minutes"], found["seconds"])
    )
    if hours > 23 or minutes > 59 or seconds > 59:
        raise _span_too_large(text)
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    ticks = whole * TICKS_PER_SECOND + int((found["fraction"] or "").ljust(7, "0"))
    return _span(-ticks if found["sign"] else ticks, text)


def _span(ticks: int, text: str) -> TimeSpan:
    if ticks not in INT64:
        raise _span_too_large(text)
    return TimeSpan(ticks)


def _span_too_large(text: str) -> CastFailure:
    return CastFailure(
        f"The TimeSpan string '{text}' could not be parsed because at least one of the numeric components is out of "
        "range or contains too many digits."
    )


def date_from_ticks(ticks: int) -> datetime:
    """The moment so many 100 ns after the beginning of the year 1."""
    try:
        return FIRST + timedelta(microseconds=ticks // 10)
    except OverflowError:
        raise CastFailure(
            "Ticks must be between DateTime.MinValue.Ticks and DateTime.MaxValue.Ticks. (Parameter 'ticks')"
        ) from None


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
