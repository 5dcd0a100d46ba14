"""Values that came over the wire, as plain Python and the classes of `values`."""

from __future__ import annotations

import datetime
import decimal
import enum
import queue
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from psrpcore import types as ps

from tests.hvsim.engine.values import (
    Byte,
    Credential,
    EnumValue,
    Int64,
    SecureString,
    UInt16,
    UInt32,
    UInt64,
    version,
)
from tests.hvsim.values import NetObject

COPY = "Deserialized."


def received(value: Any) -> object:
    """What psrpcore decoded, without psrpcore's classes. Secrets come out readable: the session key must be there."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return EnumValue(_class_of(value), value.name, int(value.value))
    if isinstance(value, ps.PSSecureString):
        return SecureString.of(str(value.decrypt()))
    if isinstance(value, ps.PSCredential):
        return Credential.of(str(value.UserName), str(value.Password.decrypt()))
    if isinstance(value, int) and _is_enum(value):
        return EnumValue(_class_of(value), _text_of(value) or str(int(value)), int(value))
    for kind, convert in _PRIMITIVES:
        if isinstance(value, kind):
            return convert(value)
    return _composite(value)


def _composite(value: Any) -> object:
    if isinstance(value, Mapping):
        return {received(key): received(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [received(entry) for entry in value]
    if isinstance(value, queue.Queue):
        return [received(entry) for entry in list(value.queue)]
    meta = value.PSObject
    properties = {
        str(entry.name): received(entry.get_value(value))
        for group in (meta.adapted_properties, meta.extended_properties)
        for entry in group
    }
    names = tuple(str(name) for name in meta.type_names) or ("System.Object",)
    return NetObject(names, properties, None if meta.to_string is None else str(meta.to_string))


def _type_names(value: Any) -> list[str]:
    return [str(name) for name in value.PSObject.type_names] if isinstance(value, ps.PSObject) else []


def _is_enum(value: Any) -> bool:
    return any(name.removeprefix(COPY) == "System.Enum" for name in _type_names(value))


def _text_of(value: Any) -> str:
    return str(value.PSObject.to_string or "")


def _class_of(value: Any) -> str:
    names = _type_names(value)
    return names[0].removeprefix(COPY) if names else type(value).__name__


def _instant(value: datetime.datetime) -> datetime.datetime:
    return datetime.datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo
    )


_PRIMITIVES: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (ps.PSChar, lambda value: chr(int(value))),
    (ps.PSVersion, lambda value: version(str(value))),
    (ps.PSByte, Byte),
    (ps.PSUInt16, UInt16),
    (ps.PSUInt, UInt32),
    (ps.PSInt64, Int64),
    (ps.PSUInt64, UInt64),
    (int, int),
    (uuid.UUID, lambda value: uuid.UUID(str(value))),
    (datetime.datetime, _instant),
    (datetime.timedelta, lambda value: datetime.timedelta(value.days, value.seconds, value.microseconds)),
    (decimal.Decimal, lambda value: decimal.Decimal(str(value))),
    (float, float),
    (bytes, bytes),
    (str, str),
)
