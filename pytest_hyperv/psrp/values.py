"""Python values to what PSRP can carry, and back.

Nothing leaves here that a server could not decode: it would acknowledge the message and then never answer. The limits
were seen on the vendor's engine; see docs/powershell.md.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import pathlib
import queue
import uuid
from collections.abc import Mapping
from typing import Any

from psrpcore import types as ps

from pytest_hyperv.errors import HypervError
from pytest_hyperv.psrp.dotnet import Char, Credential, EnumValue, PSObject, ScriptText, Uri, Version, Xml
from pytest_hyperv.psrp.messages import typed_text
from pytest_hyperv.psrp.secret import Secret

MAX_DEPTH = 40
"""Deepest nesting that is sent; the other side's deserializer refuses 50 levels below its message."""

REMOTING_PROPERTIES = frozenset({"PSComputerName", "RunspaceId", "PSShowComputerName"})
"""Note properties that a session inside a session adds to every value."""

_COPY_MARK = "Deserialized."
_INT32 = 2**31
_INT64 = 2**63
_UINT64 = 2**64
_DECIMAL_LIMIT = 2**96
_DECIMAL_SCALE = 28
_TICKS_PER_SECOND = 10_000_000


class UnsendableValue(HypervError, ValueError):
    """A value that PSRP cannot carry, or that the other side could not decode. Nothing was sent."""


def to_wire(value: Any, depth: int = 0) -> Any:
    """The psrpcore form of ``value``. Raises UnsendableValue with the reason."""
    if depth > MAX_DEPTH:
        raise UnsendableValue(f"a value nested deeper than {MAX_DEPTH} levels cannot be sent")
    if value is None or isinstance(value, (bool, uuid.UUID)):
        return value
    if isinstance(value, enum.Enum):
        return to_wire(value.value, depth + 1)
    if isinstance(value, ps.PSScriptBlock | ScriptText):
        raise UnsendableValue(
            "a ScriptBlock cannot be a parameter: it arrives as a String and never binds",
            hint="Use a parameter that takes names or values (Where-Object -Property X -EQ -Value v), or a script.",
        )
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, ps.PSObject):
        return value
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, (float, decimal.Decimal, datetime.date, datetime.timedelta)):
        return _measure(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return _composite(value, depth)


def _string(value: str) -> Any:
    if isinstance(value, Uri):
        return ps.PSUri(value)
    if isinstance(value, Xml):
        return ps.PSXml(value)
    if isinstance(value, Char):
        return ps.PSChar(ord(value))
    return str(value)


def _integer(value: int) -> Any:
    if -_INT32 <= value < _INT32:
        return ps.PSInt(value)
    if -_INT64 <= value < _INT64:
        return ps.PSInt64(value)
    if 0 <= value < _UINT64:
        return ps.PSUInt64(value)
    raise UnsendableValue(
        f"the integer {value} is outside int64 and uint64 and cannot be sent", hint="Send it as a string."
    )


def _measure(value: float | decimal.Decimal | datetime.date | datetime.timedelta) -> Any:
    if isinstance(value, float):
        return typed_text("Db", "NaN") if math.isnan(value) else ps.PSDouble(value)
    if isinstance(value, decimal.Decimal):
        return _decimal(value)
    if isinstance(value, datetime.timedelta):
        return typed_text("TS", _duration(value))
    if isinstance(value, datetime.datetime):
        return typed_text("DT", _instant(value))
    return typed_text("DT", _instant(datetime.datetime(value.year, value.month, value.day)))


def _decimal(value: decimal.Decimal) -> str:
    """System.Decimal is a 96-bit integer with up to 28 decimal places."""
    _, digits, exponent = value.as_tuple()
    fits = isinstance(exponent, int) and -_DECIMAL_SCALE <= exponent <= _DECIMAL_SCALE
    if not fits or int("".join(map(str, digits))) * 10 ** max(0, int(exponent)) >= _DECIMAL_LIMIT:
        raise UnsendableValue(
            f"the decimal {value} is not finite, or needs more than 96 bits or {_DECIMAL_SCALE} decimal places",
            hint="Round it, or send it as a string.",
        )
    return typed_text("D", format(value, "f"))


def _duration(value: datetime.timedelta) -> str:
    """XML Schema duration; written here because psrpcore 0.3.1 takes the zero off 10, 20, 30, 40 and 50 seconds."""
    ticks = (value.days * 86400 + value.seconds) * _TICKS_PER_SECOND + value.microseconds * 10
    days, rest = divmod(abs(ticks), 86400 * _TICKS_PER_SECOND)
    if days * 86400 * _TICKS_PER_SECOND + rest >= _INT64:
        raise UnsendableValue(f"the duration {value} is longer than a TimeSpan can be")
    seconds, fraction = divmod(rest, _TICKS_PER_SECOND)
    return f"{'-' if ticks < 0 else ''}P{days}DT{seconds}.{fraction:07}S"


def _instant(value: datetime.datetime) -> str:
    offset = value.utcoffset()
    if offset is not None and offset % datetime.timedelta(minutes=1):
        value = value.astimezone(datetime.UTC)
    text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if offset is None:
        return text
    return text + ("Z" if not offset else value.isoformat()[-6:])


def _composite(value: Any, depth: int) -> Any:
    if isinstance(value, Version):
        return ps.PSVersion(str(value))
    if isinstance(value, Secret):
        return ps.PSSecureString(value.reveal())
    if isinstance(value, Credential):
        return ps.PSCredential(value.user, ps.PSSecureString(value.password.reveal()))
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if isinstance(value, PSObject):
        bag = ps.PSCustomObject()
        for name, entry in value.properties.items():
            ps.add_note_property(bag, name, to_wire(entry, depth + 1), force=True)
        return bag
    if isinstance(value, Mapping):
        return {_key(key): to_wire(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [to_wire(entry, depth + 1) for entry in value]
    raise UnsendableValue(
        f"a value of the type {type(value).__module__}.{type(value).__qualname__} cannot be sent",
        hint="Send strings, numbers, dates, bytes, lists, dicts, None, or the types of pytest_hyperv.psrp.dotnet.",
    )


def _key(key: Any) -> Any:
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise UnsendableValue(f"a dictionary key must be a string or an integer, {key!r} is neither")
    return to_wire(key)


def holds_secret(value: Any) -> bool:
    """True when ``value`` needs the session key before it can be sent."""
    if isinstance(value, (Secret, Credential)):
        return True
    if isinstance(value, PSObject):
        return any(holds_secret(entry) for entry in value.properties.values())
    if isinstance(value, Mapping):
        return any(holds_secret(entry) for entry in value.values())
    return isinstance(value, (list, tuple)) and any(holds_secret(entry) for entry in value)


def from_wire(value: Any) -> Any:
    """The Python form of what psrpcore decoded, without the note properties that remoting adds."""
    if isinstance(value, ps.PSObject):
        return _from_ps(value)
    if isinstance(value, enum.Enum):
        return EnumValue(int(value.value), value.name)
    return value


def _from_ps(value: Any) -> Any:
    meta = value.PSObject
    if isinstance(value, enum.Enum):
        return EnumValue(int(value.value), meta.to_string or value.name, _type_name(meta))
    if isinstance(value, ps.PSSecureString):
        return Secret(str(value.decrypt()))
    if isinstance(value, ps.PSCredential):
        return Credential(str(value.UserName), from_wire(value.Password))
    for kind, convert in _SCALARS:
        if isinstance(value, kind):
            if isinstance(value, int) and any(name.endswith("System.Enum") for name in meta.type_names):
                return EnumValue(int(value), str(meta.to_string or int(value)), _type_name(meta))
            return convert(value)
    if isinstance(value, Mapping):
        return {from_wire(key): from_wire(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [from_wire(entry) for entry in value]
    if isinstance(value, queue.Queue):
        return [from_wire(entry) for entry in list(value.queue)]
    return _bag(meta, value)


def _type_name(meta: Any) -> str:
    return plain_type_name(meta.type_names[0]) if meta.type_names else ""


def plain_type_name(name: str) -> str:
    """The .NET type's name without the mark of a copy, which every hop adds once more and psrpcore too."""
    while name.startswith(_COPY_MARK):
        name = name.removeprefix(_COPY_MARK)
    return str(name)


def _bag(meta: Any, value: Any) -> PSObject:
    properties: dict[str, Any] = {}
    for group in (meta.adapted_properties, meta.extended_properties):
        for entry in group:
            if entry.name not in REMOTING_PROPERTIES:
                properties[str(entry.name)] = from_wire(entry.get_value(value))
    names = tuple(plain_type_name(name) for name in meta.type_names)
    return PSObject(properties, type_names=names, text=str(meta.to_string or ""))


def _to_datetime(value: Any) -> datetime.datetime:
    return datetime.datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo
    )


_SCALARS: tuple[tuple[Any, Any], ...] = (
    (ps.PSChar, lambda value: Char(chr(int(value)))),
    (ps.PSXml, Xml),
    (ps.PSUri, Uri),
    (ps.PSScriptBlock, ScriptText),
    (ps.PSVersion, lambda value: Version.parse(str(value))),
    (uuid.UUID, lambda value: uuid.UUID(str(value))),
    (datetime.datetime, _to_datetime),
    (datetime.timedelta, lambda value: datetime.timedelta(value.days, value.seconds, value.microseconds)),
    (decimal.Decimal, lambda value: decimal.Decimal(str(value))),
    (bytes, bytes),
    (str, str),
    (float, float),
    (int, int),
)
