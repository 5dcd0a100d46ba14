"""Conversions between .NET types as PowerShell makes them (LanguagePrimitives.ConvertTo), in the invariant culture."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from tests.hvsim.numeric import CastFailure, number_from, number_from_text
from tests.hvsim.times import date_from_text, date_from_ticks, span_from_text
from tests.hvsim.values import NetObject, TimeSpan, Version, items, net_text, net_type

INTEGERS = {
    "Byte": range(2**8),
    "Int16": range(-(2**15), 2**15),
    "Int32": range(-(2**31), 2**31),
    "Int64": range(-(2**63), 2**63),
    "UInt16": range(2**16),
    "UInt32": range(2**32),
    "UInt64": range(2**64),
}
REALS = ("Single", "Double")
NAMESPACES = {
    "System": (
        *INTEGERS,
        *REALS,
        *("String", "Char", "Boolean", "Object", "Guid", "TimeSpan", "DateTime", "Version", "Uri", "Exception"),
    ),
    "System.Collections": ("Hashtable", "IDictionary"),
    "System.Security": ("SecureString",),
    "Microsoft.Management.Infrastructure": ("CimSession", "CimInstance", "CimClass"),
    "System.Management.Automation": (
        *("SwitchParameter", "PSObject", "PSCredential", "ActionPreference", "ScriptBlock", "ErrorRecord", "Job"),
        *("PSModuleInfo", "ScopedItemOptions", "ErrorCategory", "CommandTypes", "JobState"),
    ),
    "System.Management.Automation.Runspaces": ("PSSession", "AuthenticationMechanism"),
}
FULL_NAMES = {name: f"{namespace}.{name}" for namespace, names in NAMESPACES.items() for name in names}
VALUE_TYPES = frozenset(
    (*INTEGERS, *REALS, "Char", "Boolean", "SwitchParameter", "Guid", "TimeSpan", "DateTime", "ActionPreference")
)
MODULE_NAMESPACE = "Microsoft.HyperV.PowerShell"


class CastError(Exception):
    """A value that has no counterpart of the type asked for; the message is PowerShell's."""


def full_name(kind: str) -> str:
    """The full .NET name of a type that a contract names, array or not."""
    plain = kind.removesuffix("[]")
    return FULL_NAMES.get(plain, f"{MODULE_NAMESPACE}.{plain}") + kind[len(plain) :]


def is_instance(value: object, kind: str) -> bool:
    """Whether a value other than None already is of the type, without any conversion."""
    match kind:
        case "Object":
            return True
        case "IDictionary" | "Hashtable":
            return isinstance(value, dict)
    if isinstance(value, NetObject):
        return any(_class_of(name) == kind for name in value.type_names)
    return net_type(value) == full_name(kind)


def _class_of(type_name: str) -> str:
    return "" if type_name.startswith("Deserialized.") else type_name.rpartition(".")[2]


def convert(value: object, kind: str, enums: Mapping[str, tuple[str, ...]]) -> object:
    """`value`, which is not None, as the scalar type `kind`; raises `CastError` where PowerShell's cast fails."""
    if is_instance(value, kind) or kind == "PSObject":
        return value
    if kind == "String":
        return net_text(value)
    if kind in enums:
        return _to_enum(value, kind, enums[kind])
    if kind in INTEGERS or kind in REALS:
        return _to_number(value, kind)
    if isinstance(value, bool | datetime):
        raise _failed_cast(value, kind, f"Invalid cast from '{net_type(value)}' to '{full_name(kind)}'.")
    if isinstance(value, int) and value in INTEGERS["Int64"] and kind in FROM_TICKS:
        return FROM_TICKS[kind](value)
    if isinstance(value, str | int | float) and kind in FROM_TEXT:
        return FROM_TEXT[kind](net_text(value))
    raise _no_cast(value, kind)


def _no_cast(value: object, kind: str) -> CastError:
    return CastError(
        f'Cannot convert the "{net_text(value)}" value of type "{net_type(value)}" to type "{full_name(kind)}".'
    )


def _failed_cast(value: object, kind: str, reason: str) -> CastError:
    return CastError(f'Cannot convert value "{net_text(value)}" to type "{full_name(kind)}". Error: "{reason}"')


def _to_number(value: object, kind: str) -> object:
    if not isinstance(value, str | bool | int | float | datetime):
        raise _no_cast(value, kind)
    try:
        if isinstance(value, str):
            return number_from_text(value, kind, INTEGERS.get(kind))
        if isinstance(value, datetime):
            raise CastFailure(f"Invalid cast from 'DateTime' to '{kind}'.")
        return number_from(value, kind, INTEGERS.get(kind))
    except CastFailure as failure:
        raise _failed_cast(value, kind, str(failure)) from None


def _to_enum(value: object, kind: str, names: Sequence[str]) -> str:
    """The name of the value; numbers count the documented names, since their real numbers are not documented."""
    if isinstance(value, NetObject | UUID | dict | timedelta | Version):
        raise _no_cast(value, kind)
    if isinstance(value, bool | datetime):
        raise _failed_cast(value, kind, f"Invalid cast from '{net_type(value)}' to '{full_name(kind)}'.")
    parts = items(value)
    if parts is not None:
        return _to_enum(",".join(net_text(part) for part in parts), kind, names)
    text = net_text(value).strip()
    if not text:
        raise _no_cast(value, kind)
    if re.fullmatch(r"[+-]?\d+", text):
        return _enum_member(int(text), value, kind, names)
    by_name = {name.lower(): index for index, name in enumerate(names)}
    words = [word.strip().lower() for word in text.split(",")]
    if all(word in by_name for word in words):
        number = 0
        for word in words:
            number |= by_name[word]
        return _enum_member(number, value, kind, names)
    return _disambiguate(text, value, kind, names)


def _enum_member(number: int, value: object, kind: str, names: Sequence[str]) -> str:
    if number in range(len(names)):
        return names[number]
    raise CastError(
        f'Cannot convert value "{net_text(value)}" to type "{full_name(kind)}" due to enumeration values that are not '
        "valid. Specify one of the following enumeration values and try again. The possible enumeration values are "
        f'"{",".join(names)}".'
    )


def _disambiguate(text: str, value: object, kind: str, names: Sequence[str]) -> str:
    """The one name that begins with `text` (EnumMinimumDisambiguation)."""
    matches = [name for name in names if name.lower().startswith(text.lower())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        reason = (
            f"The identifier name {text} cannot be processed because it is either too similar or identical to the "
            f"following enumerator names: {', '.join(matches)}. Use a more specific identifier name."
        )
    else:
        reason = (
            f"Unable to match the identifier name {text} to a valid enumerator name. Specify one of the following "
            f"enumerator names and try again:\n{', '.join(names)}"
        )
    raise _failed_cast(value, kind, reason)


def _to_guid(value: str) -> UUID:
    text = value.strip()
    if len(text) < 32:
        raise _failed_cast(value, "Guid", "Unrecognized Guid format.")
    digits = "[0-9A-Fa-f]"
    dashed = f"{digits}{{8}}-{digits}{{4}}-{digits}{{4}}-{digits}{{4}}-{digits}{{12}}"
    if re.fullmatch(rf"{digits}{{32}}|{dashed}|\{{{dashed}\}}|\({dashed}\)", text):
        return UUID(text.strip("{}()"))
    shape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
    raise _failed_cast(value, "Guid", f"Guid should contain 32 digits with 4 dashes ({shape}).")


def _to_version(value: str) -> Version:
    parts = value.split(".")
    if not 2 <= len(parts) <= 4:
        raise _failed_cast(value, "Version", "Version string portion was too short or too long.")
    for part in parts:
        if not re.fullmatch(r"\s*\d+\s*", part):
            raise _failed_cast(value, "Version", f"The input string '{part}' was not in a correct format.")
    return Version(tuple(int(part) for part in parts))


def _to_span(value: str) -> timedelta:
    try:
        return span_from_text(value)
    except CastFailure as failure:
        raise _failed_cast(value, "TimeSpan", str(failure)) from None


def _to_date(value: str) -> datetime:
    try:
        return date_from_text(value)
    except CastFailure as failure:
        raise _failed_cast(value, "DateTime", str(failure)) from None


def _ticks_to_date(ticks: int) -> datetime:
    try:
        return date_from_ticks(ticks)
    except CastFailure as failure:
        raise _failed_cast(ticks, "DateTime", str(failure)) from None


def _to_char(value: str) -> str:
    if len(value) != 1:
        raise _failed_cast(value, "Char", "String must be exactly one character long.")
    return value


def _to_cim_session(value: str) -> NetObject:
    return NetObject((full_name("CimSession"), "System.Object"), {"ComputerName": value})


FROM_TEXT: Mapping[str, Callable[[str], object]] = {
    "Guid": _to_guid,
    "Version": _to_version,
    "TimeSpan": _to_span,
    "DateTime": _to_date,
    "Char": _to_char,
    "Uri": str,
    "CimSession": _to_cim_session,
}
"""Types that a text is parsed to; a number is first written as text."""

FROM_TICKS: Mapping[str, Callable[[int], object]] = {"TimeSpan": TimeSpan, "DateTime": _ticks_to_date}
"""Types made from a whole number of 100 ns."""
