"""Values on their way through the binder, and the .NET type and text each of them has.

Python's str, bool, int, float, bytes, UUID, timedelta, datetime, list and dict stand for String, Boolean, Int32 (Int64
and UInt64 where the number needs it), Double, Byte[], Guid, TimeSpan, DateTime, ArrayList and Hashtable; None is $null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID


@dataclass(frozen=True)
class NetObject:
    """An object of a .NET class that Python has no counterpart for.

    `type_names` holds the class and its bases, most derived first; ``Deserialized.`` before each marks a copy that came
    over a connection, which is not of the class any more. `text` is what its ToString() gives, by default the class.
    """

    type_names: tuple[str, ...]
    properties: Mapping[str, object] = field(default_factory=dict)
    text: str | None = None

    def property(self, name: str) -> object:
        """The property of that name, in any case, or `NOTHING`."""
        for known, value in self.properties.items():
            if known.lower() == name.lower():
                return value
        return NOTHING

    def __str__(self) -> str:
        return self.type_names[0].removeprefix("Deserialized.") if self.text is None else self.text


@dataclass(frozen=True)
class Version:
    """A System.Version: two to four numbers."""

    parts: tuple[int, ...]

    def __str__(self) -> str:
        return ".".join(map(str, self.parts))


TICKS_PER_SECOND = 10**7


class TimeSpan(timedelta):
    """A duration in .NET's `ticks` of 100 ns, which a timedelta holds to the microsecond."""

    ticks: int

    def __new__(cls, ticks: int) -> TimeSpan:
        """A duration of so many ticks."""
        self = super().__new__(cls, microseconds=ticks // 10)
        self.ticks = ticks
        return self

    def __reduce__(self) -> tuple[type[TimeSpan], tuple[int]]:
        return TimeSpan, (self.ticks,)


class Nothing:
    """The type of `NOTHING`."""

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing()
"""No value at all, where None would be PowerShell's $null."""

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)


def items(value: object) -> Sequence[object] | None:
    """The elements of a value that is an IList, None for any other."""
    return value if isinstance(value, list | tuple | bytes) else None


def net_type(value: object) -> str:
    """The full name of the .NET type of a value other than None."""
    match value:
        case str():
            return "System.String"
        case bool():
            return "System.Boolean"
        case int():
            return f"System.{'Int32' if int(value) in INT32 else 'Int64' if int(value) in INT64 else 'UInt64'}"
        case float():
            return "System.Double"
        case bytes():
            return "System.Byte[]"
        case UUID():
            return "System.Guid"
        case timedelta():
            return "System.TimeSpan"
        case datetime():
            return "System.DateTime"
        case Version():
            return "System.Version"
        case list() | tuple():
            return "System.Collections.ArrayList"
        case dict():
            return "System.Collections.Hashtable"
        case NetObject():
            return value.type_names[0]
    return type(value).__name__


def net_text(value: object) -> str:
    """What PowerShell makes of a value when it needs a string, in the invariant culture."""
    match value:
        case None:
            return ""
        case str() | bool() | int() | UUID() | Version() | NetObject():
            return str(value)
        case float():
            return _float_text(value)
        case timedelta():
            return _span_text(value)
        case datetime():
            return f"{value:%m/%d}/{value.year:04d} {value:%H:%M:%S}"
        case list() | tuple():
            return " ".join(map(net_text, value))
        case dict() | bytes():
            return net_type(value)
    return str(value)


def _float_text(value: float) -> str:
    text = repr(value).replace("inf", "Infinity").replace("nan", "NaN")
    mantissa, exponent, power = text.partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}E{int(power):+03d}" if exponent else mantissa


def _span_text(value: timedelta) -> str:
    ticks = value.ticks if isinstance(value, TimeSpan) else value // timedelta(microseconds=1) * 10
    whole, fraction = divmod(abs(ticks), TICKS_PER_SECOND)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    sign = "-" if ticks < 0 else ""
    return (
        f"{sign}{f'{days}.' if days else ''}{hours:02d}:{minutes:02d}:{seconds:02d}"
        f"{f'.{fraction:07d}' if fraction else ''}"
    )
