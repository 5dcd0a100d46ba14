"""Properties and methods of values in the guest's PowerShell, and what types offer by themselves (``[type]::name``)."""

from __future__ import annotations

import base64
import math
import ntpath
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.hvsim.engine.values import EnumValue, Int64
from tests.hvsim.guest.files import TEMP, GuestFileError, absolute
from tests.hvsim.guest.identity import COMPUTER
from tests.hvsim.guest.operators import cast, listed, number, text
from tests.hvsim.guest.package_scripts import file_failed
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import GuestShell, Terminating
from tests.hvsim.values import NOTHING, NetObject

UNIX_TICKS = 621355968000000000
"""Ticks of .NET, a tenth of a microsecond, between year 1 and 1970."""
TICKS = 10**7


def member(value: Any, name: str) -> Any:
    """A property; null when the value has none of that name. A list gives those of its items."""
    key = name.casefold()
    if isinstance(value, NetObject):
        found = value.property(name)
        return None if found is NOTHING else found
    if isinstance(value, Mapping):
        for known, entry in value.items():
            if text(known).casefold() == key:
                return entry
        return {"count": len(value), "keys": list(value), "values": list(value.values())}.get(key)
    if key in ("count", "length") and not isinstance(value, str | list | bytes):
        return 0 if value is None else 1
    for kind, properties in _PROPERTIES:
        if isinstance(value, kind) and key in properties:
            return properties[key](value)
    if isinstance(value, list):
        gathered = [found for entry in value if (found := member(entry, name)) is not None]
        return gathered[0] if len(gathered) == 1 else gathered or None
    return None


def _ticks(value: datetime) -> Int64:
    return Int64(round(value.timestamp() * TICKS) + UNIX_TICKS)


def _exception(value: ErrorRecord) -> NetObject:
    return NetObject((value.exception, "System.Exception", "System.Object"), {"Message": value.message}, value.message)


def _category(value: ErrorRecord) -> NetObject:
    name = "System.Management.Automation.ErrorCategoryInfo"
    return NetObject((name, "System.Object"), {"Category": value.category}, value.category)


def _substring(value: str, start: int, length: int | None = None) -> str:
    return value[start:] if length is None else value[start : start + length]


def _written(value: datetime, style: object = None) -> str:
    return value.isoformat() if text(style).casefold() == "o" else text(value)


_PROPERTIES: tuple[tuple[type | tuple[type, ...], dict[str, Callable[[Any], Any]]], ...] = (
    ((str, list, bytes), {"count": len, "length": len}),
    (
        ErrorRecord,
        {
            "exception": _exception,
            "fullyqualifiederrorid": lambda value: value.error_id,
            "categoryinfo": _category,
            "scriptstacktrace": lambda value: value.stack,
        },
    ),
    (
        datetime,
        {
            "year": lambda value: value.year, "month": lambda value: value.month, "day": lambda value: value.day,
            "hour": lambda value: value.hour, "minute": lambda value: value.minute, "ticks": _ticks,
            "second": lambda value: value.second,
        },
    ),
    (
        timedelta,
        {
            "totalseconds": lambda value: value.total_seconds(),
            "totalmilliseconds": lambda value: value.total_seconds() * 1000,
        },
    ),
    (EnumValue, {"value__": lambda value: value.number}),
)  # fmt: skip


def call(value: Any, name: str, arguments: list[Any]) -> Any:
    """A method of a value. Raises Terminating when it has none of that name."""
    key = name.casefold()
    if value is None:
        raise Terminating(
            ErrorRecord(
                "You cannot call a method on a null-valued expression.", "InvokeMethodOnNull", "InvalidOperation"
            )
        )
    for kind, methods in _METHODS:
        if isinstance(value, kind) and key in methods:
            return methods[key](value, *arguments)
    if key == "tostring":
        return text(value)
    if key == "gettype":
        return NetObject(
            ("System.RuntimeType",),
            {"Name": _type_name(value), "FullName": f"System.{_type_name(value)}"},
            f"System.{_type_name(value)}",
        )
    raise no_method(_type_name(value), name)


def no_method(kind: str, name: str) -> Terminating:
    """A method that a value has not, or that the simulated guest does not know."""
    return Terminating(
        ErrorRecord(
            f"Method invocation failed because [System.{kind}] does not contain a method named '{name}'.",
            "MethodNotFound", "InvalidOperation",
        )
    )  # fmt: skip


def _type_name(value: Any) -> str:
    if isinstance(value, NetObject):
        return value.type_names[0].rpartition(".")[2]
    names: list[tuple[type, str]] = [
        (bool, "Boolean"), (Int64, "Int64"), (int, "Int32"), (str, "String"), (float, "Double"), (list, "Object[]"),
        (dict, "Hashtable"), (bytes, "Byte[]"), (datetime, "DateTime"),
    ]  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


_METHODS: tuple[tuple[type | tuple[type, ...], dict[str, Callable[..., Any]]], ...] = (
    (
        str,
        {
            "trim": lambda value, *marks: value.strip("".join(map(text, marks)) or None),
            "trimend": lambda value, *marks: value.rstrip("".join(map(text, marks)) or None),
            "trimstart": lambda value, *marks: value.lstrip("".join(map(text, marks)) or None),
            "toupper": str.upper, "tolower": str.lower,
            "split": lambda value, mark=" ", *_: value.split(text(mark)),
            "replace": lambda value, old, new: value.replace(text(old), text(new)),
            "startswith": lambda value, start, *_: value.startswith(text(start)),
            "endswith": lambda value, end, *_: value.endswith(text(end)),
            "contains": lambda value, inner: text(inner) in value,
            "substring": _substring,
            "indexof": lambda value, inner: value.find(text(inner)),
        },
    ),
    (
        datetime,
        {
            "touniversaltime": lambda value: value, "tolocaltime": lambda value: value,
            "tounixtimemilliseconds": lambda value: Int64(round(value.timestamp() * 1000)),
            "tounixtimeseconds": lambda value: Int64(int(value.timestamp())),
            "addseconds": lambda value, seconds: value + timedelta(seconds=float(seconds)),
            "tostring": _written,
        },
    ),
    (Mapping, {"containskey": lambda value, key: member(value, text(key)) is not None}),
)  # fmt: skip


def static(shell: GuestShell, kind: str, name: str, arguments: list[Any] | None) -> Any:
    """``[kind]::name`` or ``[kind]::name(...)``. Raises Terminating for what the simulated guest does not know."""
    key = (kind.casefold().removeprefix("system."), name.casefold())
    known = _STATIC.get(key)
    if known is None:
        raise no_method(kind, name)
    try:
        return known(shell, *(arguments or []))
    except GuestFileError as failure:
        raise Terminating(file_failed(name, len(arguments or []), failure)) from failure


def _read(shell: GuestShell, path: Any) -> bytes:
    with shell.system.open() as guest:
        return guest.files.read(absolute(text(path), shell.folder))


def _write(shell: GuestShell, path: Any, data: bytes) -> None:
    with shell.system.open() as guest:
        guest.files.write(absolute(text(path), shell.folder), data)


def _kind(shell: GuestShell, path: Any) -> str | None:
    with shell.system.open() as guest:
        return guest.files.kind(absolute(text(path), shell.folder))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for those that look at no guest."""
    return lambda _, *arguments: function(*arguments)


_STATIC: dict[tuple[str, str], Callable[..., Any]] = {
    ("datetime", "utcnow"): lambda shell: shell.system.utc_now(),
    ("datetime", "now"): lambda shell: shell.system.utc_now(),
    ("datetimeoffset", "utcnow"): lambda shell: shell.system.utc_now(),
    ("environment", "machinename"): _plain(lambda: COMPUTER),
    ("environment", "username"): lambda shell: shell.session.user,
    ("environment", "newline"): _plain(lambda: "\r\n"),
    ("environment", "tickcount"): lambda shell: int(shell.system.utc_now().timestamp()) % 2**31,
    ("guid", "newguid"): _plain(lambda: uuid.uuid4()),
    ("io.path", "gettemppath"): _plain(lambda: TEMP + "\\"),
    ("io.path", "combine"): _plain(lambda *parts: ntpath.join(*map(text, parts))),
    ("io.file", "exists"): lambda shell, path: _kind(shell, path) == "file",
    ("io.directory", "exists"): lambda shell, path: _kind(shell, path) == "directory",
    ("io.file", "readalltext"): lambda shell, path, *_: _read(shell, path).decode("utf-8", "replace"),
    ("io.file", "readallbytes"): _read,
    ("io.file", "writealltext"): lambda shell, path, what, *_: _write(shell, path, text(what).encode()),
    ("io.file", "writeallbytes"): lambda shell, path, what: _write(shell, path, bytes(listed(what))),
    ("math", "max"): _plain(lambda left, right: max(number(left), number(right))),
    ("math", "min"): _plain(lambda left, right: min(number(left), number(right))),
    ("math", "round"): _plain(lambda value, digits=0: round(float(value), digits)),
    ("math", "pow"): _plain(lambda base, power: math.pow(base, power)),
    ("convert", "tobase64string"): _plain(lambda data: base64.b64encode(bytes(listed(data))).decode()),
    ("convert", "frombase64string"): _plain(lambda data: base64.b64decode(text(data))),
    ("string", "join"): _plain(lambda mark, values: text(mark).join(text(entry) for entry in listed(values))),
    ("string", "isnullorempty"): _plain(lambda value: not text(value)),
    ("int", "parse"): _plain(lambda value: cast("int", value)),
    ("intptr", "zero"): _plain(lambda: 0),
}
"""By type without ``System.`` and name, both in lower case."""
