"""What PowerShell makes of values: text, truth, numbers, comparisons, casts and the binary operators."""

from __future__ import annotations

import fnmatch
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.hvsim.engine.values import EnumValue, Int64, custom_object, version
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import Terminating
from tests.hvsim.guest.syntax_tree import Block
from tests.hvsim.values import NetObject

INT32 = 2**31
TRUE, FALSE = "True", "False"


def text(value: object) -> str:
    """The value as a string, as in ``"$value"``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, list):
        return " ".join(text(entry) for entry in value)
    if isinstance(value, bytes):
        return " ".join(str(byte) for byte in value)
    if isinstance(value, datetime):
        return value.strftime("%m/%d/%Y %H:%M:%S")
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, Mapping):
        return "System.Collections.Hashtable"
    if isinstance(value, ErrorRecord):
        return value.message
    return value.text if isinstance(value, Block) else str(value)


def truth(value: object) -> bool:
    """The value as a condition."""
    if isinstance(value, list):
        return truth(value[0]) if len(value) == 1 else bool(value)
    if isinstance(value, str):
        return bool(value)
    return bool(value) if isinstance(value, bool | int | float) else value is not None


def listed(value: object) -> list[Any]:
    """The value as a list: its items, itself, or nothing for null."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | bytes) else [value]


def unrolled(values: list[Any]) -> Any:
    """What a pipeline gives to a variable: null, the only object, or a list."""
    return None if not values else values[0] if len(values) == 1 else values


def number(value: Any) -> int | float:
    """The value as a number. Raises Terminating where PowerShell cannot convert."""
    if value is None:
        return 0
    if isinstance(value, bool | int | float):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, EnumValue):
        return value.number
    written = text(value).strip()
    try:
        return int(written, 0) if re.fullmatch(r"[+-]?(0x[0-9a-fA-F]+|\d+)", written) else float(written)
    except ValueError:
        raise bad_cast(value, "System.Int32") from None


def bad_cast(value: object, kind: str) -> Terminating:
    """A value that is not of the type."""
    return Terminating(
        ErrorRecord(
            f'Cannot convert value "{text(value)}" to type "{kind}". Error: '
            '"Input string was not in a correct format."',
            "InvalidCastFromStringToInteger" if "Int" in kind else "InvalidCast",
            "InvalidArgument",
            "System.Management.Automation.RuntimeException",
        )
    )


def cast(kind: str, value: Any) -> Any:
    """``[kind] value``. Raises Terminating where there is no such conversion."""
    name = kind.casefold().removeprefix("system.")
    if name.endswith("[]") and name != "byte[]":
        return [cast(name[:-2], entry) for entry in listed(value)]
    convert = CASTS.get(name)
    if convert is None:
        return value
    try:
        return convert(value)
    except (ValueError, TypeError) as failure:
        raise bad_cast(value, kind) from failure


def _datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(text(value)) if not isinstance(value, int) else datetime.fromtimestamp(value, UTC)


def _integer(value: Any) -> int:
    found = number(value)
    result = round(found)
    if not -INT32 <= result < INT32:
        raise bad_cast(value, "System.Int32")
    return result


CASTS: dict[str, Callable[[Any], Any]] = {
    "string": text,
    "int": _integer,
    "int32": _integer,
    "long": lambda value: Int64(round(number(value))),
    "int64": lambda value: Int64(round(number(value))),
    "uint64": lambda value: Int64(round(number(value))),
    "double": lambda value: float(number(value)),
    "bool": truth,
    "switch": truth,
    "void": lambda _: None,
    "byte[]": lambda value: value if isinstance(value, bytes) else bytes(int(number(entry)) for entry in listed(value)),
    "char": lambda value: chr(value) if isinstance(value, int) else text(value)[:1],
    "array": listed,
    "guid": lambda value: uuid.UUID(text(value)),
    "version": lambda value: version(text(value)),
    "datetime": _datetime,
    "timespan": lambda value: value if isinstance(value, timedelta) else timedelta(seconds=float(number(value))),
    "pscustomobject": lambda value: custom_object(value) if isinstance(value, dict) else value,
    "psobject": lambda value: custom_object(value) if isinstance(value, dict) else value,
    "regex": text,
    "hashtable": lambda value: value,
}


def compare(left: Any, right: Any) -> int:
    """The order of two values; the right one is converted to what the left one is, strings in any case."""
    if isinstance(left, EnumValue):
        left = left.name if isinstance(right, str) else left.number
    if isinstance(left, bool):
        return int(left) - int(truth(right))
    if isinstance(left, int | float):
        other = number(right)
        return (left > other) - (left < other)
    if isinstance(left, datetime | timedelta):
        return int(left > right) - int(left < right)
    first, second = text(left).casefold(), text(right).casefold()
    return (first > second) - (first < second)


def equal(left: Any, right: Any) -> bool:
    """``-eq`` of two single values."""
    if left is None or right is None:
        return left is right
    if isinstance(left, NetObject | dict | bytes | list) or isinstance(right, NetObject | dict | bytes | list):
        return bool(left == right) if type(left) is type(right) else text(left).casefold() == text(right).casefold()
    try:
        return compare(left, right) == 0
    except (Terminating, TypeError):
        return False


def matches(value: object, pattern: object) -> bool:
    """``-match``, in any case."""
    return re.search(text(pattern), text(value), re.IGNORECASE) is not None


def like(value: object, pattern: object) -> bool:
    """``-like``, in any case."""
    return fnmatch.fnmatchcase(text(value).casefold(), text(pattern).casefold())


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda left, right: not equal(left, right),
    "gt": lambda left, right: compare(left, right) > 0,
    "ge": lambda left, right: compare(left, right) >= 0,
    "lt": lambda left, right: compare(left, right) < 0,
    "le": lambda left, right: compare(left, right) <= 0,
    "like": like,
    "notlike": lambda left, right: not like(left, right),
    "match": matches,
    "notmatch": lambda left, right: not matches(left, right),
}
"""Operators that look at each item when the left side is a list."""


def binary(operator: str, left: Any, right: Any) -> Any:
    """The value of two operands. Raises Terminating."""
    if operator in _TESTS:
        test = _TESTS[operator]
        return [entry for entry in left if test(entry, right)] if isinstance(left, list) else test(left, right)
    return _OPERATORS[operator](left, right)


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, list):
        return left + listed(right)
    if isinstance(left, str):
        return left + text(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return {**left, **right}
    if isinstance(left, datetime) and isinstance(right, timedelta):
        return left + right
    return listed(right) if left is None and isinstance(right, list) else (
        right if left is None else sized(number(left) + number(right))
    )  # fmt: skip


def _minus(left: Any, right: Any) -> Any:
    if isinstance(left, datetime | timedelta):
        return left - right
    return sized(number(left) - number(right))


def _times(left: Any, right: Any) -> Any:
    if isinstance(left, str | list):
        return left * int(number(right))
    return sized(number(left) * number(right))


def _divide(left: Any, right: Any) -> Any:
    divisor = number(right)
    if divisor == 0:
        raise Terminating(
            ErrorRecord(
                "Attempted to divide by zero.",
                "RuntimeException",
                "NotSpecified",
                "System.Management.Automation.RuntimeException",
            )
        )
    result = number(left) / divisor
    return int(result) if result.is_integer() and not isinstance(left, float) else result


def sized(value: int | float) -> int | float:
    """An integer that Int32 cannot hold is an Int64, as far as it fits."""
    if isinstance(value, float) or -INT32 <= value < INT32:
        return value
    return Int64(value)


def _format(left: Any, right: Any) -> str:
    values = listed(right)

    def place(match: re.Match[str]) -> str:
        value, style = values[int(match[1])], match[2] or ""
        if style[:1] in "xX" and style:
            return f"{int(number(value)):0{style[1:] or 1}{style[0]}}"
        if style[:1] in "dD" and style:
            return f"{int(number(value)):0{style[1:] or 1}d}"
        if style[:1] in "nNfF" and style:
            return f"{number(value):{',' if style[0] in 'nN' else ''}.{style[1:] or 2}f}"
        return text(value)

    return re.sub(r"\{(\d+)(?::([^}]*))?\}", place, text(left))


def _replace(left: Any, right: Any) -> Any:
    pattern, by = (*listed(right), "")[:2]
    by = re.sub(r"\$(\d)", r"\\\1", text(by).replace("\\", "\\\\"))
    return re.sub(text(pattern), by, text(left), flags=re.IGNORECASE)


def _is(left: Any, right: Any) -> bool:
    name = text(right).casefold().removeprefix("system.")
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,), "int": (int,), "int32": (int,), "bool": (bool,), "double": (float,), "array": (list,),
        "hashtable": (dict,), "datetime": (datetime,), "byte[]": (bytes,),
    }  # fmt: skip
    return isinstance(left, kinds.get(name, ()))


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": _plus,
    "-": _minus,
    "*": _times,
    "/": _divide,
    "%": lambda left, right: sized(int(number(left)) % int(number(right))),
    "f": _format,
    "..": lambda left, right: _range(int(number(left)), int(number(right))),
    "replace": _replace,
    "split": lambda left, right: re.split(text(listed(right)[0]), text(left)),
    "join": lambda left, right: text(right).join(text(entry) for entry in listed(left)),
    "contains": lambda left, right: any(equal(entry, right) for entry in listed(left)),
    "notcontains": lambda left, right: not any(equal(entry, right) for entry in listed(left)),
    "in": lambda left, right: any(equal(left, entry) for entry in listed(right)),
    "notin": lambda left, right: not any(equal(left, entry) for entry in listed(right)),
    "is": _is,
    "isnot": lambda left, right: not _is(left, right),
    "as": lambda left, right: cast(text(right), left),
    "band": lambda left, right: int(number(left)) & int(number(right)),
    "bor": lambda left, right: int(number(left)) | int(number(right)),
    "bxor": lambda left, right: int(number(left)) ^ int(number(right)),
    "xor": lambda left, right: truth(left) != truth(right),
}


def _range(first: int, last: int) -> list[int]:
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))
